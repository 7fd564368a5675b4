"""Guards hold on what real programs pass: each case in a process of its own, in both modes."""

import inspect
import subprocess
import sys

import pytest

from tests.documents import ROOT, environment
from tests.membrane import correct_programs, fault_programs

ONE_MODE = {
    "comparisons_beyond_31_bits": ("strict", "off"),
    "pipelines_know_each_other": ("strict",),
    "repairs_do_not_change_what_a_call_means": ("hardened",),
    "a_repair_writes_into_nothing_immutable": ("hardened",),
}
PROGRAMS = {
    name: module.__name__
    for module in (fault_programs, correct_programs)
    for name, function in vars(module).items()
    if inspect.isfunction(function)
    and function.__module__ == module.__name__
    and list(inspect.signature(function).parameters) == ["mode"]
}
LONGEST_SECONDS = 90


@pytest.mark.parametrize(
    ("name", "mode"),
    [(name, mode) for name in PROGRAMS for mode in ONE_MODE.get(name, ("strict", "hardened"))],
)
def test_program(name, mode):
    finished = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", PROGRAMS[name], name, mode],
        cwd=ROOT, env={**environment(ROOT), "GLIBC_RUST_MODE": mode}, capture_output=True,
        text=True, timeout=LONGEST_SECONDS,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr


def test_all_programs_are_run():
    assert len(PROGRAMS) > 20 and set(ONE_MODE) <= set(PROGRAMS)
