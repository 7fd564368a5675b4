"""The loss minimiser against a convolution of its losses, its stated limits, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from runtime_math.monitors.loss_minimizer import LossMinimizer, LossState
from runtime_math.types import MembraneAction

OUTCOMES = st.lists(
    st.tuples(st.integers(0, 255), st.booleans(), st.integers(0, 2**64 - 1) | st.integers(0, 9000)),
    max_size=120,
)


def losses_of(adverse, cost_ns):
    cost = min(cost_ns / 1000, 10)
    if adverse:
        return [10 + cost, 1.5 + 0.3 * cost, 0.9 + 0.35 * cost, 1.5 + 0.1 * cost]
    return [max(0.1 * cost - 0.8, 0), 0.5 + 0.3 * cost, 0.6 + 0.35 * cost, 1.5]


def state_of(count, losses):
    """The state from its definition, ratio first."""
    smallest, largest = min(losses), max(losses)
    if count < 32:
        return LossState.CALIBRATING
    if smallest > 2.0:
        return LossState.COST_EXPLOSION
    biased = smallest > 0.0 and (math.inf if smallest < 1e-300 else largest / smallest) > 2.5
    leader = losses.index(smallest)
    return LossState(leader) if biased and leader >= 2 else LossState.BALANCED


@given(OUTCOMES)
def test_losses_are_a_first_order_filter_of_the_losses_of_each_action(outcomes):
    monitor = LossMinimizer()
    for outcome in outcomes:
        monitor.observe(*outcome)
    if outcomes:
        table = np.array([losses_of(adverse, cost) for _, adverse, cost in outcomes])
        filtered = signal.lfilter([0.05], [1.0, -0.95], table, axis=0)[-1]
        np.testing.assert_allclose(monitor.record["loss"], filtered, rtol=1e-9, atol=1e-12)
    counts = np.bincount([min(action, 3) for action, _, _ in outcomes], minlength=4)
    assert monitor.record["action_counts"].tolist() == counts.tolist()


@given(OUTCOMES)
def test_state_recommendation_and_explosions_follow_from_the_losses(outcomes):
    monitor, explosions, previous = LossMinimizer(), 0, LossState.CALIBRATING
    for count, outcome in enumerate(outcomes, 1):
        state = monitor.observe(*outcome)
        losses = monitor.record["loss"].tolist()
        assert state == state_of(count, losses)
        expected = 1 if count < 32 else losses.index(min(losses))
        assert monitor.recommended_action == expected
        explosions += state != previous and state == LossState.COST_EXPLOSION
        previous = state
    assert monitor.summary.cost_explosion_count == explosions
    assert monitor.state == previous


@pytest.mark.parametrize(
    ("cost_ns", "action", "state"),
    [
        (2_399, MembraneAction.REPAIR, LossState.REPAIR_BIASED),
        (2_401, MembraneAction.DENY, LossState.DENY_BIASED),
        (4_900, MembraneAction.DENY, LossState.DENY_BIASED),
        (5_100, MembraneAction.DENY, LossState.COST_EXPLOSION),
    ],
)
def test_steady_adverse_regimes(cost_ns, action, state):
    monitor = LossMinimizer()
    for _ in range(400):
        latest = monitor.observe(MembraneAction.ALLOW, True, cost_ns)
    assert (latest, monitor.recommended_action) == (state, action)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=32, max_size=100))
def test_clean_traffic_never_explodes(costs):
    monitor = LossMinimizer()
    states = {monitor.observe(0, False, cost) for cost in costs}
    assert LossState.COST_EXPLOSION not in states


def test_allow_loss_decays_to_its_subnormal_fixed_point():
    monitor = LossMinimizer()
    monitor.observe(0, True, 0)
    for _ in range(14_600):
        state = monitor.observe(0, False, 0)
    assert monitor.summary.allow_loss_ewma == 9 * 2.0**-1074
    assert state is LossState.BALANCED


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((256, True, 1), ValueError, "action_taken must be an integer from 0 to 255"),
        ((0, 1, 1), TypeError, "adverse must be a bool"),
        ((0, True, -1), ValueError, "estimated_cost_ns must be an integer"),
        ((0, True, 1.0), TypeError, "estimated_cost_ns must be an integer"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = LossMinimizer()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
