"""The coupling controller against its definition, Hoeffding's inequality, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runtime_math.monitors import coupling
from runtime_math.monitors.coupling import Coupling, CouplingState


def bound_of(total, divergences):
    return divergences / total + math.sqrt(math.log(200.0) / (2.0 * total))


def state_of(total, divergences):
    if total < 48:
        return CouplingState.CALIBRATING
    bound = bound_of(total, divergences)
    return CouplingState(1 + sum(bound >= tolerance for tolerance in (0.05, 0.15, 0.30)))


def run_against_definition(monitor, disagreements):
    """Feed pairs, and compare every state with an evaluation from scratch."""
    total = monitor.summary.total_observations
    divergences = monitor.summary.divergence_count
    for differs in disagreements:
        total, divergences = total + 1, divergences + differs
        assert monitor.observe(0, int(differs), False) == state_of(total, divergences), total
    return divergences


@given(
    st.lists(st.tuples(st.integers(1, 150), st.sampled_from([0, 1, 2, 5, 20, 100])), max_size=8),
    st.randoms(use_true_random=False),
)
def test_state_equals_a_fresh_evaluation_of_the_bound(phases, random):
    monitor = Coupling()
    for length, percent in phases:
        run_against_definition(monitor, [random.random() * 100 < percent for _ in range(length)])


@pytest.mark.parametrize("total", [10**5, 10**9])
@pytest.mark.parametrize("tolerance", [0.05, 0.15, 0.30])
def test_state_around_a_tolerance_after_a_long_history(total, tolerance):
    radius = math.sqrt(math.log(200.0) / (2.0 * total))
    monitor = Coupling()
    monitor.record["total_observations"] = total
    monitor.record["divergence_count"] = math.floor((tolerance - radius) * total) - 100
    monitor.record["quiet_observations"] = 0
    before = monitor.observe(0, 0, False)
    run_against_definition(monitor, [True] * 200)
    assert monitor.state == before + 1
    run_against_definition(monitor, [False] * 300)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.booleans()), max_size=100))
def test_pair_table_and_conditional_average(pairs):
    monitor = Coupling()
    table, average = np.zeros((16, 16), np.int64), 0.0
    for strict, hardened, adverse in pairs:
        monitor.observe(strict, hardened, adverse)
        table[min(strict, 15), min(hardened, 15)] += 1
        if adverse:
            average += 0.03 * ((strict != hardened) - average)
    assert np.array_equal(monitor.record["pair_counts"], table)
    assert monitor.record["adverse_disagreement_ewma"] == pytest.approx(average, abs=1e-12)
    assert monitor.agreement_count == sum(strict == hardened for strict, hardened, _ in pairs)
    assert monitor.certification_valid == (monitor.summary.certification_margin > 0)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_bound_covers_the_true_rate_with_99_percent_confidence(rate):
    total = 200
    counts = np.arange(total + 1)
    covered = np.array([bound_of(total, count) >= rate for count in counts])
    assert stats.binom.pmf(counts[~covered], total, rate).sum() <= coupling.FAILURE_PROBABILITY
    monitor = Coupling()
    run_against_definition(monitor, [False] * (total - 60) + [True] * 60)
    assert monitor.summary.divergence_bound == pytest.approx(bound_of(total, 60), rel=1e-15)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((256, 0, True), ValueError, "strict_action must be an integer from 0 to 255"),
        ((0, -1, True), ValueError, "hardened_action must be an integer from 0 to 255"),
        ((0, 0, 1), TypeError, "adverse must be a bool"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = Coupling()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
