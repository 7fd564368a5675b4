"""The resource monitor against exact shares of capacity, and bad input."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.symplectic_reduction import (
    Resource,
    SymplecticReduction,
    SymplecticState,
)

CAPACITY = (64, 32, 16, 256)


def calibrated():
    """A monitor whose calibration is over and which holds nothing."""
    monitor = SymplecticReduction()
    for _ in range(256):
        monitor.acquire(Resource.SEMAPHORE)
        assert monitor.release(Resource.SEMAPHORE) is SymplecticState.CALIBRATING
    assert monitor.baseline_ready
    return monitor


def hold(monitor, holdings):
    """Reach the given holdings, then fill the window with pairs that leave them alone."""
    events = 0
    for resource, held in enumerate(holdings):
        for _ in range(abs(held)):
            if held > 0:
                monitor.acquire(resource)
            else:
                monitor.release(resource)
            events += 1
    for _ in range(-events % 128 // 2):
        monitor.acquire(Resource.SEMAPHORE)
        monitor.release(Resource.SEMAPHORE)


def expected_state(holdings):
    """State code and whether it counts as a violation, in exact arithmetic."""
    shares = [Fraction(held, cap) for held, cap in zip(holdings, CAPACITY, strict=True)]
    distance = min(min(share, 1 - share) for share in shares)
    energy = sum(share * share for share in shares)
    if distance < 0:
        return 3, True
    if energy == 0:
        return 1, False
    if distance < Fraction(1, 10) or energy > Fraction(5, 2):
        return 2, True
    return (2 if distance < Fraction(1, 4) else 1), False


inside = st.tuples(*(st.integers(capacity // 4, 3 * capacity // 4) for capacity in CAPACITY))
anywhere = st.tuples(*(st.integers(-2, capacity + 2) for capacity in CAPACITY))
named_cases = st.sampled_from([(0, 0, 0, 0), (64, 32, 16, 256), (2, 0, 0, 0), (54, 28, 14, 226)])


@given(inside | anywhere | named_cases)
def test_judgement_is_that_of_exact_arithmetic(holdings):
    # Pairs fill a window only after an even number of events.
    holdings = (holdings[0] + sum(map(abs, holdings)) % 2, *holdings[1:])
    monitor = calibrated()
    hold(monitor, holdings)
    values = monitor.summary()
    assert values.moment_map == holdings
    shares = [Fraction(held, cap) for held, cap in zip(holdings, CAPACITY, strict=True)]
    assert Fraction(values.hamiltonian_energy) == sum(share**2 for share in shares)
    assert Fraction(values.boundary_distance) == min(min(share, 1 - share) for share in shares)
    if any(holdings):  # holding nothing takes no event, so no window was judged
        assert values.state == expected_state(holdings)[0]
    for resource in Resource:
        admissible = 0 <= holdings[resource] + 1 <= CAPACITY[resource]
        assert monitor.would_be_admissible(resource) == admissible


@given(st.lists(st.tuples(st.sampled_from(Resource), st.booleans()), min_size=128, max_size=128))
def test_every_window_after_calibration_is_judged_by_the_cumulative_holdings(events):
    monitor, held, violations = calibrated(), [0, 0, 0, 0], 0
    for _ in range(3):
        for index, (resource, acquiring) in enumerate(events):
            held[resource] += 1 if acquiring else -1
            state = monitor.acquire(resource) if acquiring else monitor.release(resource)
            if index < 127:
                assert monitor.violation_count == violations
        code, counted = expected_state(held)
        violations += counted
        assert (state, monitor.violation_count) == (code, violations)


def test_excursions_that_are_undone_within_a_window_are_not_seen():
    monitor = calibrated()
    for step in range(128):
        if step < 64:
            monitor.release(Resource.MESSAGE_QUEUE)
        else:
            state = monitor.acquire(Resource.MESSAGE_QUEUE)
    assert state is SymplecticState.ADMISSIBLE
    assert monitor.violation_count == 0


@pytest.mark.parametrize(
    ("name", "argument", "error"),
    [("acquire", 4, ValueError), ("release", -1, ValueError), ("acquire", 1.0, TypeError)],
)
def test_bad_input_is_refused_and_changes_nothing(name, argument, error):
    monitor = SymplecticReduction()
    before = monitor.record.tobytes()
    with pytest.raises(error, match="resource must be a member of Resource"):
        getattr(monitor, name)(argument)
    assert monitor.record.tobytes() == before
