"""The concentration index against SciPy's norms, its limits, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import norm

from runtime_math.monitors.atiyah_bott import (
    CALIBRATION_CALLS,
    SIGNAL_COUNT,
    AtiyahBott,
    AtiyahBottState,
)

VECTORS = st.lists(st.integers(0, 4), min_size=SIGNAL_COUNT, max_size=SIGNAL_COUNT)
BYTES = st.lists(st.integers(0, 255), min_size=SIGNAL_COUNT, max_size=SIGNAL_COUNT)


def equal_anomalies(count, code=3):
    return [code] * count + [1] * (SIGNAL_COUNT - count)


@given(BYTES, st.randoms(use_true_random=False))
def test_index_is_the_squared_ratio_of_norms_of_the_anomalies(severity, random):
    monitor, shuffled = AtiyahBott(), AtiyahBott()
    monitor.observe(severity)
    shuffled.observe(random.sample(severity, SIGNAL_COUNT))
    assert shuffled.record.tobytes() == monitor.record.tobytes()
    anomalies = np.array([code for code in severity if code > 1], dtype=float)
    expected = (norm(anomalies) / norm(anomalies, 1)) ** 2 if anomalies.size else 0.0
    summary = monitor.summary()
    assert summary.localization_index == pytest.approx(expected, rel=1e-12)
    assert summary.non_fixed_count == anomalies.size
    assert summary.fixed_point_fraction == (SIGNAL_COUNT - anomalies.size) / SIGNAL_COUNT


@given(st.lists(VECTORS, min_size=1, max_size=60))
def test_shares_stay_in_the_unit_interval_and_average_the_raw_values(vectors):
    monitor = AtiyahBott()
    raw, fixed = [], []
    for severity in vectors:
        monitor.observe(severity)
        raw.append(monitor.record["last_raw_localization"])
        fixed.append(sum(code <= 1 for code in severity) / SIGNAL_COUNT)
    decay = 0.95 ** np.arange(len(vectors))[::-1]
    weights = 0.05 * decay
    weights[0] = decay[0]
    summary = monitor.summary()
    assert summary.localization_index == pytest.approx(weights @ raw, rel=1e-9)
    assert summary.fixed_point_fraction == pytest.approx(weights @ fixed, rel=1e-9)
    assert 0.0 <= summary.euler_weight <= summary.localization_index <= 1.0


@pytest.mark.parametrize(
    ("count", "state"),
    [
        (0, AtiyahBottState.DISTRIBUTED),
        (1, AtiyahBottState.CONCENTRATED_ANOMALY),
        (2, AtiyahBottState.LOCALIZED),
        (3, AtiyahBottState.DISTRIBUTED),
        (25, AtiyahBottState.DISTRIBUTED),
    ],
)
@pytest.mark.parametrize("code", [2, 4, 255])
def test_equal_anomalies_settle_at_one_over_their_number(count, state, code):
    monitor = AtiyahBott()
    states = [monitor.observe(equal_anomalies(count, code)) for _ in range(CALIBRATION_CALLS + 2)]
    assert set(states[: CALIBRATION_CALLS - 1]) == {AtiyahBottState.CALIBRATING}
    assert set(states[CALIBRATION_CALLS - 1 :]) == {state}
    summary = monitor.summary()
    assert summary.localization_index == pytest.approx(1 / count if count else 0.0)
    # The verdict of the last calibration call is not counted, the two after it are.
    assert summary.concentration_count == (2 if count == 1 else 0)


def test_recovery_passes_from_concentrated_through_localized_to_distributed():
    monitor = AtiyahBott()
    for _ in range(CALIBRATION_CALLS):
        monitor.observe(equal_anomalies(1))
    passed = [monitor.observe(equal_anomalies(0)) for _ in range(60)]
    assert passed == sorted(passed, reverse=True)
    assert set(passed) == {3, 2, 1}


def test_the_index_comes_to_rest_where_plain_arithmetic_does():
    monitor = AtiyahBott()
    monitor.observe(equal_anomalies(0))
    index = 300 * 2.0**-1074
    monitor.record["localization_index"] = index
    for _ in range(200):
        state = monitor.observe(equal_anomalies(0))
        index = index + 0.05 * (0.0 - index)
    assert monitor.summary().localization_index == index == 9 * 2.0**-1074
    assert state is AtiyahBottState.DISTRIBUTED


@pytest.mark.parametrize(
    ("severity", "error", "message"),
    [
        ([0] * 24, ValueError, r"severity must be an array of shape \(25,\)"),
        ([[0] * 25], ValueError, r"severity must be an array of shape \(25,\)"),
        ([0.0] * 25, TypeError, "severity must hold uint8 values"),
        ([0] * 24 + [256], ValueError, r"severity\[24\] must be from 0 to 255"),
        ([-1] + [0] * 24, ValueError, r"severity\[0\] must be from 0 to 255"),
    ],
)
def test_bad_vectors_are_refused(severity, error, message):
    monitor = AtiyahBott()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe(severity)
    assert monitor.record.tobytes() == before
