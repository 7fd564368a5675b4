"""Sparse recovery against dense matrix algebra, its invariants, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from runtime_math.monitors.sparse import (
    ALL_PROBES,
    CAUSE_COUNT,
    MIXING,
    SHRINKAGE,
    STEP,
    WARMUP_OBSERVATIONS,
    Sparse,
    SparseState,
)
from runtime_math.types import PROBE_COUNT

MASKS = st.one_of(st.just(0), st.just(ALL_PROBES), st.integers(0, 2**32 - 1))
CALLS = st.lists(st.tuples(MASKS, MASKS, st.booleans()), max_size=40)


def bits(mask):
    """Return the executed or anomalous probes of a mask as an array of 0 and 1."""
    return np.array([mask >> probe & 1 for probe in range(PROBE_COUNT)], float)


def run(calls, monitor=None):
    """Return the monitor after the calls."""
    monitor = monitor or Sparse()
    for call in calls:
        monitor.observe(*call)
    return monitor


@given(CALLS)
def test_each_call_is_one_shrinkage_step(calls):
    monitor = Sparse()
    causes, smoothed = np.zeros(CAUSE_COUNT), 0.0
    for mask, anomaly_mask, adverse in calls:
        monitor.observe(mask, anomaly_mask, adverse)
        ran = bits(mask).astype(bool)
        if ran.any():
            error = np.clip(MIXING[ran] @ causes, 0, 1.5) - bits(anomaly_mask)[ran]
            smoothed = 0.93 * smoothed + 0.07 * np.sqrt(np.mean(error**2))
            stepped = causes - STEP * MIXING[ran].T @ error
            causes = np.minimum(np.maximum(stepped - SHRINKAGE, 0.0), 4.0)
    np.testing.assert_allclose(monitor.causes, causes, rtol=1e-9, atol=1e-12)
    values = monitor.summary
    assert values.residual_ewma == pytest.approx(smoothed, rel=1e-9)
    assert values.l1_energy == pytest.approx(causes.sum(), rel=1e-9, abs=1e-12)
    assert values.support_size == np.count_nonzero(monitor.causes > 0.06)
    assert monitor.record["observations"] == sum(mask & ALL_PROBES != 0 for mask, *_ in calls)


@pytest.mark.parametrize("flags", [1 << 5, 1 << 9 | 1 << 10, 0b11111])
def test_steady_flags_converge_to_the_penalised_solution(flags):
    monitor = run([(ALL_PROBES, flags, False)] * 3000)
    target = bits(flags)

    # Shrinking by SHRINKAGE at steps of STEP solves the problem with penalty SHRINKAGE / STEP.
    def objective(causes):
        error = MIXING @ causes - target
        gradient = MIXING.T @ error + SHRINKAGE / STEP
        return 0.5 * error @ error + SHRINKAGE / STEP * causes.sum(), gradient

    solution = optimize.minimize(
        objective, np.zeros(CAUSE_COUNT), jac=True, bounds=[(0, 4)] * CAUSE_COUNT, tol=1e-14
    )
    np.testing.assert_allclose(monitor.causes, solution.x, atol=1e-5)


@given(CALLS, CALLS)
def test_bits_beyond_the_probes_and_flags_beyond_the_mask_are_ignored(calls, noise):
    clean = run([(m & ALL_PROBES, m & a & ALL_PROBES, adverse) for m, a, adverse in calls])
    noisy = run(calls)
    run([(mask & ~ALL_PROBES, flags, adverse) for mask, flags, adverse in noise], noisy)
    assert clean.summary == noisy.summary
    assert clean.causes.tobytes() == noisy.causes.tobytes()
    assert clean.record["observations"] == noisy.record["observations"]


@given(st.integers(1, ALL_PROBES), st.integers(0, ALL_PROBES), st.booleans())
def test_classification_starts_after_the_warmup(mask, flags, adverse):
    monitor = run([(mask, flags, adverse)] * (WARMUP_OBSERVATIONS - 1))
    assert monitor.summary.state is SparseState.CALIBRATING
    assert monitor.observe(mask, flags, adverse) is not SparseState.CALIBRATING


@pytest.mark.parametrize(
    ("mask", "flags", "adverse", "state"),
    [
        (ALL_PROBES, 0, False, SparseState.STABLE),
        (1 << 4, 1 << 4, False, SparseState.FOCUSED),
        (1 << 4, 1 << 4, True, SparseState.CRITICAL),
        (ALL_PROBES, ALL_PROBES, True, SparseState.DIFFUSE),
    ],
)
def test_every_state_is_reached(mask, flags, adverse, state):
    monitor = run([(mask, flags, adverse)] * 80)
    assert monitor.summary.state is state
    expected = 80 - WARMUP_OBSERVATIONS + 1 if state is SparseState.CRITICAL else 0
    assert monitor.summary.critical_count == expected


@given(st.integers(1, ALL_PROBES), st.integers(1, 60))
def test_calm_lets_the_residual_decay(mask, calls):
    monitor = Sparse()
    monitor.record["residual_ewma"] = 0.5
    run([(mask, 0, True)] * calls, monitor)
    assert monitor.summary.residual_ewma == pytest.approx(0.5 * 0.93**calls, rel=1e-12)
    assert not monitor.causes.any()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((-1, 0, True), ValueError), ((0, 2**32, True), ValueError), ((0, [True] * 17, True),
     TypeError), ((1, 1, 1), TypeError)],
)  # fmt: skip
def test_bad_input_is_refused_and_changes_nothing(arguments, error):
    monitor = Sparse()
    before = monitor.record.tobytes()
    with pytest.raises(error):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
