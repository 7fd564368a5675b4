"""The mean-field-game monitor against its fixed point and the ratio test, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from runtime_math.monitors.mean_field_game import (
    BLOCK,
    DAMPING,
    EQUILIBRIUM,
    EQUILIBRIUM_MEAN,
    LEVELS,
    PICARD_STEPS,
    MeanFieldGame,
    MeanFieldState,
)


def test_equilibrium_is_where_damped_picard_iteration_arrives():
    shares = np.full(LEVELS, 1.0 / LEVELS)
    for _ in range(PICARD_STEPS):
        shares = (1.0 - DAMPING) * shares + DAMPING * np.array(MeanFieldGame.best_response(shares))
        shares /= shares.sum()
    np.testing.assert_allclose(EQUILIBRIUM, shares, rtol=1e-13)
    assert MeanFieldGame.mean_contention(shares) == pytest.approx(EQUILIBRIUM_MEAN, rel=1e-13)
    # A fixed point up to the damped remainder of the start, 0.7^50.
    np.testing.assert_allclose(MeanFieldGame.best_response(shares), shares, rtol=1e-7)


@given(arrays(np.float64, LEVELS, elements=st.floats(0.0, 1.0)))
def test_best_response_is_the_logit_of_the_costs(shares):
    costs = np.array(MeanFieldGame.congestion_costs(shares))
    np.testing.assert_allclose(MeanFieldGame.best_response(shares), softmax(-costs / 0.5))
    np.testing.assert_allclose(np.diff(costs), 1.0 / LEVELS, rtol=1e-9)


def block_of(level_sum):
    """Hints of 256 calls, at two neighbouring levels, whose levels add up to `level_sum`."""
    low, rest = divmod(level_sum, BLOCK)
    return [(low + (call < rest)) << 13 for call in range(BLOCK)]


@given(st.lists(st.integers(0, 7 * BLOCK), min_size=5, max_size=8))
def test_states_follow_the_ratio_to_the_equilibrium(level_sums):
    monitor = MeanFieldGame()
    congested = 0
    for number, level_sum in enumerate(level_sums):
        states = [monitor.observe(hint) for hint in block_of(level_sum)]
        ratio = level_sum / BLOCK / 7.0 / EQUILIBRIUM_MEAN
        expected = 3 if ratio > 1.75 else 2 if ratio > 1.5 else 1
        if number < 4:
            expected = 0
        congested += expected >= 2
        assert states[-1] == expected
        assert len(set(states[:-1])) == 1
        assert monitor.congestion_count == congested
    means = [level_sum / BLOCK / 7.0 for level_sum in level_sums[:4]]
    assert monitor.record["baseline_mean"] == pytest.approx(np.mean(means), rel=1e-12)


@pytest.mark.parametrize(("level_sum", "code"), [(871, 1), (872, 2), (1016, 2), (1017, 3)])
def test_limits_are_between_neighbouring_sums(level_sum, code):
    monitor = MeanFieldGame()
    for _ in range(5):
        for hint in block_of(level_sum):
            state = monitor.observe(hint)
    assert state is MeanFieldState(code)


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=BLOCK - 1))
def test_summary_describes_the_unfinished_block(hints):
    monitor = MeanFieldGame()
    for hint in hints:
        monitor.observe(hint)
    expected = np.mean([hint * LEVELS // 65_536 for hint in hints]) / 7.0
    assert monitor.summary().mean_contention == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("hint", "error"), [(-1, ValueError), (65_536, ValueError), (1.0, TypeError)]
)
def test_bad_hints_change_nothing(hint, error):
    monitor = MeanFieldGame()
    before = monitor.record.tobytes()
    with pytest.raises(error, match="contention_hint must be"):
        monitor.observe(hint)
    assert monitor.record.tobytes() == before
