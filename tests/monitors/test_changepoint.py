"""The change-point monitor against a plain Bayesian recursion, its bounds, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.changepoint import RUN_LENGTHS, Changepoint, ChangepointState


def posterior_by_recursion(outcomes):
    """Adams & MacKay's recursion, written for clarity: normalised, one float per run length."""
    lengths = np.arange(RUN_LENGTHS)
    hazard = 1.0 / (lengths + 200.0)
    probability, adverse, seen = (np.zeros(RUN_LENGTHS) for _ in range(3))
    probability[0] = 1.0
    for outcome in outcomes:
        predictive = (1.0 + adverse) / (2.0 + seen)
        joint = probability * (predictive if outcome else 1.0 - predictive)
        reset = (joint * hazard).sum()
        probability = np.concatenate([[reset], (joint * (1.0 - hazard))[:-1]])
        probability /= probability.sum()
        adverse = np.concatenate([[0.0], adverse[:-1]]) + float(outcome)
        seen = np.concatenate([[0.0], seen[:-1]]) + 1.0
    return probability


@pytest.mark.parametrize("rates", [(0.02,), (0.5,), (0.0, 1.0), (0.01, 0.3, 0.9)])
@pytest.mark.parametrize("length", [1, 40, 255, 256, 257, 1300])
def test_posterior_is_that_of_the_plain_recursion(rates, length):
    rng = np.random.default_rng(length)
    outcomes = rng.random(length) < np.repeat(rates, -(-length // len(rates)))[:length]
    monitor = Changepoint()
    for outcome in outcomes:
        monitor.observe(outcome)
    expected = posterior_by_recursion(outcomes)
    np.testing.assert_allclose(monitor.run_length_posterior(), expected, rtol=1e-10)
    assert monitor.summary().posterior_short_mass == pytest.approx(expected[:16].sum(), rel=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 120)), min_size=1, max_size=6))
def test_bounds_counts_and_entries(stretches):
    monitor = Changepoint()
    history, entries, record, previous = [], 0, 0, ChangepointState.CALIBRATING
    for outcome, repeats in stretches:
        for _ in range(repeats):
            history.append(outcome)
            state = monitor.observe(outcome)
            values = monitor.summary()
            assert 0.0 <= values.posterior_short_mass <= 1.0 + 1e-12
            assert record <= values.max_run_length <= min(len(history), 255)
            assert (state == ChangepointState.CALIBRATING) == (len(history) < 32)
            entries += state == ChangepointState.CHANGE_POINT != previous
            record, previous = values.max_run_length, state
    assert values.change_point_count == entries
    posterior = monitor.run_length_posterior()
    assert posterior.sum() == pytest.approx(1.0, abs=1e-12)
    assert record >= posterior.argmax()
    adverse, observed = monitor.run_counts()
    assert adverse.tolist() == [sum(history[-length:]) for length in observed]


def test_losing_the_founding_run_shocks_the_short_mass():
    monitor = Changepoint()
    short = []
    for _ in range(300):
        monitor.observe(False)
        short.append(monitor.summary().posterior_short_mass)
    assert short[254] == pytest.approx(0.011175162848275421, rel=1e-9)
    assert short[255] == pytest.approx(0.1730568575243, rel=1e-9)
    states = [monitor.observe(True) for _ in range(16)]
    assert states[0] is ChangepointState.STABLE
    assert states[3] is ChangepointState.CHANGE_POINT
    assert states[15] is ChangepointState.STABLE
    assert monitor.summary().change_point_count == 1


def test_total_mass_is_lifted_before_it_can_underflow():
    # A fair coin halves the unnormalised total at each call: 2^-6000 without the lift.
    outcomes = np.random.default_rng(5).random(6000) < 0.5
    monitor = Changepoint()
    totals = []
    for outcome in outcomes:
        monitor.observe(outcome)
        totals.append(monitor.record["total_mass"])
    assert min(totals) >= 2.0**-256
    expected = posterior_by_recursion(outcomes)
    np.testing.assert_allclose(monitor.run_length_posterior(), expected, rtol=1e-9)


@pytest.mark.parametrize("value", [1, 0.0, None, "yes"])
def test_outcome_must_be_a_bool(value):
    monitor = Changepoint()
    before = monitor.record.tobytes()
    with pytest.raises(TypeError, match="adverse must be a bool"):
        monitor.observe(value)
    assert monitor.record.tobytes() == before
