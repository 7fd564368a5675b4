"""Short runs of what ``nox -s soak`` runs for long."""

import subprocess
import sys

import pytest

from runtime_math import SafetyLevel
from tests.documents import ROOT, environment
from tests.membrane import declared_differential, differential


@pytest.mark.parametrize("mode", list(SafetyLevel))
def test_guarded_calls_do_what_plain_ones_do(mode):
    differential.compare(1500, mode, seed=7)


@pytest.mark.parametrize("mode", list(SafetyLevel))
def test_declared_calls_do_what_plain_ones_do(mode):
    declared_differential.compare(1000, mode, seed=7)


@pytest.mark.parametrize("mode", ["strict", "hardened"])
def test_nothing_is_left_behind(mode):
    finished = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.membrane.soak", "8000", mode],
        cwd=ROOT, env=environment(ROOT), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
