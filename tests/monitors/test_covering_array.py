"""The covering-array monitor against a set of tuples, its thresholds, and bad input."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.covering_array import CoverageState, CoveringArray

ROWS = st.lists(st.integers(0, 255), min_size=6, max_size=6)
# Rows around one of two levels leave tuples uncovered; free rows cover everything soon.
ROW_LISTS = st.lists(ROWS, max_size=10) | st.lists(
    st.sampled_from([[0] * 6, [1] * 6, [1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0]]), max_size=10
)


def tuples_of(row):
    levels = [level % 2 for level in row]
    return {
        (first, second, levels[first], levels[second])
        for first, second in itertools.combinations(range(6), 2)
    }


@given(ROW_LISTS, st.integers(0, 140))
def test_coverage_is_the_set_of_pairs_seen_and_entries_are_counted(rows, padding):
    monitor, plain = CoveringArray(), CoveringArray()
    seen, previous, entries = set(), CoverageState.CALIBRATING, {2: 0, 3: 0}
    rows = [[0] * 6] * padding + rows
    for count, row in enumerate(rows, 1):
        state = monitor.observe_and_update(row)
        assert plain.observe(row) == state
        seen |= tuples_of(row)
        expected = (
            CoverageState.CALIBRATING
            if count < 128
            else CoverageState.CRITICAL_GAP
            if len(seen) / 60 < 0.45
            else CoverageState.COVERAGE_GAP
            if len(seen) / 60 < 0.70
            else CoverageState.COMPLETE
        )
        assert state == expected
        if state != previous and state in entries:
            entries[state] += 1
        previous = state
    values = monitor.summary
    assert (values.covered_tuples, values.coverage_fraction) == (len(seen), len(seen) / 60)
    assert int(monitor.record["covered"]).bit_count() == len(seen)
    assert (values.gap_count, monitor.critical_count) == (entries[2], entries[3])
    assert plain.summary.gap_count == plain.critical_count == 0


def test_a_published_covering_array_of_six_rows_covers_everything():
    # CA(6; 2, 6, 2): zeros, and columns = six distinct 2-subsets of four rows plus a row of ones.
    columns = [
        (0, 1, *(1 if row in pair else 0 for row in range(4)))
        for pair in itertools.combinations(range(4), 2)
    ]
    monitor = CoveringArray()
    for row in zip(*columns, strict=True):
        monitor.observe(list(row))
    assert monitor.coverage_fraction == 1.0


@given(st.lists(st.sampled_from(["row", "probe"]), max_size=700))
def test_probe_budget_is_renewed_by_every_256th_row(events):
    monitor, probes, rows = CoveringArray(), 0, 0
    for event in events:
        if event == "probe":
            monitor.record_heavy_probe()
            probes += 1
        else:
            monitor.observe([0] * 6)
            rows += 1
            probes = 0 if rows % 256 == 0 else probes
        assert monitor.can_schedule_heavy_probe() == (probes < 3)


@pytest.mark.parametrize("position", [255, 256])
def test_probes_before_the_last_row_of_an_epoch_are_wiped(position):
    monitor = CoveringArray()
    for row in range(1, 257):
        monitor.observe([0] * 6)
        if row == position:
            for _ in range(3):
                monitor.record_heavy_probe()
    assert monitor.can_schedule_heavy_probe() == (position == 255)


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ([0] * 5, ValueError, r"params must be an array of shape \(6,\)"),
        ([0, 0, 0, 0, 0, 256], ValueError, r"params\[5\] must be from 0 to 255"),
        ([0.0] * 6, TypeError, "params must hold uint8 values"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(row, error, message):
    monitor = CoveringArray()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe(row)
    assert monitor.record.tobytes() == before
