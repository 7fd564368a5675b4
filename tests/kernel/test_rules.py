"""What ordinary traffic seldom reaches: profile rules, sampled bonus, identifiability, actions."""

import numpy as np
import pytest

from runtime_math import (
    ApiFamily,
    MembraneAction,
    RuntimeContext,
    RuntimeMathKernel,
    SafetyLevel,
    jit,
)
from runtime_math.faithful.decide import apply_rules, choose_action, design_bonus_ppm
from runtime_math.faithful.signals import BONUS_PPM, CODE_COUNT, FAMILY_SIGNALS, Signal, publish
from runtime_math.monitors.tropical_latency import LatencyPath
from runtime_math.numerics.compilation import jitted

FULL_TRIGGER, REPAIR_TRIGGER = 300_000, 400_000
STRICT, HARDENED = 0, 1
FAST, FULL = 0, 1


@jitted
def rules_of(states, mode, family, risk_ppm, profiles):
    return apply_rules(states[0], mode, family, risk_ppm, FULL_TRIGGER, REPAIR_TRIGGER, profiles)


@jitted
def publish_into(states, signal, code):
    publish(states[0], signal, code)


def quiet_state():
    """State in which no rule fires: neutral bias, no codes, all probes, deep quarantine."""
    return jit.new_state(STRICT)


NESTED = {
    "faults": ("cohomology", "faults", ...),
    "fast_worst_case_ns": ("tropical_latency", "published_ns", (0, LatencyPath.FAST_EXIT)),
    "full_worst_case_ns": ("tropical_latency", "published_ns", (0, LatencyPath.FULL)),
    "quarantine_depth": ("quarantine_controller", "published_depth", ...),
}
RULES = [
    # (rule, changes of the state, mode, family, risk, (bandit, pareto, exhausted), profile)
    ("none", {}, STRICT, 0, 100_000, (FULL, FAST, False), FULL, 0),
    ("7a full bias", {"oracle_bias": 0}, STRICT, 0, 200_000, (FAST, FAST, False), FULL, 1),
    ("7a below", {"oracle_bias": 0}, STRICT, 0, 199_999, (FAST, FAST, False), FAST, 0),
    ("7a fast bias", {"oracle_bias": 2}, STRICT, 0, 100_000, (FULL, FAST, False), FAST, 2),
    ("7a above", {"oracle_bias": 2}, STRICT, 0, 100_001, (FULL, FAST, False), FULL, 0),
    ("7b", {"full_worst_case_ns": 201}, STRICT, 0, 399_999, (FULL, FAST, False), FAST, 4),
    ("7b at budget", {"full_worst_case_ns": 200}, STRICT, 0, 0, (FULL, FAST, False), FULL, 0),
    (
        "7c",
        {"full_worst_case_ns": 201, "fast_worst_case_ns": 21},
        STRICT,
        0,
        400_000,
        (FAST, FAST, False),
        FULL,
        8,
    ),
    ("7d heals", {"faults": 1}, HARDENED, 0, 0, (FAST, FAST, False), FULL, 16),
    ("7d strict", {"faults": 1}, STRICT, 0, 0, (FAST, FAST, False), FAST, 0),
    ("7e", {"design_selected_count": 2}, STRICT, 0, 150_000, (FAST, FAST, False), FULL, 32),
    ("7f", {Signal.SPARSE: 4}, STRICT, 0, 0, (FAST, FAST, False), FULL, 64),
    ("7g", {Signal.EQUIVARIANT: 3}, STRICT, 0, 0, (FAST, FAST, False), FULL, 128),
    ("7h", {}, STRICT, 0, 0, (FAST, FULL, False), FULL, 256),
    ("7i to fast", {}, STRICT, 0, 299_999, (FULL, FAST, True), FAST, 512),
    ("7i to full", {}, STRICT, 0, 0, (FAST, FULL, True), FULL, 256 | 512),
    ("7i at trigger", {}, STRICT, 0, 300_000, (FULL, FAST, True), FULL, 0),
    ("7i hardened", {}, HARDENED, 0, 0, (FULL, FAST, True), FULL, 0),
    ("7i overrides 7g", {Signal.EQUIVARIANT: 3}, STRICT, 0, 0, (FAST, FAST, True), FAST, 640),
    ("7j", {"quarantine_depth": 127}, HARDENED, 1, 200_000, (FAST, FAST, False), FULL, 1024),
    ("7j other family", {"quarantine_depth": 9}, HARDENED, 2, 200_000, (0, 0, False), FAST, 0),
    ("7k", {"cvar_codes": 3}, STRICT, 0, 0, (FAST, FAST, False), FULL, 2048),
    ("7k after 7i", {"cvar_codes": 3}, STRICT, 0, 0, (FAST, FAST, True), FULL, 512 | 2048),
]


@pytest.mark.parametrize("case", RULES, ids=[case[0] for case in RULES])
def test_profile_rules(case):
    _, changes, mode, family, risk_ppm, profiles, profile, fired = case
    states = quiet_state()
    for name, value in changes.items():
        if isinstance(name, Signal):
            publish_into(states, int(name), value)
        elif name in NESTED:
            monitor, field, place = NESTED[name]
            states[monitor][field][place] = value
        else:
            states[name] = value
    assert rules_of(states, mode, family, risk_ppm, profiles) == (profile, fired)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((True, False, FULL, 0), (MembraneAction.REPAIR, 1)),
        ((False, False, FAST, 0), (MembraneAction.DENY, 0)),
        ((False, True, FULL, 0), (MembraneAction.FULL_VALIDATE, 0)),
        ((False, True, FAST, FULL_TRIGGER), (MembraneAction.FULL_VALIDATE, 0)),
        ((True, True, FAST, FULL_TRIGGER - 1), (MembraneAction.ALLOW, 0)),
    ],
)
def test_actions(arguments, expected):
    assert choose_action(*arguments, FULL_TRIGGER, REPAIR_TRIGGER) == expected


def test_repair_to_a_safe_variant_between_the_triggers():
    # Only where the repair trigger lies below the full one.
    assert choose_action(True, True, FAST, 250_000, 300_000, 200_000) == (2, 2)
    assert choose_action(False, True, FAST, 250_000, 300_000, 200_000) == (0, 0)


def test_design_bonus_steps():
    steps = [(0, 95_000), (149_999, 95_000), (150_000, 40_000), (299_999, 40_000), (300_000, 0)]
    assert [design_bonus_ppm(value) for value, _ in steps] == [bonus for _, bonus in steps]


def test_weak_identifiability_early_in_off_mode():
    kernel = RuntimeMathKernel(SafetyLevel.OFF)
    context = RuntimeContext.pointer_validation(64)
    first = kernel.decide(SafetyLevel.OFF, context)
    kernel.observe_validation_result(0, 0, 12, False)
    second = kernel.decide(SafetyLevel.OFF, context)
    assert first.risk_upper_bound_ppm == 20_000 + 95_000
    assert kernel.states["design_identifiability_ppm"][0] == 293_432
    assert second.risk_upper_bound_ppm >= 20_000 + 40_000


def test_monitor_bonus_is_the_sum_over_the_cached_codes():
    states = quiet_state()
    rng = np.random.default_rng(3)
    for _ in range(300):
        signal = int(rng.integers(len(Signal)))
        if signal not in FAMILY_SIGNALS:
            publish_into(states, signal, int(rng.integers(CODE_COUNT)))
    codes = states["codes"][0]
    total = sum(int(BONUS_PPM[signal, codes[signal]]) for signal in Signal)
    assert states["monitor_bonus_ppm"][0] == total > 0


def test_sampled_bonus_holds_for_all_families_until_the_next_sample():
    kernel = RuntimeMathKernel(SafetyLevel.STRICT)
    usual = RuntimeContext(ApiFamily.STDIO, 0x7F00_0000_1000, 16)
    strange = RuntimeContext(ApiFamily.STDIO, 0xFFFF_FFFF_FFFF_FFF7, 2**22)
    other_family = RuntimeContext(ApiFamily.LOADER, 4096)
    bonuses = {0}
    for number in range(1, 64 * 140):
        sampled = number % 64 == 0
        context = strange if sampled and number > 64 * 100 else usual
        kernel.decide(SafetyLevel.STRICT, context)
        bonus = int(kernel.states["sampled_bonus_ppm"][0])
        if number % 64 == 32 and bonus not in bonuses:
            why = kernel.explain(SafetyLevel.STRICT, other_family)
            assert why.terms["sampled risk"] == bonus
            bonuses.add(bonus)
    assert bonuses == {0, 250_000, 500_000}
