"""Fusion against the textbook form of Hedge with fixed share, its bounds, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.fusion import (
    BONUS_SCALE_PPM,
    MAX_BONUS_PPM,
    MIXED_IN,
    SIGNAL_COUNT,
    Fusion,
)
from runtime_math.types import SafetyLevel

SEVERITIES = st.lists(st.integers(0, 255), min_size=SIGNAL_COUNT, max_size=SIGNAL_COUNT)
CALLS = st.lists(st.tuples(SEVERITIES, st.booleans(), st.sampled_from(SafetyLevel)), max_size=12)


def run(calls):
    """Return the monitor after the calls."""
    monitor = Fusion()
    for call in calls:
        monitor.observe(*call)
    return monitor


def active(*signals):
    """Return severities of 4 at the signals and 0 elsewhere."""
    return [4 if signal in signals else 0 for signal in range(SIGNAL_COUNT)]


@given(CALLS)
def test_trust_follows_hedge_with_fixed_share(calls):
    log_trust = np.full(SIGNAL_COUNT, -np.log(SIGNAL_COUNT))
    for severity, adverse, _ in calls:
        before = np.exp(log_trust)
        share = np.minimum(severity, 4) / 4
        loss = 1 - share if adverse else 0.2 + 0.8 * share
        posterior = log_trust - 0.14 * loss
        posterior = np.exp(posterior - np.logaddexp.reduce(posterior))
        log_trust = np.log(0.98 * posterior + 0.02 / SIGNAL_COUNT)
    monitor = run(calls)
    trust = np.exp(log_trust)
    np.testing.assert_allclose(monitor.weights, trust, rtol=1e-12)
    if calls:
        moved = np.abs(trust - before).sum() / 2
        bonus = trust @ share * BONUS_SCALE_PPM[calls[-1][2]] + (moved * 90_000 if adverse else 0)
        assert monitor.summary.bonus_ppm == pytest.approx(min(bonus, MAX_BONUS_PPM), abs=2)
        assert monitor.summary.drift_ppm == pytest.approx(moved * 1e6, abs=1)
        entropy = -(trust * log_trust).sum() / np.log(SIGNAL_COUNT)
        assert monitor.entropy_milli == pytest.approx(entropy * 1000, abs=1)


@given(CALLS)
def test_outputs_stay_bounded_and_no_signal_is_written_off(calls):
    monitor = run(calls)
    values = monitor.summary
    assert 0 <= values.bonus_ppm <= MAX_BONUS_PPM
    assert 0 <= values.entropy_milli <= 1000
    assert 0 <= values.drift_ppm <= 1_000_000
    assert values.dominant_signal == int(np.argmax(monitor.weights))
    assert monitor.weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert monitor.weights.min() > 0.99 * MIXED_IN


@given(SEVERITIES, st.integers(0, SIGNAL_COUNT - 1), st.sampled_from(SafetyLevel))
def test_an_adverse_outcome_moves_trust_to_the_severe_signals(severity, signal, mode):
    severity[signal] = 4
    monitor = Fusion()
    monitor.observe(severity, True, mode)
    weights = monitor.weights
    order = np.minimum(severity, 4)
    assert weights[signal] == weights.max()
    for low in range(4):
        if low in order and low + 1 in order:
            assert weights[order == low].max() < weights[order == low + 1].min()


def test_the_reporting_signal_takes_over_and_saturates():
    monitor = run([(active(7), True, SafetyLevel.HARDENED)] * 300)
    assert monitor.summary.bonus_ppm == 272_828
    assert monitor.summary.dominant_signal == 7
    assert monitor.weights[7] == pytest.approx(0.8526, abs=1e-4)
    assert monitor.observe(active(7), False, SafetyLevel.HARDENED) == 262_987


@pytest.mark.parametrize(("mode", "bonus_ppm"), [(0, 220_000), (1, MAX_BONUS_PPM), (2, 80_000)])
def test_full_severity_earns_the_scale_of_the_mode(mode, bonus_ppm):
    monitor = run([([4] * SIGNAL_COUNT, False, mode)])
    assert monitor.summary.bonus_ppm == pytest.approx(bonus_ppm, abs=1)


def test_severities_above_the_highest_count_as_the_highest():
    for adverse in (False, True):
        clipped, unclipped = active(3, 9), [5, *active(3, 9)[1:]]
        clipped[0], unclipped[3] = 4, 255
        left = run([(clipped, adverse, 0)])
        right = run([(unclipped, adverse, 0)])
        assert left.record.tobytes() == right.record.tobytes()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([0] * 30, True, 0), ValueError),
        (([0.5] * 31, True, 0), TypeError),
        (([256] * 31, True, 0), ValueError),
        (([0] * 31, None, 0), TypeError),
        (([0] * 31, True, 3), ValueError),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error):
    monitor = Fusion()
    before = monitor.record.tobytes()
    with pytest.raises(error):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
