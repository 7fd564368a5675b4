"""The compile cache: what invalidates it, what it survives, and that nothing else empties it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import runtime_math
from runtime_math.numerics import source_stamp
from runtime_math.numerics.source_stamp import dependencies, module_file

PACKAGE = Path(runtime_math.__file__).parent
# These tests look at the cache beside the sources, wherever the suite itself keeps its own.
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}

PROBE = """
import sys
from runtime_math.monitors import risk
import numpy as np
state = np.zeros(1, risk.STATE)
risk.init(state[0], 20_000, 3.0)
for _ in range(40):
    risk.observe(state[0], 0, False)
stats = risk.observe.for_python.stats
print(risk.upper_bound_ppm(state[0], 0), sum(stats.cache_hits.values(), 0))
"""


def run_probe(folder, script=PROBE, **environment):
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**ENVIRONMENT, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    bound, hits = result.stdout.split()
    return int(bound), int(hits), result.stderr


@pytest.fixture
def copied_package(tmp_path):
    shutil.copytree(
        PACKAGE, tmp_path / "runtime_math", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def test_cache_is_used_and_follows_the_sources_it_depends_on(copied_package):
    assert run_probe(copied_package)[1] == 0
    assert run_probe(copied_package)[1] > 0
    shared = copied_package / "runtime_math" / "types.py"
    shared.write_text(shared.read_text() + "\n# changed\n")
    assert run_probe(copied_package)[1] == 0


def test_damaged_cache_files_are_ignored(copied_package):
    bound, _, _ = run_probe(copied_package)
    for entry in copied_package.rglob("risk.observe*.nbc"):
        entry.write_bytes(entry.read_bytes()[:100])
    again, hits, errors = run_probe(copied_package)
    assert (again, hits) == (bound, 0)
    assert "unreadable compile cache entry ignored" in errors


def test_read_only_install_works(copied_package, tmp_path):
    # The superuser writes through permission bits, so a file takes the folder's place instead.
    for folder in ("monitors", "numerics"):
        (copied_package / "runtime_math" / folder / "__pycache__").write_text("")
    environment = {"HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    (tmp_path / "home").mkdir()
    bound, hits, _ = run_probe(copied_package, **environment)
    assert (bound, hits) == (run_probe(copied_package)[0], 0)
    assert run_probe(copied_package, **environment)[1] > 0
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "IPYTHONDIR": "/dev/null"}
    assert run_probe(copied_package, **{**environment, **nowhere})[0] == bound


STAMPS = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
from runtime_math.numerics.source_stamp import source_stamp
for name in (
    "runtime_math.monitors.risk", "runtime_math.faithful.calls", "runtime_math.calibrated.calls"
):
    print(name, source_stamp(name))
"""
IMPORT_ORDERS = [
    [],
    ["runtime_math.faithful.calls"],
    ["runtime_math.calibrated.kernel", "runtime_math.kernel"],
    ["runtime_math.kernel", "runtime_math.calibrated.kernel"],
    ["runtime_math.command_line", "runtime_math.evaluation.commands"],
    ["membrane"],
]


def test_stamps_do_not_depend_on_what_was_imported_before():
    answers = {
        subprocess.run(
            [sys.executable, "-c", STAMPS, *names], capture_output=True, text=True, check=True
        ).stdout
        for names in IMPORT_ORDERS
    }
    assert len(answers) == 1
    assert answers.pop().count("runtime_math.") == 3


def test_an_edit_reaches_its_dependants_and_nobody_else():
    for name in ("runtime_math.faithful.calls", "runtime_math.calibrated.calls"):
        assert "runtime_math.monitors.changepoint" in dependencies(name)
        assert "runtime_math.kernel" not in dependencies(name)
    # The membrane reaches the kernel through addresses, so that no monitor is linked into it.
    for name in ("membrane.jit", "membrane.pipeline.compiled"):
        assert "runtime_math.monitors.changepoint" not in dependencies(name)
        assert "runtime_math.numerics.compilation" in dependencies(name)
    for path in (PACKAGE / "monitors").glob("[a-z]*.py"):
        reached = dependencies(f"runtime_math.monitors.{path.stem}")
        assert len(reached) < 20, path.name
        assert "runtime_math.faithful.observe" not in reached


def test_what_imports_say_is_what_the_syntax_tree_says(monkeypatch):
    """The quick reader of import statements agrees with Python's parser on every file of ours."""
    compared = 0
    for name, path in dependencies("runtime_math.kernel").items():
        quick = set(source_stamp._imported(name, path))
        with monkeypatch.context() as patch:
            patch.setattr(source_stamp, "_BLOCK", re.compile(b""))
            assert set(source_stamp._imported(name, path)) == quick, name
        compared += 1
    assert compared > 70


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"import a, b.c as d  # e\n", [("a", None), ("b.c", None)]),
        (b"from .x import (\n    y,  # z\n    w as v,\n)\n", [(".x", ["y", "w"])]),
        (b"from .. import q\n", [("..", ["q"])]),
        (b"def f():\n    import hidden\n", []),
        (b"try:\n    import a\nexcept ImportError:\n    from b import c\n", None),
        (b"if True:\n    import a\n    def f():\n        import hidden\nfrom b import c\n", None),
    ],
)
def test_import_statements_are_read(source, expected):
    expected = [("a", None), ("b", ["c"])] if expected is None else expected
    assert sorted(source_stamp._import_statements(source), key=str) == sorted(expected, key=str)


def test_modules_without_a_source_file_are_passed_over():
    assert module_file("sys") is None
    assert module_file("runtime_math.nowhere") is None
    assert dependencies("no_such_package_at_all") == {}


def test_unknown_numba_falls_back_to_its_own_decorator(copied_package):
    bound, _, _ = run_probe(copied_package)
    script = PROBE.replace("risk.observe.for_python.stats", "risk.observe.stats")
    plain = {"RUNTIME_MATH_PLAIN_NUMBA": "1"}
    assert run_probe(copied_package, script, **plain)[:2] == (bound, 0)
    assert run_probe(copied_package, script, **plain)[1] > 0
