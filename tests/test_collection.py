"""Collecting the tests costs next to nothing: it compiles no function, so it runs none."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = """
import pytest
from numba.core import event

compiled = []

class Listener(event.Listener):
    def on_start(self, compile_event):
        function = compile_event.data["dispatcher"].py_func
        compiled.append(f"{function.__module__}.{function.__qualname__}")

    def on_end(self, compile_event):
        pass

event.register("numba:compile", Listener())
status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider"])
print(int(status), compiled)
"""


def test_nothing_is_compiled_by_collecting(tmp_path):
    # With an empty cache, whatever a jitted function is needed for compiles it.
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert finished.stdout.splitlines()[-1:] == ["0 []"], finished.stdout + finished.stderr
    assert "test_collection.py::test_nothing_is_compiled_by_collecting" in finished.stdout
