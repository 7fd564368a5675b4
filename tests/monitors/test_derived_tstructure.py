"""The t-structure monitor against a direct transcription of its definition, and bad input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.derived_tstructure import DerivedTStructure, TStructureState

EVENTS = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=60)
RUNS = st.lists(
    st.tuples(st.integers(0, 9), st.booleans(), st.integers(1, 40)), min_size=1, max_size=10
).map(lambda runs: [run[:2] for run in runs for _ in range(run[2])])


def state_of(total, rates):
    largest, disordered = max(rates), sum(rate > 0.01 for rate in rates)
    if total < 32:
        return TStructureState.CALIBRATING
    if largest >= 0.35 or disordered >= 4:
        return TStructureState.ORTHOGONALITY_VIOLATION
    if largest >= 0.15 or disordered >= 2:
        return TStructureState.DISORDER
    return TStructureState.WELL_ORDERED


@given(EVENTS | RUNS, st.booleans())
def test_state_follows_from_the_averages_and_entries_are_counted(events, long):
    monitor, plain = DerivedTStructure(), DerivedTStructure()
    rates, total, previous, entries = [0.0] * 8, 0, TStructureState.CALIBRATING, {2: 0, 3: 0}
    for stage, complete in events * (3 if long else 1):
        state = monitor.observe_and_update(stage, complete)
        assert plain.observe(stage, complete) == state
        if stage < 8:
            rates[stage] += 0.02 * ((not complete) - rates[stage])
            total += 1
        recorded = monitor.record["violation_rate"].tolist()
        assert recorded == pytest.approx(rates, rel=1e-12)
        assert state == state_of(total, recorded)
        if state != previous and state in entries:
            entries[state] += 1
        previous = state
    values = monitor.summary
    assert (values.max_violation_rate, values.total_observations) == (max(recorded), total)
    assert monitor.disorder_count == entries[2]
    assert values.orthogonality_violation_count == entries[3]
    assert plain.disorder_count == plain.summary.orthogonality_violation_count == 0


@given(st.lists(st.tuples(st.integers(0, 7), st.booleans()) | st.none(), max_size=80))
def test_records_hold_the_largest_incomplete_lower_degree(events):
    monitor, completed, largest = DerivedTStructure(), set(), [None] * 8
    for event in events:
        if event is None:
            monitor.reset_cycle()
            completed.clear()
            continue
        stage, complete = event
        monitor.observe(stage, complete)
        if complete:
            completed.add(stage)
            continue
        missing = [degree for degree in range(stage) if degree not in completed]
        if missing and (largest[stage] is None or missing[-1] > largest[stage]):
            largest[stage] = missing[-1]
    assert [monitor.max_incomplete_predecessor(stage) for stage in range(8)] == largest
    assert monitor.record["completed_mask"] == sum(1 << stage for stage in completed)
    assert monitor.record["max_completed_degree"] == max(completed, default=0)


def test_one_violation_marks_its_stage_for_35_clean_events():
    monitor = DerivedTStructure()
    monitor.observe(5, False)
    marked = []
    for _ in range(40):
        monitor.observe(5, True)
        marked.append(monitor.summary.disordered_stages)
    assert marked == [1] * 34 + [0] * 6


def test_four_stages_with_one_recent_violation_each_are_the_worst_state():
    monitor = DerivedTStructure()
    for _ in range(32):
        monitor.observe(0, True)
    states = [monitor.observe_and_update(stage, False) for stage in (4, 5, 6, 7)]
    assert states == [1, 2, 2, 3]
    assert monitor.summary.max_violation_rate == 0.02


def test_an_index_beyond_the_stages_changes_nothing():
    monitor = DerivedTStructure()
    before = monitor.record.tobytes()
    for index in (8, 2**64 - 1):
        assert monitor.observe_and_update(index, False) is TStructureState.CALIBRATING
    assert monitor.record.tobytes() == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, True), ValueError, "stage_index must be an integer"),
        ((1.0, True), TypeError, "stage_index must be an integer"),
        ((0, 1), TypeError, "predecessors_complete must be a bool"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = DerivedTStructure()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
