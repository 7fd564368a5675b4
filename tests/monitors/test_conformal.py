"""The conformal monitor against p-values from sorting, its coverage guarantee, and bad input."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.conformal import WINDOW, Conformal, ConformalState

score = st.one_of(
    st.integers(-3, 3).map(float), st.floats(-10.0, 10.0), st.sampled_from([math.inf, -math.inf])
)


@given(st.lists(score, min_size=1, max_size=60), st.integers(1, 12))
def test_violations_threshold_and_coverage_follow_from_ranks(pattern, repeats):
    monitor = Conformal()
    seen, violations, coverage = [], 0, 1.0
    for value in pattern * repeats:
        window = seen[-WINDOW:]
        p_value = Fraction(sum(other >= value for other in window) + 1, len(window) + 1)
        violations += p_value <= Fraction(1, 20)
        coverage = 0.02 * (p_value > Fraction(1, 20)) + 0.98 * coverage
        seen.append(value)
        state = monitor.observe(value)
    values = monitor.summary()
    ordered = sorted(seen[-WINDOW:])
    rank = math.ceil(Fraction(19, 20) * (len(ordered) + 1))
    assert values.violation_count == violations
    assert values.empirical_coverage == coverage
    assert values.conformal_threshold == ordered[min(rank, len(ordered)) - 1]
    expected = 3 if coverage < 0.85 else 2 if coverage < 0.90 else 1
    assert state == (expected if len(seen) >= 64 else 0)


def test_exchangeable_scores_are_covered_at_the_nominal_rate():
    scores = np.random.default_rng(21).normal(size=20_000)
    monitor = Conformal()
    for value in scores:
        monitor.observe(value)
    rate = monitor.summary().violation_count / len(scores)
    # With a full window the p-value is uniform on k/257, so 12 of 257 ranks violate.
    assert rate == pytest.approx(12 / 257, abs=4 * math.sqrt(0.05 * 0.95 / len(scores)))


def test_jump_to_a_constant_level_violates_twelve_times():
    monitor = Conformal()
    for _ in range(WINDOW):
        monitor.observe(0.1)
    states = [monitor.observe(0.9) for _ in range(60)]
    assert monitor.summary().violation_count == 12
    assert states[11] is ConformalState.COVERAGE_FAILURE
    assert states[59] is ConformalState.COVERED


def test_empty_window_has_an_infinite_threshold():
    assert Conformal().conformal_threshold == math.inf


@pytest.mark.parametrize(
    ("value", "error"), [(math.nan, ValueError), (True, TypeError), ("0.1", TypeError)]
)
def test_bad_scores_change_nothing(value, error):
    monitor = Conformal()
    before = monitor.record.tobytes()
    with pytest.raises(error, match="score must"):
        monitor.observe(value)
    assert monitor.record.tobytes() == before
