"""The Pareto ledger against exact rational arithmetic, its invariants, and bad input."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.pareto import HYSTERESIS_MILLI, REGRET_CAP_MILLI, Pareto
from runtime_math.types import ApiFamily, SafetyLevel, ValidationProfile

FAST, FULL = ValidationProfile
COSTS = st.one_of(st.integers(0, 500), st.integers(0, 2**64 - 1))
RISKS = st.one_of(st.integers(0, 200_000), st.integers(0, 2**32 - 1))
MODES = st.sampled_from(SafetyLevel)
FAMILY = ApiFamily.STDIO


def loss(mode, latency_ns, rate_ppm):
    """Weighted loss in thousandths, by exact fractions of the latency budget and of certainty."""
    latency_weight, risk_weight = [(750, 250), (250, 750), (1000, 0)][mode]
    latency = min(Fraction(latency_ns, 200), 2)
    return floor(latency_weight * latency + risk_weight * min(Fraction(rate_ppm, 10**6), 1))


class Ledger:
    """One family kept as a list of outcomes per arm."""

    def __init__(self):
        self.outcomes = {FAST: [], FULL: []}
        self.regret = self.enforcements = 0

    def arm_loss(self, mode, arm, risk_ppm):
        prior = risk_ppm if arm == FAST else risk_ppm // 2
        outcomes = self.outcomes[arm]
        if not outcomes:
            return loss(mode, 12 if arm == FAST else 70, prior)
        latency_ns = sum(cost for cost, _ in outcomes) % 2**64 // len(outcomes)
        rate_ppm = sum(adverse for _, adverse in outcomes) * 10**6 // len(outcomes)
        return loss(mode, latency_ns, (3 * rate_ppm + prior) // 4)

    def observe(self, mode, chosen, cost, adverse, risk_ppm):
        counterfactual = self.arm_loss(mode, FULL if chosen == FAST else FAST, risk_ppm)
        self.outcomes[chosen].append((cost, adverse))
        regret = max(loss(mode, cost, adverse * 10**6) - counterfactual, 0)
        charged = min(regret, max(int(REGRET_CAP_MILLI[mode, FAMILY]) - self.regret, 0))
        self.regret += charged
        self.enforcements += charged < regret


@given(st.data(), st.lists(st.tuples(MODES, st.sampled_from([FAST, FULL]), COSTS, st.booleans(),
                                     RISKS), max_size=40))  # fmt: skip
def test_ledger_and_losses_agree_with_exact_arithmetic(data, calls):
    monitor, ledger = Pareto(), Ledger()
    start = data.draw(st.sampled_from([0, 119_000, 219_500]))
    monitor.record["regret_milli"][FAMILY] = ledger.regret = start
    for mode, chosen, cost, adverse, risk_ppm in calls:
        monitor.observe(mode, FAMILY, chosen, cost, adverse, risk_ppm)
        ledger.observe(mode, chosen, cost, adverse, risk_ppm)
    assert monitor.cumulative_regret_milli == ledger.regret
    assert monitor.cap_enforcement_count == ledger.enforcements
    mode, risk_ppm = data.draw(MODES), data.draw(RISKS)
    fast, full = (ledger.arm_loss(mode, arm, risk_ppm) for arm in (FAST, FULL))
    exhausted = ledger.regret >= REGRET_CAP_MILLI[mode, FAMILY]
    assert monitor.is_budget_exhausted(mode, FAMILY) == exhausted
    expected = full <= fast if exhausted else full + HYSTERESIS_MILLI < fast
    expected = expected and mode != SafetyLevel.OFF
    answer = monitor.recommend_profile(mode, FAMILY, risk_ppm, 2**32 - 1, 2**32 - 1)
    if risk_ppm < (2**31 - 1 if mode == SafetyLevel.HARDENED else 2**32 - 1):
        assert answer == expected


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), MODES)
def test_high_risk_gates_come_first(risk_ppm, full_trigger, repair_trigger, mode):
    monitor = Pareto()
    answer = monitor.recommend_profile(mode, FAMILY, risk_ppm, full_trigger, repair_trigger)
    gate = repair_trigger // 2 if mode == SafetyLevel.HARDENED else full_trigger
    if mode == SafetyLevel.OFF:
        assert answer == FAST
    elif risk_ppm >= min(gate, full_trigger):
        assert answer == FULL


@pytest.mark.parametrize("mode", [SafetyLevel.STRICT, SafetyLevel.HARDENED])
@pytest.mark.parametrize("family", ApiFamily)
def test_regret_stops_at_the_cap_for_good(mode, family):
    monitor = Pareto()
    cap = int(REGRET_CAP_MILLI[mode, family])
    calls = 0
    while not monitor.is_budget_exhausted(mode, family):
        monitor.observe(mode, family, FULL, 80, True, 20_000)
        calls += 1
    assert 100 < calls < 500
    monitor.observe(mode, family, FULL, 80, True, 20_000)
    assert monitor.cumulative_regret_milli == cap
    enforced = monitor.cap_enforcement_count
    assert enforced >= 1
    monitor.recommend_profile(mode, family, 20_000, 220_000, 980_000)
    assert monitor.cap_enforcement_count == enforced + 1
    assert monitor.summary(mode).exhausted_family_count == 1
    assert monitor.exhausted_family_count(SafetyLevel.OFF) == 0


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        ("observe", (0, 0, 2, 1, True, 0), "chosen"),
        ("observe", (0, 0, 0, 2**64, True, 0), "latency_ns"),
        ("observe", (0, 0, 0, 1, True, 2**32), "risk_ppm"),
        ("recommend_profile", (0, 9, 0, 0, 0), "family"),
        ("is_budget_exhausted", (3, 0), "mode"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(operation, arguments, message):
    monitor = Pareto()
    before = monitor.record.tobytes()
    with pytest.raises(ValueError, match=message):
        getattr(monitor, operation)(*arguments)
    assert monitor.record.tobytes() == before
