"""The probe plans against a plain greedy D-optimal design, their invariants, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.design import (
    ADVERSE,
    ALL_PROBES,
    ALWAYS,
    FEATURES,
    FORGETTING_PERIOD,
    HEALING,
    PROBE_COST_NS,
    TOPOLOGICAL,
    Design,
)
from runtime_math.types import PROBE_COUNT, Probe, SafetyLevel

PLAN_ARGUMENTS = st.tuples(
    st.sampled_from(SafetyLevel), st.integers(0, 1_200_000), st.booleans(), st.booleans()
)
MASKS = st.integers(0, ALL_PROBES)
# Bursts of one probe leave the matrix nearly singular; mixtures are what a kernel records.
RECORDS = st.lists(
    st.one_of(
        st.tuples(MASKS, MASKS, st.integers(1, 40)),
        st.tuples(st.sampled_from([1 << p for p in Probe]), MASKS, st.integers(1, 400)),
    ),
    max_size=5,
)


def fed(records):
    """Return a monitor after (mask, anomaly mask, repetitions) records."""
    monitor = Design()
    for mask, anomaly_mask, repetitions in records:
        for _ in range(repetitions):
            monitor.record_probes(mask, anomaly_mask)
    return monitor


def greedy_plan(information, mode, risk_ppm, adverse_hint, fast_over_budget):
    """Plan with one dense log-determinant per probe; also the smallest relative score gap."""
    risk = risk_ppm / 1e6
    budget = {0: 90, 1: 220, 2: 45}[mode]
    if fast_over_budget:
        budget = budget * 3 // 4
    mask = ALWAYS
    if adverse_hint or risk >= 0.20:
        mask |= ADVERSE
    if mode == SafetyLevel.HARDENED and (adverse_hint or risk >= 0.15):
        mask |= HEALING
    deferred = TOPOLOGICAL if fast_over_budget and risk < 0.5 else 0
    cost = sum(PROBE_COST_NS[p] for p in Probe if mask >> p & 1)
    scores = {}
    for probe in Probe:
        if not (mask | deferred) >> probe & 1:
            v = np.array(FEATURES[probe])
            trial = information + (0.25 + 2.5 * risk) * np.outer(v, v)
            gain = np.linalg.slogdet(trial)[1] - np.linalg.slogdet(information)[1]
            scores[probe] = gain / (PROBE_COST_NS[probe] + 1)
    ranking = sorted(scores, key=scores.get, reverse=True)
    for probe in ranking:
        if cost + PROBE_COST_NS[probe] <= budget:
            mask |= 1 << probe
            cost += PROBE_COST_NS[probe]
    values = [scores[probe] for probe in ranking]
    gap = min((a - b) / a for a, b in zip(values, values[1:], strict=False))
    return (mask, budget, cost), gap


@given(RECORDS, st.lists(PLAN_ARGUMENTS, min_size=1, max_size=4))
def test_plans_are_those_of_the_plain_greedy_design(records, requests):
    monitor = fed(records)
    for arguments in requests:
        expected, gap = greedy_plan(monitor.information, *arguments)
        if gap > 1e-4:  # the oracle itself is no better where the matrix is nearly singular
            assert tuple(monitor.choose_plan(*arguments)) == expected


@given(RECORDS, PLAN_ARGUMENTS)
def test_plan_invariants(records, arguments):
    monitor = fed(records)
    plan = monitor.choose_plan(*arguments)
    cost = sum(PROBE_COST_NS[p] for p in Probe if plan.mask >> p & 1)
    assert plan.expected_cost_ns == cost
    assert plan.mask & ALWAYS == ALWAYS
    assert monitor.summary.selected_count == plan.mask.bit_count() >= 3
    deferred = TOPOLOGICAL if arguments[3] and arguments[1] < 500_000 else 0
    left_out = [PROBE_COST_NS[p] for p in Probe if not (plan.mask | deferred) >> p & 1]
    assert all(cost + more > plan.budget_ns for more in left_out)
    assert (
        monitor.choose_plan(*arguments) == plan == Design.choose_plan.__get__(monitor)(*arguments)
    )


@given(st.integers(0, 3 * FORGETTING_PERIOD), MASKS, MASKS)
def test_batches_equal_single_records_bit_for_bit(earlier, mask, anomaly_mask):
    batch = Design()
    batch.record["observations"] = earlier
    single = batch.copy()
    for _ in range(3):
        batch.record_probes(mask, anomaly_mask)
        for probe in Probe:
            if mask >> probe & 1:
                single.record_probe(probe, bool(anomaly_mask >> probe & 1))
    for field in ("fisher", "observations", "anomaly_events"):
        assert batch.record[field].tobytes() == single.record[field].tobytes()


@given(RECORDS)
def test_identifiability_follows_the_determinant(records):
    monitor = fed(records)
    log_determinant = np.linalg.slogdet(monitor.information)[1]
    assert monitor.log_determinant == pytest.approx(log_determinant, rel=1e-5)
    expected = 1e6 * max(0.0, 1.0 - math.exp(-0.05 * (log_determinant + 20.0)))
    assert 0 <= monitor.identifiability_ppm <= 1_000_000
    assert monitor.identifiability_ppm == pytest.approx(expected, abs=2.0)


@given(RECORDS, st.sampled_from(Probe), st.booleans())
def test_a_record_adds_information(records, probe, anomaly):
    monitor = fed(records)
    monitor.record["observations"] = 0  # no forgetting in between
    before = monitor.identifiability_ppm
    monitor.record_probe(probe, anomaly)
    assert monitor.identifiability_ppm >= before


def test_exact_ties_keep_the_order_of_the_probes():
    # So much information that no trial changes the log-determinant: every gain is exactly 0.
    monitor = Design()
    monitor.record["fisher"][[0, 2, 5, 9]] = 1e18
    plan = monitor.choose_plan(SafetyLevel.STRICT, 0, False, False)
    assert [p for p in Probe if plan.mask >> p & 1] == [0, 1, 3, 4, 5, 6]


def test_forgetting_bounds_the_information():
    monitor = Design()
    for _ in range(12 * FORGETTING_PERIOD):
        monitor.record_probe(Probe.CVAR, False)
    per_period = 0.2 * FORGETTING_PERIOD * FEATURES[Probe.CVAR][1] ** 2
    assert monitor.information[1, 1] == pytest.approx(
        per_period * sum(0.985**k for k in range(1, 13)), rel=1e-3
    )


@pytest.mark.parametrize(
    ("operation", "arguments", "error", "message"),
    [
        ("choose_plan", (3, 0, False, False), ValueError, "mode"),
        ("choose_plan", (0, -1, False, False), ValueError, "risk_ppm"),
        ("choose_plan", (0, 0.5, False, False), TypeError, "risk_ppm"),
        ("record_probe", (PROBE_COUNT, True), ValueError, "probe"),
        ("record_probes", (1 << PROBE_COUNT, 0), ValueError, "mask"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(operation, arguments, error, message):
    monitor = Design()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        getattr(monitor, operation)(*arguments)
    assert monitor.record.tobytes() == before
