"""The large-deviations monitor against SciPy's divergence and binomial tails, and bad input."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.stats import binom

from runtime_math.monitors.large_deviations import (
    BLOCK,
    FAMILIES,
    RATES,
    LargeDeviations,
    LargeDeviationsState,
)


@given(st.floats(0.0, 1.0), st.floats(0.001, 0.999))
def test_rate_is_the_relative_entropy(x, p):
    expected = rel_entr(x, p) + rel_entr(1.0 - x, 1.0 - p)
    assert LargeDeviations.binary_kl(x, p) == pytest.approx(expected, abs=1e-12)


@given(st.floats(0.001, 0.19), st.integers(20, 2000))
def test_rate_bounds_the_binomial_tail(p, calls):
    # Chernoff: P(at least x n adverse of n) <= exp(-n I(x)).
    for threshold, rate in zip((0.05, 0.10, 0.20), LargeDeviations.rate_profile(p), strict=True):
        tail = binom.sf(math.ceil(threshold * calls) - 1, calls, p)
        assert tail <= math.exp(-calls * rate) * (1 + 1e-9)


def fill_block(monitor, family, adverse):
    for call in range(BLOCK):
        state = monitor.observe(family, call < adverse)
    return state


@given(st.lists(st.integers(0, 60), min_size=1, max_size=9), st.integers(0, FAMILIES - 1))
def test_blocks_follow_the_textbook_recursion(counts, family):
    monitor = LargeDeviations()
    baseline, anomalies = [0.0] * 3, 0
    for number, count in enumerate(counts):
        rates = LargeDeviations.rate_profile(count / BLOCK)
        state = fill_block(monitor, family, count)
        drop = max([0.0] + [(b - r) / b for b, r in zip(baseline, rates, strict=True) if b > 1e-12])
        weight = 1.0 / (number + 1) if number < 4 else 0.03
        if number < 4:
            expected = LargeDeviationsState.CALIBRATING
        elif drop > 0.4:
            expected = 3 if drop > 0.8 else 2
            anomalies += 1
            weight = 0.0
        else:
            expected = LargeDeviationsState.NORMAL
        assert state == expected
        baseline = [(1 - weight) * b + weight * r for b, r in zip(baseline, rates, strict=True)]
        assert monitor.record["baseline"][family] == pytest.approx(baseline)
        values = monitor.summary(family)
        assert values.anomaly_count == anomalies == monitor.max_anomaly_count
        assert list(values[2:5]) == rates
    assert values.empirical_adverse_rate == pytest.approx(sum(counts) / (BLOCK * len(counts)))
    assert monitor.elevated_family_count == (monitor.state(family) >= 2)


def test_one_adverse_call_is_critical_after_a_clean_baseline():
    monitor = LargeDeviations()
    states = [fill_block(monitor, 0, count) for count in (0, 0, 0, 0, 0, 1, 0)]
    assert [int(state) for state in states] == [0, 0, 0, 0, 1, 3, 1]


def test_baseline_above_all_thresholds_is_always_normal():
    monitor = LargeDeviations()
    states = [fill_block(monitor, 0, count) for count in (60, 70, 80, 90, 256)]
    assert states[-1] is LargeDeviationsState.NORMAL


def test_rates_vanish_from_the_threshold_on():
    assert (RATES[52:] == 0.0).all() and (RATES[:52, 2] > 0.0).all()


@given(st.integers(FAMILIES, 2**32 - 1), st.booleans())
def test_families_without_state_are_ignored(family, adverse):
    monitor = LargeDeviations()
    before = monitor.record.tobytes()
    assert monitor.observe(family, adverse) is LargeDeviationsState.CALIBRATING
    assert monitor.record.tobytes() == before
    assert not any(monitor.summary(family))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((-1, True), ValueError), ((1.0, True), TypeError), ((0, 1), TypeError)],
)
def test_bad_input_changes_nothing(arguments, error):
    monitor = LargeDeviations()
    before = monitor.record.tobytes()
    with pytest.raises(error, match="must be"):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
