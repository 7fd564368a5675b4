"""Runs ``python -m profiling`` as a user does, from the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"

needs_py_spy = pytest.mark.skipif(
    shutil.which("py-spy", path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath]))
    is None,
    reason="py-spy is not installed",
)


def profiling(*arguments, cwd=ROOT):
    """Run a command of the profiler; returns the finished process."""
    command = [sys.executable, "-m", "profiling", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
