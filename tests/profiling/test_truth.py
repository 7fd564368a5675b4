"""The profiler tells the truth: recorded shares against shares measured with a clock."""

import json

import pytest

from profiling import recording
from profiling.resolve import INLINED
from tests.profiling.recording_command import PROGRAMS, needs_py_spy, profiling

SECONDS = 5
RATE = 199
TOLERANCE = 0.05


PARTS = ("first_part", "second_part")


def counted(folded, name):
    """Samples of a function itself; of the two parts only where they are inlined."""
    return sum(
        count
        for (_, frames), count in folded.items()
        if frames[-1].name == name and (frames[-1].kind == INLINED or name not in PARTS)
    )


@needs_py_spy
@pytest.mark.parametrize("lines", [False, True], ids=["default", "lines"])
def test_shares_agree_with_the_clock(lines, tmp_path):
    program = [PROGRAMS / "known_shares.py", SECONDS]
    options = ["--lines"] if lines else []
    finished = profiling(
        "record", "--rate", RATE, *options, "--out", tmp_path / "r", "--", "python", *program
    )
    assert finished.returncode == 0, finished.stderr
    clocked = json.loads(finished.stdout.splitlines()[0])
    # Only line tables can tell the parts, which are inlined, from the function around them.
    names = ["large", "medium", *(PARTS if lines else ["combined"])]

    recorded = recording.load(tmp_path / "r")
    samples = {name: counted(recorded.folded, name) for name in names}
    total = sum(samples.values())
    assert total > SECONDS * RATE / 3
    measured = {name: count / total for name, count in samples.items()}
    assert measured == pytest.approx({name: clocked[name] for name in names}, abs=TOLERANCE)
    assert recorded.meta["jitted"]["named_share"] >= 0.99
