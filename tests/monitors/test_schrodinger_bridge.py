"""The bridge monitor against plain scaling of a plan, linear programming, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from runtime_math.monitors.schrodinger_bridge import BLOCK, COST, BridgeState, SchrodingerBridge

cost = np.array(COST)
mixes = st.lists(st.integers(1, 100), min_size=4, max_size=4).map(
    lambda counts: np.array(counts) / sum(counts)
)


def regularised_cost(source, target):
    """Entropic transport cost of the limit, by alternating scaling of the Gibbs kernel."""
    plan = np.exp(-cost / 0.1)
    for _ in range(1500):
        plan *= (source / plan.sum(axis=1))[:, None]
        plan *= target / plan.sum(axis=0)
    return (plan * cost).sum()


@given(mixes, mixes)
def test_converged_distance_is_the_regularised_cost(source, target):
    distance, converged = SchrodingerBridge.sinkhorn_distance(source, target)
    if converged and distance > 0.0:
        # The rows are met to 1e-6 in total, and a unit of mass costs at most 4 to misplace.
        assert distance == pytest.approx(regularised_cost(source, target), abs=1e-4)


@given(mixes, mixes)
def test_distance_is_not_below_the_unregularised_optimum(source, target):
    rows = np.kron(np.eye(4), np.ones(4))
    columns = np.kron(np.ones(4), np.eye(4))
    optimum = linprog(
        cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([source, target])
    ).fun
    distance, converged = SchrodingerBridge.sinkhorn_distance(source, target)
    assert distance >= (optimum - 1e-5 if converged else 0.0)


def test_equal_mixes_have_distance_zero():
    assert SchrodingerBridge.sinkhorn_distance([0.25] * 4, [0.25] * 4) == (0.0, True)


blocks = st.lists(st.integers(0, BLOCK), min_size=3, max_size=3).map(
    lambda cuts: np.diff([0, *sorted(cuts), BLOCK]).tolist()
)


@given(st.lists(blocks, min_size=1, max_size=4), st.integers(1, 4))
def test_blocks_follow_the_textbook_recursion(pattern, repeats):
    monitor = SchrodingerBridge()
    baseline, transitions = 0.0, 0
    for number, counts in enumerate(pattern * repeats):
        for action, count in enumerate(counts):
            for _ in range(count):
                state = monitor.observe_action(action)
        shares = np.maximum(np.array(counts) / BLOCK, 1e-10)
        distance, _ = SchrodingerBridge.sinkhorn_distance(shares / shares.sum(), [0.25] * 4)
        expected, weight = BridgeState.STABLE, 0.05
        if number < 4:
            expected, weight = BridgeState.CALIBRATING, 1.0 / (number + 1)
        elif baseline > 1e-12 and distance / baseline > 2.5:
            expected, weight = BridgeState.TRANSITIONING, 0.0
            transitions += 1
        baseline = (1.0 - weight) * baseline + weight * distance
        assert state is expected
        values = monitor.summary()
        assert values.transport_distance == pytest.approx(distance, rel=1e-9, abs=1e-12)
        assert values.baseline_distance == pytest.approx(baseline, rel=1e-9, abs=1e-12)
        assert values.transition_count == monitor.transition_count == transitions


def test_uniform_history_takes_one_block_to_notice():
    # A baseline of zero gives no score, so the first deviating block is stable and lifts it.
    monitor = SchrodingerBridge()
    for call in range(8 * BLOCK):
        monitor.observe_action(call % 4)
    states = [monitor.observe_action(3) for _ in range(2 * BLOCK)]
    assert states[BLOCK - 1] is BridgeState.STABLE
    assert states[-1] is BridgeState.TRANSITIONING
    assert monitor.summary().transition_score == pytest.approx(20.0)


@given(st.integers(4, 2**32 - 1))
def test_unknown_actions_are_ignored(action):
    monitor = SchrodingerBridge()
    before = monitor.record.tobytes()
    monitor.observe_action(action)
    assert monitor.record.tobytes() == before


@pytest.mark.parametrize(("action", "error"), [(-1, ValueError), (0.0, TypeError)])
def test_bad_actions_are_refused(action, error):
    with pytest.raises(error, match="action must be"):
        SchrodingerBridge().observe_action(action)
