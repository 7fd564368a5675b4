"""The budget controller against its control law in exact arithmetic, its clamps, and bad input."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.control import PERIOD, Control
from runtime_math.types import SafetyLevel

BLOCKS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, PERIOD), st.integers(1, PERIOD)), max_size=8
)
MODES = list(SafetyLevel)


def prices(calls):
    """Follow the two prices over (cost, adverse) calls, by exact fractions."""
    latency = risk = total = adverse_total = 0
    for number, (cost, adverse) in enumerate(calls, 1):
        total += cost
        adverse_total += adverse
        if number % PERIOD == 0:
            excess_ns = total // number - 60
            excess_ppm = adverse_total * 10**6 // number - 8000
            latency += min(max(math.trunc(Fraction(excess_ns, 4)), -64), 64)
            risk += min(max(math.trunc(Fraction(excess_ppm, 256)), -128), 128)
    return latency, risk


def run(calls):
    """Return the monitor after (cost, adverse) calls."""
    monitor = Control()
    for cost, adverse in calls:
        monitor.observe(cost, adverse)
    return monitor


@given(BLOCKS)
def test_prices_and_triggers_follow_the_control_law(blocks):
    calls = [(cost, n < bad) for cost, bad, length in blocks for n in range(length)]
    monitor = run(calls)
    latency, risk = prices(calls)
    assert (monitor.record["lambda_latency"], monitor.record["lambda_risk"]) == (latency, risk)
    for mode, full, repair in zip(MODES, (220_000, 80_000, 10**6), (10**6, 140_000, 10**6),
                                  strict=True):  # fmt: skip
        limits = monitor.limits(mode)
        expected = min(max(full - risk + latency, 5_000), 900_000)
        assert limits.full_validation_trigger_ppm == expected
        expected = repair - math.trunc(risk / 2) + math.trunc(latency / 2)
        assert limits.repair_trigger_ppm == min(max(expected, 10_000), 980_000)


@given(st.integers(-(10**7), 10**7), st.integers(-(10**7), 10**7))
def test_triggers_stay_in_their_ranges(latency, risk):
    monitor = Control()
    monitor.record["lambda_latency"] = latency
    monitor.record["lambda_risk"] = risk
    for _ in range(PERIOD):
        monitor.observe(60, False)
    for mode in MODES:
        limits = monitor.limits(mode)
        assert 5_000 <= limits.full_validation_trigger_ppm <= 900_000
        assert 10_000 <= limits.repair_trigger_ppm <= 980_000


def test_prices_hold_still_between_updates():
    monitor = run([(10**6, True)] * (PERIOD - 1))
    before = [monitor.limits(mode) for mode in MODES]
    assert before == [Control().limits(mode) for mode in MODES]
    monitor.observe(10**6, True)
    assert monitor.record["lambda_latency"] == 64
    assert monitor.record["lambda_risk"] == 128
    assert monitor.limits(SafetyLevel.HARDENED).full_validation_trigger_ppm == 80_000 - 64


def test_largest_request_depends_on_the_mode_only():
    sizes = [Control().limits(mode).max_request_bytes for mode in MODES]
    assert sizes == [128 * 2**20, 256 * 2**20, (2**64 - 1) // 4]


def test_cost_sum_wraps():
    monitor = run([(2**64 - 1, False), (3, False)])
    assert monitor.record["total_cost_ns"] == 2


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((-1, False), ValueError), ((2**64, False), ValueError), ((1.0, False), TypeError),
     ((1, "no"), TypeError)],
)  # fmt: skip
def test_bad_input_is_refused_and_changes_nothing(arguments, error):
    monitor = Control()
    before = monitor.record.tobytes()
    with pytest.raises(error):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
