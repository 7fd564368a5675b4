"""The obstruction detector against a matrix form, its scaling, its slow recovery, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.faithful.signals import Signal
from runtime_math.monitors.obstruction_detector import (
    CALIBRATION_CALLS,
    PAIR_COUNT,
    PAIRS,
    ObstructionDetector,
    ObstructionState,
)
from runtime_math.numerics.running_deviation import SIGNAL_COUNT

VECTORS = st.lists(
    st.lists(st.integers(0, 4), min_size=SIGNAL_COUNT, max_size=SIGNAL_COUNT),
    min_size=1,
    max_size=60,
)


def by_covariance_matrix(vectors):
    """Smoothed norm from the full running covariance matrix, of which the pairs are entries."""
    mean, covariance = np.array(vectors[0], float), np.zeros((SIGNAL_COUNT, SIGNAL_COUNT))
    smoothed, residual = 0.0, np.zeros(PAIR_COUNT)
    for vector in vectors[1:]:
        mean = 0.95 * mean + 0.05 * np.array(vector)
        deviation = vector - mean
        outer = np.outer(deviation, deviation)
        covariance = 0.95 * covariance + 0.05 * outer
        residual = (outer - covariance)[tuple(PAIRS.T)]
        norm = max(np.linalg.norm(deviation), 1e-10)
        smoothed += 0.05 * (np.linalg.norm(residual) / norm - smoothed)
    return smoothed, residual


@given(VECTORS)
def test_norm_is_that_of_the_residual_of_the_covariance_matrix(vectors):
    monitor = ObstructionDetector()
    for vector in vectors:
        monitor.observe(vector)
    smoothed, residual = by_covariance_matrix(vectors)
    summary = monitor.summary()
    assert summary.obstruction_norm == pytest.approx(smoothed, rel=1e-8, abs=1e-9)
    assert summary.max_pair_obstruction == pytest.approx(abs(residual).max(), rel=1e-8, abs=1e-9)
    pairs = [monitor.pair_obstruction(pair) for pair in range(PAIR_COUNT)]
    assert summary.max_pair_obstruction == max(pairs)
    assert summary.obstructed_pair_count == sum(pair > 0.25 for pair in pairs)


@given(VECTORS)
def test_doubled_codes_double_the_obstruction_to_the_last_bit(vectors):
    single, double = ObstructionDetector(), ObstructionDetector()
    for vector in vectors:
        single.observe(vector)
        double.observe([2 * code for code in vector])
    assert double.summary().obstruction_norm == 2.0 * single.summary().obstruction_norm


def test_signals_outside_the_pairs_only_dampen():
    # SPARSE is in no pair: its deviation enters the divisor alone.
    without, beside = ObstructionDetector(), ObstructionDetector()
    for call in range(60):
        severity = np.ones(SIGNAL_COUNT, int)
        severity[[Signal.ANYTIME, Signal.CVAR]] = 3 if call % 7 == 0 else 1
        without.observe(severity)
        severity[Signal.SPARSE] = 4 * (call % 2)
        beside.observe(severity)
    assert 0.0 < beside.summary().obstruction_norm < without.summary().obstruction_norm
    np.testing.assert_array_equal(beside.record["covariance"], without.record["covariance"])


def test_a_disturbance_stays_critical_for_hundreds_of_quiet_calls():
    monitor = ObstructionDetector()
    states = [monitor.observe([3 if call % 9 == 1 else 1] * 25) for call in range(1, 137)]
    states += [monitor.observe([1] * 25) for _ in range(137, 801)]
    assert set(states[: CALIBRATION_CALLS - 1]) == {ObstructionState.CALIBRATING}
    assert set(states[CALIBRATION_CALLS - 1 : 625]) == {ObstructionState.CRITICAL_OBSTRUCTION}
    assert states[625] is ObstructionState.MINOR_OBSTRUCTION
    assert states[-1] is ObstructionState.EXACT
    # The verdict of call 128 itself is not counted.
    assert monitor.summary().critical_count == 625 - CALIBRATION_CALLS


@pytest.mark.parametrize("code", [0, 1, 255])
def test_constant_codes_leave_nothing_unexplained(code):
    monitor = ObstructionDetector()
    for _ in range(200):
        state = monitor.observe([code] * SIGNAL_COUNT)
    assert state is ObstructionState.EXACT
    assert monitor.summary().obstruction_norm == 0.0


def test_bad_input_is_refused():
    monitor = ObstructionDetector()
    with pytest.raises(ValueError, match=r"severity must be an array of shape \(25,\)"):
        monitor.observe([1] * 31)
    with pytest.raises(TypeError, match="severity must hold uint8 values"):
        monitor.observe([True] * 25)
    with pytest.raises(ValueError, match="pair must be an integer from 0 to 11"):
        monitor.pair_obstruction(12)
    assert monitor.summary().total_observations == 0
