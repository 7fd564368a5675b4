"""Collecting the tests costs next to nothing: it compiles no function, so it runs none."""

import os
import subprocess
import sys
from pathlib import Path

from tests.compile_listener import LISTENER

ROOT = Path(__file__).parents[1]
SCRIPT = """
import pytest
status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider"])
print(int(status), compiled)
"""


def test_nothing_is_compiled_by_collecting(tmp_path):
    # With an empty cache, whatever a jitted function is needed for compiles it.
    finished = subprocess.run(
        [sys.executable, "-c", LISTENER + SCRIPT], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert finished.stdout.splitlines()[-1:] == ["0 []"], finished.stdout + finished.stderr
    assert "test_collection.py::test_nothing_is_compiled_by_collecting" in finished.stdout
