"""The descent monitor against a dictionary of slots, its bounds, and bad input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.higher_topos import HigherTopos, ToposState

WORD = 2**64
# Few scopes and results, so that slots are hit, evicted (64 apart) and emptied (scope 0).
scopes = st.sampled_from([0, 1, 5, 64, 65, 69, WORD - 59, WORD - 1]) | st.integers(0, WORD - 1)
results = st.integers(0, 2) | st.integers(0, WORD - 1)
resolutions = st.lists(
    st.tuples(scopes, results, st.integers(0, 255)), min_size=1, max_size=30
).map(lambda items: items * 4)


@given(resolutions)
def test_violations_witness_and_rate_follow_the_slots(stream):
    monitor = HigherTopos()
    slots, violations, witness, rate, depth = {}, 0, 0, 0.0, 0
    for count, (scope, result, fallback) in enumerate(stream, 1):
        state = monitor.observe(scope, result, fallback)
        held = slots.get(scope % 64)
        violated = held is not None and held[0] == scope and held[1] != result
        slots[scope % 64] = (scope, result) if scope else None
        violations += violated
        if not violated:
            witness ^= scope * 0x517CC1B727220A95 % WORD ^ result * 0x6C62272E07BB0142 % WORD
        rate = 0.02 * violated + 0.98 * rate
        depth = max(depth, fallback)
        level = 3 if rate >= 0.15 else 2 if rate >= 0.05 else 1
        expected = ToposState(level if count >= 32 else 0)
        assert state == monitor.state == expected
        assert monitor.summary() == (expected, rate, witness, violations, count, depth)
        assert 0.0 <= rate <= 1.0


@given(st.integers(1, WORD - 1), st.integers(0, WORD - 1))
def test_equal_resolutions_cancel_in_pairs_and_never_violate(scope, result):
    monitor = HigherTopos()
    for _ in range(40):
        state = monitor.observe(scope, result, 0)
    values = monitor.summary()
    assert state is ToposState.COHERENT
    assert (values.coherence_witness_hash, values.violation_count) == (0, 0)


def test_scopes_that_evict_each_other_hide_their_changes():
    monitor = HigherTopos()
    for result in range(50):
        monitor.observe(7, result, 0)
        monitor.observe(7 + 64, result, 0)
    assert monitor.summary().violation_count == 0


@pytest.mark.parametrize(("changes", "expected"), [(2, 1), (3, 2), (8, 2), (9, 3)])
def test_number_of_changes_in_a_row_for_each_state(changes, expected):
    monitor = HigherTopos()
    for _ in range(32):
        monitor.observe(9, 9, 0)
    for result in range(changes):
        state = monitor.observe(9, 100 + result, 0)
    assert state == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, 0, 0), ValueError, "scope_hash must be an integer from 0"),
        ((0, WORD, 0), ValueError, "result_hash must be an integer from 0"),
        ((0, 0, 256), ValueError, "fallback_depth must be an integer from 0 to 255"),
        ((0, 0.0, 0), TypeError, "result_hash must be an integer"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = HigherTopos()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
