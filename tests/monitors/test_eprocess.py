"""The e-process against its textbook form, its bounds, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runtime_math.monitors.eprocess import (
    LOG_E_CAP,
    LOG_E_FLOOR,
    EProcess,
    EProcessState,
)
from runtime_math.types import FAMILY_COUNT, ApiFamily


def test_e_value_is_the_bernoulli_likelihood_ratio():
    outcomes = np.random.default_rng(1).random(60) < 0.1
    monitor = EProcess()
    for adverse in outcomes:
        monitor.observe(ApiFamily.LOADER, adverse)
    log_ratio = (
        stats.bernoulli.logpmf(outcomes, 0.20) - stats.bernoulli.logpmf(outcomes, 0.02)
    ).sum()
    assert monitor.e_value(ApiFamily.LOADER) == pytest.approx(math.exp(log_ratio), rel=1e-4)


@given(st.lists(st.tuples(st.integers(0, FAMILY_COUNT - 1), st.booleans()), max_size=200))
def test_log_e_stays_bounded_and_families_are_independent(calls):
    monitor = EProcess(warmup_calls=0)
    alone = {family: EProcess(warmup_calls=0) for family in ApiFamily}
    for family, adverse in calls:
        assert monitor.observe(family, adverse) == alone[family].observe(family, adverse)
    log_e = monitor.record["log_e"]
    assert ((log_e >= LOG_E_FLOOR) & (log_e <= LOG_E_CAP)).all()
    assert monitor.max_e_value >= 1.0
    alarmed = sum(monitor.state(family) == EProcessState.ALARM for family in ApiFamily)
    assert monitor.alarmed_family_count == alarmed


@given(st.integers(0, 63))
def test_calibrating_until_warm(calls):
    monitor = EProcess()
    for _ in range(calls):
        monitor.observe(0, True)
    assert monitor.state(0) is EProcessState.CALIBRATING


def test_ville_bound_holds_for_the_uncapped_part_of_a_null_stream():
    # With the floor the process restarts, so the bound is checked before it can act: 60 calls.
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(400):
        monitor = EProcess(warmup_calls=0, warning_e=20.0, alarm_e=20.0)
        alarms += any(
            monitor.observe(0, adverse) == EProcessState.ALARM for adverse in rng.random(60) < 0.02
        )
    assert alarms / 400 <= 1 / 20 + 3 * math.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((9, True), ValueError, "family must be a member of ApiFamily"),
        ((-1, True), ValueError, "family must be a member of ApiFamily"),
        ((True, True), TypeError, "family must be a member of ApiFamily"),
        ((0, 1), TypeError, "adverse must be a bool"),
        ((0, float("nan")), TypeError, "adverse must be a bool"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = EProcess()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before


@pytest.mark.parametrize("rate", [math.nan, 1.0, 0.999999])
def test_null_rate_that_leaves_no_room_is_refused(rate):
    with pytest.raises(ValueError, match="null_rate"):
        EProcess(null_rate=rate)
