"""The reachability monitor against value iteration, its averages, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.hji_reachability import (
    APPROACHING_MARGIN,
    CELLS,
    VALUES,
    HjiReachability,
    HjiState,
    is_unsafe,
    successor,
)


def test_values_solve_the_game():
    unsafe = np.array([is_unsafe(cell) for cell in range(CELLS)])
    following = np.array(
        [[[successor(c, u, d) for d in range(4)] for u in range(4)] for c in range(CELLS)]
    )
    values = np.where(unsafe, -20.0, 1.0 / (1.0 - 0.95))
    for _ in range(200):
        best = (1.0 + 0.95 * values[following]).min(axis=2).max(axis=1)
        values = np.where(unsafe, -20.0, best)
    assert VALUES.tolist() == values.tolist()


def test_no_value_lies_in_the_approaching_margin():
    assert not ((VALUES > 0.0) & (VALUES <= APPROACHING_MARGIN)).any()


calls = st.tuples(
    st.one_of(st.integers(0, 1_000_000), st.integers(0, 2**32 - 1)),
    st.one_of(st.integers(0, 30_000), st.integers(0, 2**64 - 1)),
    st.booleans(),
)


@given(st.lists(calls, min_size=1, max_size=20), st.integers(1, 12))
def test_averages_levels_and_classification(pattern, repeats):
    monitor = HjiReachability()
    averages, breaches = [0.0] * 3, 0
    for observed, (risk, latency, adverse) in enumerate(pattern * repeats, 1):
        inputs = (risk / 1e6, min(math.log1p(float(latency)) / 10.0, 1.0), float(adverse))
        averages = [0.95 * old + 0.05 * new for old, new in zip(averages, inputs, strict=True)]
        state = monitor.observe(risk, latency, adverse)
        levels = [min(math.floor(average * 4), 3) for average in averages]
        value = VALUES[levels[0] * 16 + levels[1] * 4 + levels[2]]
        if observed < 64:
            expected = HjiState.CALIBRATING
        else:
            expected = HjiState.BREACHED if value <= 0.0 else HjiState.SAFE
            breaches += value <= 0.0
        assert state is expected
    assert monitor.summary() == (state, value, breaches, *levels)
    assert monitor.current_value == value
    assert monitor.breach_count == breaches


def test_average_of_a_constant_risk_stalls_below_it():
    monitor = HjiReachability()
    for _ in range(5000):
        state = monitor.observe(750_000, 0, False)
    assert state is HjiState.SAFE
    assert monitor.record["risk_ewma"] == 0.7499999999999979


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((-1, 0, False), ValueError),
        ((2**32, 0, False), ValueError),
        ((0, 2**64, False), ValueError),
        ((0.5, 0, False), TypeError),
        ((0, 0, 1), TypeError),
    ],
)
def test_bad_input_changes_nothing(arguments, error):
    monitor = HjiReachability()
    before = monitor.record.tobytes()
    with pytest.raises(error, match="must be"):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
