"""Recording and reading traces; the conformance check finds what differs."""

import gzip

import pytest

from runtime_math import RuntimeMathKernel, SafetyLevel, TraceError, read_events, read_rows
from runtime_math.conformance import check_trace
from tests.kernel.traffic import random_events, states_equal


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "mixed.hardened.csv.gz"
    kernel = RuntimeMathKernel(SafetyLevel.HARDENED)
    with kernel.record(path, scenario="mixed"):
        kernel.replay(random_events(600, seed=11))
    return path, kernel


def test_recorded_trace_replays_exactly(trace):
    path, _ = trace
    assert check_trace(path)[:3] == ("mixed.hardened", 600, 0)
    kinds = [row.kind for row in read_rows(path)]
    assert kinds[:3] == ["H", "HC", "HS"]
    assert (kinds.count("C"), kinds.count("S")) == (60, 2)


def test_recording_changes_no_decision(trace):
    _, recorded = trace
    plain = RuntimeMathKernel(SafetyLevel.HARDENED)
    plain.replay(random_events(600, seed=11))
    assert states_equal(recorded, plain)


def test_events_of_a_trace_replay_in_chunks(trace):
    path, recorded = trace
    kernel = RuntimeMathKernel(SafetyLevel.HARDENED)
    sizes = []
    for events, results in read_events(path, chunk_rows=256):
        sizes.append(len(events))
        assert (kernel.replay(events) == results).all()
    assert sizes == [256, 256, 88]
    assert states_equal(kernel, recorded)


def _rewritten(path, change):
    with gzip.open(path, "rt") as stream:
        lines = stream.read().splitlines()
    with gzip.open(path, "wt") as stream:
        stream.write("\n".join(change(lines)) + "\n")


def test_a_changed_decision_is_reported_with_call_and_column(trace):
    path, _ = trace
    with gzip.open(path, "rt") as stream:
        lines = stream.read().splitlines()
    calls = [line for line in lines if line[0] in "DOVQN" and line[1] == ","]
    target = next(line for line in calls if line.startswith("D,"))
    number, risk = calls.index(target), target.rsplit(",", 1)[1]
    _rewritten(
        path,
        lambda lines: [
            f"{line.rsplit(',', 1)[0]},{int(risk) + 1}"
            if line is lines[lines.index(target)]
            else line
            for line in lines
        ],
    )
    result = check_trace(path)
    assert result.mismatches == 1
    assert result.divergences == [(number, "risk_upper_bound_ppm", str(int(risk) + 1), risk)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[1:], "not a trace header"),
        (lambda lines: [*lines, "D,0,0"], "a D row with 2 fields"),
        (lambda lines: [*lines, "O,0,0,x,0"], "invalid literal"),
        (lambda lines: [*lines, "O,9,0,12,0"], "family must be"),
        (lambda lines: [*lines, "Z,1"], "unknown kind of row"),
        (lambda lines: [lines[0], *lines[3:]], "without matching columns"),
    ],
)
def test_senseless_rows_are_refused(trace, change, message):
    path, _ = trace
    _rewritten(path, change)
    with pytest.raises(TraceError, match=message):
        check_trace(path)


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: b"no gzip" + data])
def test_damaged_files_are_refused(trace, damage):
    path, _ = trace
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TraceError, match=str(path.name)):
        check_trace(path)


def test_interrupted_recording_is_not_taken_for_a_whole_one(tmp_path):
    path = tmp_path / "calls.csv.gz"
    kernel = RuntimeMathKernel(SafetyLevel.STRICT)
    with pytest.raises(KeyboardInterrupt), kernel.record(path):
        kernel.note_overlap(1, 2, 0)
        raise KeyboardInterrupt
    assert [item.name for item in tmp_path.iterdir()] == ["calls.csv.gz.part"]
    assert [row.kind for row in read_rows(tmp_path / "calls.csv.gz.part")][-1] == "V"
    with kernel.record(path):
        kernel.note_overlap(1, 2, 0)


def test_one_recording_at_a_time_and_a_plain_scenario(tmp_path):
    kernel = RuntimeMathKernel(SafetyLevel.STRICT)
    with kernel.record(tmp_path / "a"), pytest.raises(RuntimeError, match="recorded already"):
        kernel.record(tmp_path / "b").__enter__()
    with pytest.raises(ValueError, match="scenario"):
        kernel.record(tmp_path / "c", scenario="a,b").__enter__()
