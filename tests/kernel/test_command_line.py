"""The command line as a user runs it."""

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "kernel"
TRACE = GOLDEN / "directed_early_rules_101.hardened.csv.gz"
ROOT = Path(__file__).parents[2]


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "runtime_math", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_conformance_of_files_and_folders(tmp_path):
    shutil.copy(TRACE, tmp_path)
    result = run("conformance", tmp_path, TRACE)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stderr
    assert lines[0] == lines[1]
    assert lines[0].startswith("directed_early_rules_101.hardened: ")
    assert lines[0].endswith(" calls, 0 mismatches")
    calls = int(lines[0].split()[1])
    assert lines[-1] == f"2 files, {2 * calls} calls, 0 mismatches"


def test_mismatch_exits_with_1_and_names_the_place(tmp_path):
    path = tmp_path / "changed.csv.gz"
    with gzip.open(TRACE, "rt") as source, gzip.open(path, "wt") as target:
        lines = source.read().splitlines()
        first = next(index for index, line in enumerate(lines) if line.startswith("D,"))
        number = sum(line[:2] in ("D,", "O,", "V,", "Q,", "N,") for line in lines[:first])
        body, risk = lines[first].rsplit(",", 1)
        lines[first] = f"{body},{int(risk) + 7}"
        target.write("\n".join(lines) + "\n")
    result = run("conformance", path)
    assert result.returncode == 1
    assert (
        f"call {number}: risk_upper_bound_ppm: expected {int(risk) + 7}, actual {risk}"
        in result.stdout
    )
    assert "changed: " in result.stdout and ", 1 mismatches" in result.stdout


def test_unreadable_file_exits_with_2_after_reading_the_others(tmp_path):
    bad = tmp_path / "bad.csv.gz"
    bad.write_bytes(b"nonsense")
    result = run("conformance", bad, TRACE)
    assert result.returncode == 2
    assert "cannot read" in result.stderr and "bad.csv.gz" in result.stderr
    assert "1 files" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("conformance",), "Missing argument"),
        (("conformance", "nowhere.csv.gz"), "nowhere.csv.gz does not exist"),
        (("conformance", "docs"), "no *.csv.gz files"),
        (("explain", "--mode", "harsh"), "harsh"),
        (("explain", "--address", "-1"), "-1 is not from 0 to"),
        (("explain", "--contention", "x"), "'x' is not an integer"),
        (("frobnicate",), "No such command"),
    ],
)
def test_mistakes_get_one_sentence_and_no_traceback(arguments, message):
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_explain_prints_the_breakdown(tmp_path):
    result = run("explain", "--family", "allocator", "--bytes", "64", "--mode", "hardened")
    assert result.returncode == 0, result.stderr
    for text in ("base rate bound", "poor identifiability", "115,000", "full_validate"):
        assert text in result.stdout


def test_explain_of_a_damaged_state_file(tmp_path):
    path = tmp_path / "kernel.state"
    path.write_bytes(b"nothing")
    result = run("explain", "--state", path)
    assert result.returncode == 1
    assert "not a kernel state" in result.stderr
    assert "Traceback" not in result.stderr


def test_info_follows_the_environment():
    result = run("info", GLIBC_RUST_MODE="TSM")
    assert result.returncode == 0
    assert any(line.split() == ["mode", "hardened"] for line in result.stdout.splitlines())
    for name in ("Numba", "LLVM", "compile cache"):
        assert name in result.stdout
