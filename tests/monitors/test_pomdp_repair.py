"""The belief and the look-ahead against matrix algebra, long-run verdicts, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors import pomdp_repair
from runtime_math.monitors.pomdp_repair import (
    CALIBRATION_CALLS,
    COST,
    LIKELIHOOD,
    TRANSITION,
    PomdpRepair,
    PomdpState,
)
from runtime_math.types import MembraneAction

CALLS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 600_000), st.integers(0, 2**32 - 1)),
        st.integers(0, 3),
        st.booleans(),
    ),
    min_size=1,
    max_size=80,
)


def lookahead(belief):
    """Value of the two-step decision tree: act, see the level, act once more."""
    return [
        belief @ COST[action]
        + 0.95
        * sum((belief @ TRANSITION[action])[level] * COST[:, level].min() for level in range(4))
        for action in range(4)
    ]


@given(CALLS)
def test_belief_and_values_follow_bayes_and_bellman(calls):
    monitor, belief = PomdpRepair(), np.full(4, 0.25)
    smoothed = None
    for risk_ppm, action, adverse in calls:
        monitor.observe(risk_ppm, action, adverse)
        bucket = np.searchsorted([50_000, 200_000, 500_000], risk_ppm, side="right")
        belief = LIKELIHOOD[int(adverse), :, bucket] * (belief @ TRANSITION[action])
        belief /= belief.sum()
        optimum, cost = min(lookahead(belief)), belief @ COST[action]
        latest = np.array([np.clip((cost - optimum) / optimum, 0, 2), -optimum, -cost])
        smoothed = latest if smoothed is None else smoothed + 0.05 * (latest - smoothed)
    summary = monitor.summary()
    assert summary.belief == pytest.approx(belief, rel=1e-9)
    assert sum(summary.belief) == pytest.approx(1.0)
    assert monitor.optimal_cost == pytest.approx(optimum, rel=1e-9)
    assert summary.optimality_gap == pytest.approx(smoothed[0], rel=1e-7, abs=1e-9)
    assert (summary.optimal_value, summary.observed_value) == pytest.approx(smoothed[1:], rel=1e-9)
    assert 0.0 <= summary.optimality_gap <= 2.0


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4).filter(any))
def test_the_optimum_is_concave_and_never_small(weights):
    belief = np.array(weights) / sum(weights)
    corners = [pomdp_repair.optimal_cost(corner) for corner in np.eye(4)]
    optimum = pomdp_repair.optimal_cost(belief)
    assert corners == pytest.approx([0.19, 3.596, 3.52, 2.121])
    assert optimum >= belief @ corners - 1e-12
    assert optimum == pytest.approx(min(lookahead(belief)), rel=1e-12)


def test_the_model_is_a_model():
    np.testing.assert_allclose(TRANSITION.sum(axis=2), 1.0)
    np.testing.assert_allclose(LIKELIHOOD[0].sum(axis=1), 1.0)
    assert LIKELIHOOD[1] / LIKELIHOOD[0] == pytest.approx(np.outer([0.7, 0.9, 1.2, 1.5], [1] * 4))


@pytest.mark.parametrize(
    ("risk_ppm", "adverse", "codes"),
    [
        (0, False, (1, 3, 3, 3)),
        (49_999, True, (1, 3, 3, 3)),
        (50_000, False, (3, 1, 2, 3)),
        (199_999, True, (3, 1, 1, 3)),
        (200_000, False, (3, 3, 1, 2)),
        (499_999, True, (3, 3, 1, 1)),
        (500_000, False, (3, 3, 1, 1)),
        (2**32 - 1, True, (3, 3, 2, 1)),
    ],
)
def test_long_run_verdict_of_each_constant_policy(risk_ppm, adverse, codes):
    for action, code in zip(MembraneAction, codes, strict=True):
        monitor = PomdpRepair()
        states = [
            monitor.observe(risk_ppm, action, adverse) for _ in range(CALIBRATION_CALLS + 300)
        ]
        assert set(states[: CALIBRATION_CALLS - 1]) == {PomdpState.CALIBRATING}
        assert states[-1] == code
        # Counted from the call after calibration on, though the verdict exists one call earlier.
        counted = states[CALIBRATION_CALLS:].count(PomdpState.POLICY_DIVERGENCE)
        assert monitor.summary().divergence_count == counted


def test_a_gap_of_zeros_decays_to_rest_bit_for_bit():
    monitor = PomdpRepair()
    monitor.observe(10_000, 0, False)
    while pomdp_repair.expected_cost_now(monitor.record, 0) > monitor.optimal_cost:
        monitor.observe(10_000, 0, False)
    gap = float(monitor.record["optimality_gap"])
    for _ in range(15_000):
        pomdp_repair.observe(monitor.record, 10_000, 0, False)
        gap = gap + 0.05 * (0.0 - gap)
    assert monitor.summary().optimality_gap == gap == 9 * 2.0**-1074
    assert monitor.state is PomdpState.OPTIMAL


@given(st.integers(3, 255), st.booleans())
def test_unknown_actions_count_as_deny(action_code, adverse):
    unknown, deny = PomdpRepair(), PomdpRepair()
    for risk_ppm in (10_000, 300_000, 700_000):
        unknown.observe(risk_ppm, action_code, adverse)
        deny.observe(risk_ppm, MembraneAction.DENY, adverse)
    assert unknown.record.tobytes() == deny.record.tobytes()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, 0, False), ValueError, "risk_ppm must be an integer"),
        ((2**32, 0, False), ValueError, "risk_ppm must be an integer"),
        ((0.5, 0, False), TypeError, "risk_ppm must be an integer"),
        ((0, 256, False), ValueError, "action_code must be an integer from 0 to 255"),
        ((0, 0, 0), TypeError, "adverse must be a bool"),
    ],
)
def test_bad_input_is_refused(arguments, error, message):
    monitor = PomdpRepair()
    with pytest.raises(error, match=message):
        monitor.observe(*arguments)
    assert monitor.summary().total_observations == 0
