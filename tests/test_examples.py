"""The programs of the examples folder run, and say what they are there to show."""

import re
import sys

import pytest

from tests.documents import ROOT, run

SHOWS = {
    "custom_incident": r"calibrated: noticed after \d{1,2} calls",
    "guarded_zlib": r"(?s)compressed.*OutOfBoundsError.*UseAfterFreeError.*OutOfBoundsError",
    "jitted_loop": r"(?s)right places: .* 0 wrong, .*one in twenty wrong: .* 103 wrong",
    "one_monitor": r"(?s)call 509: change_point.*in jitted code: changed at call 509",
    "recorded_replay": r"mismatches=0",
}


def test_every_example_is_tried():
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(SHOWS)


@pytest.mark.parametrize("name", SHOWS)
def test_example(name):
    status, output = run([sys.executable, f"examples/{name}.py"], ROOT, shell=False)
    assert status == 0, output
    assert re.search(SHOWS[name], output), output
