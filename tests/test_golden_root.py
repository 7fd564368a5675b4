"""Golden vectors of any folder: ``--golden-root DIR`` and ``-o golden_root=DIR``."""

import gzip
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run_pytest(*arguments):
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return finished.returncode, finished.stdout + finished.stderr


@pytest.fixture
def golden_root(tmp_path):
    """A folder outside the checkout: right vectors of one controller, wrong ones of another."""
    folder = tmp_path / "controllers"
    folder.mkdir()
    for name in ("risk", "bandit"):
        shutil.copy(ROOT / "tests/golden/controllers" / f"{name}.jsonl.gz", folder)
    vectors = gzip.decompress((folder / "risk.jsonl.gz").read_bytes())
    assert b'"ret":20000' in vectors
    wrong = vectors.replace(b'"ret":20000', b'"ret":20001', 1)
    (folder / "risk.jsonl.gz").write_bytes(gzip.compress(wrong))
    return tmp_path


@pytest.mark.parametrize("form", [["--golden-root", "{}"], ["-o", "golden_root={}"]])
def test_vectors_of_another_folder(form, golden_root):
    option = [part.format(golden_root) for part in form]
    status, output = run_pytest("-k", "golden_controllers", *option)
    assert status == 1
    assert "1 failed, 1 passed" in output
    assert "recorded 20001" in output


def test_vectors_of_the_checkout_by_default():
    status, output = run_pytest("-k", "golden_controllers", "--collect-only")
    assert status == 0, output
    files = len(list((ROOT / "tests/golden/controllers").glob("*.jsonl.gz")))
    assert output.count("::test_golden_controllers[") == files > 40


def test_a_folder_without_vectors_fails(golden_root):
    status, output = run_pytest("tests/test_golden_kernel.py", "--golden-root", golden_root)
    assert status == 1
    assert f"there is no *.csv.gz in {golden_root / 'kernel'}" in output


def test_the_published_package_brings_no_plugin():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "entry-points" not in settings["project"]
    assert settings["tool"]["setuptools"]["packages"]["find"]["include"] == [
        "runtime_math*",
        "membrane*",
    ]
