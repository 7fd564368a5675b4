"""The ADMM budget against SciPy's projection, a vector form of the method, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from runtime_math.monitors.admm_budget import AdmmBudget, BudgetState

COSTS = st.tuples(*[st.floats(-1.0, 2.0)] * 3)


def projection(point, cap):
    """Root of the sum constraint by bisection."""
    point = np.maximum(point, 0.0)
    if point.sum() <= cap:
        return point
    theta = optimize.brentq(
        lambda level: np.maximum(point - level, 0.0).sum() - cap, 0.0, point.max(), xtol=1e-15
    )
    return np.maximum(point - theta, 0.0)


@given(st.tuples(*[st.floats(-3.0, 3.0) | st.sampled_from([0.5, 1.0])] * 3), st.floats(0.1, 4.0))
def test_projection_equals_the_root_of_its_optimality_condition(point, cap):
    result = np.array(AdmmBudget.project_simplex(point, cap))
    np.testing.assert_allclose(result, projection(np.array(point), cap), atol=1e-12)
    assert (result >= 0.0).all()
    assert result.sum() <= cap + 1e-12
    np.testing.assert_allclose(AdmmBudget.project_simplex(result, cap), result, atol=1e-12)


@given(st.lists(COSTS, min_size=1, max_size=60))
def test_iterates_follow_the_method_of_multipliers(costs):
    monitor = AdmmBudget()
    x, z, y = np.full(3, 1 / 3), np.full(3, 1 / 3), np.zeros(3)
    smoothed = None
    for count, cost in enumerate(costs, 1):
        monitor.observe_and_update(*cost)
        gradient = -np.clip(cost, 0.0, 1.0) + y + (x - z)
        x = np.clip(x - 0.02 / (1.0 + 0.01 * math.sqrt(count)) * gradient, 0.0, 1.0)
        previous, z = z, projection(x + y, 1.0)
        y = y + x - z
        gap = (np.linalg.norm(x - z) + np.linalg.norm(z - previous)) / 2
        smoothed = gap if smoothed is None else 0.95 * smoothed + 0.05 * gap
    values = monitor.summary
    np.testing.assert_allclose(values.primal, x, atol=1e-10)
    np.testing.assert_allclose(values.dual, y, atol=1e-10)
    np.testing.assert_allclose(monitor.record["consensus"], z, atol=1e-10)
    assert values.primal_dual_gap == pytest.approx(smoothed, abs=1e-10)


@pytest.mark.parametrize("costs", [(0.3, 0.3, 0.3), (1.0, 0.0, 0.0), (0.9, 0.5, 0.1)])
def test_steady_costs_converge_to_equal_marginal_cost(costs):
    monitor = AdmmBudget()
    for _ in range(20_000):
        state = monitor.observe_and_update(*costs)
    assert state is BudgetState.CONVERGED
    assert monitor.summary.primal_dual_gap < 1e-3
    assert sum(monitor.summary.primal) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("before", [0, 200])
def test_nan_stays_in_its_coordinate_and_reads_as_converged(before):
    monitor = AdmmBudget()
    for call in range(before + 300):
        state = monitor.observe_and_update(math.nan if call == before else 0.5, 0.5, 0.5)
    assert state is BudgetState.CONVERGED
    assert np.isnan(monitor.summary.primal).tolist() == [True, False, False]
    assert math.isnan(monitor.summary.primal_dual_gap)
    assert monitor.record["consensus"][0] == 0.0


@given(st.integers(0, 2**64 - 1) | st.integers(120, 140), st.floats(0.0, 1.0))
def test_classify_and_the_violation_count(observations, gap):
    expected = BudgetState.CALIBRATING
    if observations >= 128:
        expected = BudgetState(1 + (gap >= 0.10) + (gap >= 0.35))
    assert AdmmBudget.classify(observations, gap) == expected
    monitor = AdmmBudget()
    monitor.record["observations"] = observations % 2**40
    monitor.record["smoothed_gap"] = 10.0
    violated = observations % 2**40 + 1 > 128
    assert monitor.observe_and_update(0.5, 0.5, 0.5) == (3 if violated else monitor.state)
    assert monitor.summary.violation_count == violated


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((None, 0.0, 0.0), "risk_cost must be a real"), ((0.0, 0.0, True), "coverage_gap must be")],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, message):
    monitor = AdmmBudget()
    before = monitor.record.tobytes()
    with pytest.raises(TypeError, match=message):
        monitor.observe_and_update(*arguments)
    assert monitor.record.tobytes() == before
