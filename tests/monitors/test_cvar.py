"""The CVaR states against the full formula in integers, its radius table, and bad input."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.cvar import FEWEST_PULLS, Cvar, CvarState, radius
from runtime_math.types import ApiFamily, SafetyLevel, ValidationProfile

BUDGETS = (20, 200)
LIMIT = 2**64 - 1
THRESHOLDS = {SafetyLevel.STRICT: (1700, 2600), SafetyLevel.HARDENED: (1400, 2200)}


class Model:
    """One family: latencies in lists, every ratio computed in full."""

    def __init__(self):
        self.latencies = ([], [])

    def ratio(self, samples, tail, tail_sum, budget):
        mean = tail_sum // tail if tail else budget
        share = (1.0 + 1.62762363071873 / math.sqrt(samples)) - 1.0 if samples else 0.0
        robust = min(mean + math.ceil(share * budget), LIMIT)
        return robust, min(robust * 1000, LIMIT) // budget

    def statistics(self):
        counts, tails, sums, ratios, robust = [], [], [], [], []
        for budget, latencies in zip(BUDGETS, self.latencies, strict=True):
            tail = [latency for latency in latencies if latency > budget]
            counts.append(len(latencies))
            tails.append(len(tail))
            sums.append(sum(tail) % 2**64)
            value, ratio = self.ratio(counts[-1], tails[-1], sums[-1], budget)
            robust.append(value)
            ratios.append(ratio)
        total = sum(counts)
        aggregate = 1000
        if total:
            budget = (20 * counts[0] + 200 * counts[1]) // total
            aggregate = self.ratio(total, sum(tails), min(sum(sums), LIMIT), budget)[1]
        return total, robust, ratios, aggregate

    def state(self, mode, statistics):
        total, _, ratios, aggregate = statistics
        if total < 64:
            return CvarState.CALIBRATING
        if mode == SafetyLevel.OFF:
            return CvarState.NORMAL
        warning, alarm = THRESHOLDS[mode]
        worst = max(*ratios, aggregate)
        return CvarState(3 if worst >= alarm else 2 if worst >= warning else 1)


latency = (
    st.integers(0, 60)
    | st.integers(180, 600)
    | st.integers(2**63 - 2, LIMIT)
    | st.sampled_from([20, 21, 28, 33, 44, 51, 200, 201])
)
runs = st.lists(st.tuples(st.integers(0, 1), latency, st.integers(1, 120)), min_size=1, max_size=7)


@given(runs)
def test_states_and_ratios_are_those_of_the_formula(plan):
    monitor, model = Cvar(), Model()
    for profile, value, repeats in plan:
        for _ in range(repeats):
            monitor.observe(ApiFamily.RESOLVER, profile, value)
            model.latencies[profile].append(value)
        statistics = model.statistics()
        _, robust, ratios, aggregate = statistics
        for mode in SafetyLevel:
            state = monitor.family_state(mode, ApiFamily.RESOLVER)
            assert state == model.state(mode, statistics)
        slots = [monitor.slot_statistics(ApiFamily.RESOLVER, p) for p in ValidationProfile]
        assert [slot.robust_cvar_ns for slot in slots] == robust
        assert [slot.ratio_permille for slot in slots] == ratios
        assert monitor.aggregate_ratio(ApiFamily.RESOLVER) == aggregate
        assert monitor.family_robust_cvar_ns(ApiFamily.RESOLVER) == max(robust)
    assert monitor.family_state(SafetyLevel.STRICT, ApiFamily.STDIO) == CvarState.CALIBRATING


@pytest.mark.parametrize("profile", ValidationProfile)
def test_the_table_of_radii_has_the_exact_number_of_pulls(profile):
    budget = BUDGETS[profile]
    for allowed in range(1, radius(1, budget) + 1):
        pulls = int(FEWEST_PULLS[profile, allowed])
        assert radius(pulls, budget) <= allowed
        assert pulls == 1 or radius(pulls - 1, budget) > allowed


@pytest.mark.parametrize("profile", ValidationProfile)
def test_kept_radius_is_the_radius_at_every_count(profile):
    monitor = Cvar()
    slot = 2 * ApiFamily.LOADER + profile
    for pulls in range(1, 3_000):
        monitor.observe(ApiFamily.LOADER, profile, 10)
        assert monitor.record["radius_ns"][slot] == radius(pulls, BUDGETS[profile])


def test_telemetry_leaves_out_the_last_family_and_counts_the_one_before_twice():
    for family in ApiFamily:
        monitor = Cvar()
        for _ in range(64):
            monitor.observe(family, ValidationProfile.FAST, 900)
        expected = {ApiFamily.STDLIB: 0, ApiFamily.LOADER: 2}.get(family, 1)
        assert monitor.alarmed_family_count(SafetyLevel.HARDENED) == expected
        worst = 200 if family is ApiFamily.STDLIB else 905
        assert monitor.summary(SafetyLevel.OFF) == (worst, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((9, 0, 1), ValueError, "family must be a member of ApiFamily"),
        ((0, 2, 1), ValueError, "profile must be a member of ValidationProfile"),
        ((0, 0, -1), ValueError, "latency_ns must be an integer from 0"),
        ((0, 0, float("nan")), TypeError, "latency_ns must be an integer"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = Cvar()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
