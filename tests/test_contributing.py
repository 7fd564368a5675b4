"""The worked example of CONTRIBUTING.md, followed to the letter in a copy of the checkout."""

import importlib.util
import re
import shutil
import subprocess

import pytest

from tests.documents import ROOT, fences, run, run_session

DOCUMENT = ROOT / "CONTRIBUTING.md"
HEADING = "## A monitor, from nothing"


@pytest.fixture
def copy(tmp_path):
    """What a contributor starts from."""
    leave = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "docs", "profiles")
    return shutil.copytree(ROOT, tmp_path / "copy", ignore=leave)


def test_the_worked_example(copy):
    first_line = DOCUMENT.read_text().splitlines().index(HEADING)
    steps = [fence for fence in fences(DOCUMENT) if fence.line > first_line]
    assert [fence.language for fence in steps].count("console") == 3
    for fence in steps:
        if fence.file:
            (copy / fence.file).write_text(fence.text)
        elif fence.language == "diff":
            subprocess.run(
                ["git", "apply", "--recount", "-"],
                cwd=copy,
                input=fence.text,
                text=True,
                check=True,
            )
        else:
            run_session(fence.text, copy)
    if importlib.util.find_spec("ruff"):
        written = " ".join(fence.file for fence in steps if fence.file)
        status, said = run(f"ruff check {written} && ruff format --check {written}", copy)
        assert status == 0, said


def test_named_files_exist():
    """What the table and the rules name by its path is there."""
    named = re.findall(r"`((?:[\w.]+/)+[\w.]+\.(?:py|md))`", DOCUMENT.read_text().split(HEADING)[0])
    assert len(named) > 12
    for path in named:
        assert "NAME" in path or (ROOT / path).exists(), path
