"""The growth estimate against NumPy and known trajectories, the shared pass, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors import obstruction_detector, operator_norm
from runtime_math.monitors.obstruction_detector import ObstructionDetector
from runtime_math.monitors.operator_norm import (
    CALIBRATION_CALLS,
    GROWTH,
    OperatorNorm,
    OperatorNormState,
)
from runtime_math.numerics.running_deviation import SIGNAL_COUNT, track

VECTORS = st.lists(
    st.lists(st.integers(0, 4), min_size=SIGNAL_COUNT, max_size=SIGNAL_COUNT),
    min_size=1,
    max_size=60,
)


def by_vectors(vectors):
    """Radius and coherence by whole-vector operations."""
    mean, previous = np.array(vectors[0], float), np.zeros(SIGNAL_COUNT)
    radius, coherence = 0.5, 0.0
    for vector in vectors[1:]:
        mean = 0.95 * mean + 0.05 * np.array(vector)
        deviation = vector - mean
        norm, before = np.linalg.norm(deviation), np.linalg.norm(previous)
        if norm > 0.1 and before > 0.1:
            cosine = min(abs(deviation @ previous) / (norm * before), 1.0)
            radius = 0.95 * radius + 0.05 * (1 + cosine * (norm / before - 1))
            coherence = 0.95 * coherence + 0.05 * cosine
        previous = deviation
    return radius, coherence, np.linalg.norm(previous)


@given(VECTORS)
def test_estimates_follow_the_vector_form(vectors):
    monitor = OperatorNorm()
    for vector in vectors:
        monitor.observe(vector)
    radius, coherence, norm = by_vectors(vectors)
    summary = monitor.summary()
    assert summary.spectral_radius == pytest.approx(radius, rel=1e-9)
    assert summary.directional_coherence == pytest.approx(coherence, rel=1e-9, abs=1e-12)
    assert summary.deviation_norm == pytest.approx(norm, rel=1e-9, abs=1e-12)
    assert 0.0 <= summary.directional_coherence <= 1.0
    assert summary.spectral_radius > 0.0


@given(VECTORS)
def test_one_pass_serves_both_monitors_bit_for_bit(vectors):
    detector, norm = ObstructionDetector(), OperatorNorm()
    shared, growth = ObstructionDetector(), np.zeros(1, GROWTH)
    operator_norm.init_growth(growth[0])
    for vector in vectors:
        severity = np.array(vector, np.uint8)
        sums = track(shared.record["tracker"], severity)
        codes = (
            obstruction_detector.observe_deviation(shared.record, sums[0]),
            operator_norm.observe_deviation(growth[0], *sums),
        )
        assert codes == (detector.observe(vector), norm.observe(vector))
    assert shared.record.tobytes() == detector.record.tobytes()
    assert operator_norm.summary(growth[0]) == operator_norm.summary(norm.record)


def run(codes):
    """Feed vectors of one repeated code; returns the monitor."""
    monitor = OperatorNorm()
    for code in codes:
        monitor.observe([code] * SIGNAL_COUNT)
    return monitor


def test_exact_reversal_counts_as_fully_coherent_and_settles_at_one():
    summary = run([call % 2 for call in range(2000)]).summary()
    assert summary.spectral_radius == pytest.approx(1.0, rel=1e-6)
    assert summary.directional_coherence == pytest.approx(1.0)


def test_a_fading_disturbance_pulls_the_radius_to_the_decay_of_the_mean():
    monitor = run([0, *([255] * 150)])
    # The deviation shrinks by the smoothing factor in every step: 255 * 5 * 0.95^k is above 0.1.
    expected = 0.95 + (0.5 - 0.95) * 0.95**149
    assert monitor.summary().spectral_radius == pytest.approx(expected, rel=1e-6)
    assert monitor.state is OperatorNormState.MARGINAL


def test_quiet_input_freezes_the_estimate_and_a_frozen_alarm_goes_on_counting():
    monitor = run([3 if call % 9 == 1 else 1 for call in range(1, 137)])
    assert monitor.state is OperatorNormState.UNSTABLE
    quiet = [1] * SIGNAL_COUNT
    # One step away from the threshold of the norms, so that the alarm does not fade first.
    monitor.record["tracker"]["running_mean"] = 1.0
    monitor.observe(quiet)
    before = monitor.summary()
    for _ in range(50):
        assert monitor.observe(quiet) is OperatorNormState.UNSTABLE
    after = monitor.summary()
    assert after.spectral_radius == before.spectral_radius
    assert after.instability_count == before.instability_count + 50


def test_no_verdict_before_calibration_and_no_count_at_its_last_call():
    monitor = run([3 if call % 9 == 1 else 1 for call in range(1, CALIBRATION_CALLS)])
    assert monitor.state is OperatorNormState.CALIBRATING
    for count in (0, 1, 2):
        assert monitor.observe([1] * SIGNAL_COUNT) is OperatorNormState.UNSTABLE
        assert monitor.summary().instability_count == count


def test_bad_input_is_refused():
    monitor = OperatorNorm()
    with pytest.raises(ValueError, match=r"severity\[3\] must be from 0 to 255, got 256"):
        monitor.observe([0, 0, 0, 256] + [0] * 21)
    with pytest.raises(TypeError, match="severity must hold uint8 values"):
        monitor.observe([1.5] * 25)
    assert monitor.summary().total_observations == 0
