"""The profiler tells the truth: recorded shares against shares measured with a clock."""

import json

import pytest

from profiling import aggregate, recording
from tests.profiling.recording_command import PROGRAMS, needs_py_spy, profiling

SECONDS = 6
RATE = 199
TOLERANCE = 0.05


@needs_py_spy
@pytest.mark.parametrize("lines", [False, True], ids=["default", "lines"])
def test_shares_agree_with_the_clock(lines, tmp_path):
    program = [PROGRAMS / "known_shares.py", SECONDS]
    options = ["--lines"] if lines else []
    finished = profiling(
        "record", "--rate", RATE, *options, "--out", tmp_path / "r", "--", "python", *program
    )
    assert finished.returncode == 0, finished.stderr
    expected = json.loads(finished.stdout.splitlines()[0])
    if lines:  # the two parts are inlined; only line tables can tell them from `combined`
        del expected["combined"]
    else:
        expected = {name: expected[name] for name in ("large", "medium", "combined")}

    recorded = recording.load(tmp_path / "r")
    rows = aggregate.ranking(recorded.folded, kinds=("jitted", "inlined"))
    in_jitted = sum(row.samples for row in rows)
    assert in_jitted > SECONDS * RATE / 3
    measured = {row.symbol: row.samples / in_jitted for row in rows}
    for name, share in expected.items():
        assert measured.get(name, 0.0) == pytest.approx(share, abs=TOLERANCE), (name, measured)
    assert recorded.meta["jitted"]["named_share"] >= 0.99
