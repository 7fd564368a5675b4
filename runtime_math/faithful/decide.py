"""One decision: risk terms, probe plan, profile rules, action. Everything here is jitted.

The stages are separate functions so that `decide` and `explain` run the very same code.
"""

from typing import NamedTuple

import numpy as np

from runtime_math.decision import pack_decision
from runtime_math.faithful.signals import BONUS_PPM, Signal
from runtime_math.monitors import (
    bandit,
    barrier,
    check_oracle,
    cohomology,
    control,
    design,
    pareto,
    risk,
    risk_engine,
)
from runtime_math.monitors.check_oracle import BIAS_FAST, BIAS_FULL, NO_EXIT
from runtime_math.monitors.risk_engine import CallFamily, RiskVerdict
from runtime_math.monitors.tropical_latency import LatencyPath
from runtime_math.numerics.compilation import jitted
from runtime_math.types import PPM, ApiFamily, SafetyLevel

STRICT = int(SafetyLevel.STRICT)
HARDENED = int(SafetyLevel.HARDENED)
ALLOCATOR = int(ApiFamily.ALLOCATOR)
FAST_EXIT = int(LatencyPath.FAST_EXIT)
FULL_PATH = int(LatencyPath.FULL)

FAST_PATH_BUDGET_NS = np.uint64(20)
FULL_PATH_BUDGET_NS = np.uint64(200)
RESAMPLE_PERIOD = 64
LARGE_WRITE_BYTES = np.uint64(4096)
WORD_MASK = np.uint64(7)

CONSISTENCY_FAULT_PPM = 15_000
CONSISTENCY_FAULT_LIMIT = 16
BOTH_PATHS_OVER_PPM = 120_000
FULL_PATH_OVER_PPM = 60_000
POOR_IDENTIFIABILITY = 150_000
POOR_IDENTIFIABILITY_PPM = 95_000
WEAK_IDENTIFIABILITY = 300_000
WEAK_IDENTIFIABILITY_PPM = 40_000

FAST_PATH = int(RiskVerdict.FAST_PATH)
FULL_CHECK = int(RiskVerdict.FULL_CHECK)
ALARM_MODE = int(RiskVerdict.ALARM_MODE)
ALARM_BONUS_PPM = 500_000
FULL_CHECK_BONUS_PPM = 250_000
# Positions in an ordering that the kernel reports as the end of a validation.
FULL_CHECK_EXIT = 3
FAST_PATH_EXIT = 1

FEW_PROBES = 2
SPARSE_CRITICAL = 4
EQUIVARIANT_FRACTURED = 3
CVAR_ALARM = 3
SHALLOW_QUARANTINE = 128

ANYTIME = int(Signal.ANYTIME)
CVAR = int(Signal.CVAR)
LARGE_DEVIATIONS = int(Signal.LARGE_DEVIATIONS)
SPARSE = int(Signal.SPARSE)
EQUIVARIANT = int(Signal.EQUIVARIANT)

# Call family of the sampled risk engine for each API family.
CALL_FAMILY = np.array(
    [
        CallFamily.MEMORY,
        CallFamily.ALLOCATION,
        CallFamily.STRING,
        CallFamily.STDIO,
        CallFamily.THREAD,
        CallFamily.SOCKET,
        CallFamily.OTHER,
        CallFamily.OTHER,
        CallFamily.STRING,
    ],
    np.int64,
)

# Names of the profile rules, in the order in which they are applied; bit i of a rule mask.
PROFILE_RULES = (
    "oracle bias asks for full from half the repair trigger on",
    "oracle bias allows fast up to a third of the full trigger",
    "only the full path is over its latency budget",
    "both paths are over their latency budgets and the repair trigger is reached",
    "consistency faults in a mode that heals",
    "too few probes selected for this risk",
    "sparse recovery is critical",
    "equivariant symmetry is fractured",
    "pareto recommends full",
    "regret budget exhausted in strict mode: pareto's recommendation stands",
    "shallow quarantine for an allocator call",
    "tail latency alarm of this family",
)


class DecisionDetail(NamedTuple):
    """Everything that a decision was formed from, as plain numbers."""

    base_risk_ppm: int
    sampled_bonus_ppm: int
    consistency_ppm: int
    tropical_ppm: int
    fusion_bonus_ppm: int
    monitors_ppm: int
    pre_design_risk_ppm: int
    design_bonus_ppm: int
    risk_ppm: int
    full_trigger_ppm: int
    repair_trigger_ppm: int
    bandit_profile: int
    pareto_profile: int
    budget_exhausted: bool
    rules: int
    profile: int
    admissible: bool
    action: int
    healing: int
    packed: int


@jitted
def resample(state, mode, context):
    """Let the sampled risk engine look at this call and refresh the family's oracle bias."""
    family = context.family
    verdict = risk_engine.evaluate(
        state.risk_engine,
        CALL_FAMILY[family],
        context.addr_hint,
        max(context.requested_bytes, np.uint64(1)),
    )
    state.sampled_bonus_ppm = 0
    exit_position = NO_EXIT
    if verdict == ALARM_MODE:
        state.sampled_bonus_ppm = ALARM_BONUS_PPM
        exit_position = FULL_CHECK_EXIT
    elif verdict == FULL_CHECK:
        state.sampled_bonus_ppm = FULL_CHECK_BONUS_PPM
        exit_position = FULL_CHECK_EXIT
    elif verdict == FAST_PATH and not context.bloom_negative:
        exit_position = FAST_PATH_EXIT
    aligned = (context.addr_hint & WORD_MASK) == np.uint64(0)
    recent_page = not context.bloom_negative
    ordering = check_oracle.get_ordering(state.check_oracle, family, aligned, recent_page)
    check_oracle.report_outcome(
        state.check_oracle, family, aligned, recent_page, ordering, exit_position
    )
    state.oracle_bias[family] = check_oracle.ordering_bias(ordering, mode)


@jitted
def design_bonus_ppm(identifiability_ppm):
    """Risk added while the probes tell little about the latent factors."""
    if identifiability_ppm < POOR_IDENTIFIABILITY:
        return POOR_IDENTIFIABILITY_PPM
    return WEAK_IDENTIFIABILITY_PPM if identifiability_ppm < WEAK_IDENTIFIABILITY else 0


@jitted
def family_bonus_ppm(state, family):
    """Risk added by the three monitors that keep one code per family."""
    return (
        BONUS_PPM[ANYTIME, state.anytime_codes[family]]
        + BONUS_PPM[CVAR, state.cvar_codes[family]]
        + BONUS_PPM[LARGE_DEVIATIONS, state.large_deviations_codes[family]]
    )


@jitted
def latency_bonus_ppm(state):
    """Risk added while the full path, or both paths, are slower than their budgets."""
    if state.tropical_latency.published_ns[FULL_PATH] <= FULL_PATH_BUDGET_NS:
        return 0
    fast_over = state.tropical_latency.published_ns[FAST_EXIT] > FAST_PATH_BUDGET_NS
    return BOTH_PATHS_OVER_PPM if fast_over else FULL_PATH_OVER_PPM


@jitted
def apply_rules(state, mode, family, risk_ppm, full_trigger, repair_trigger, profiles):
    """Adjust the bandit's profile by the rules in their order.

    `profiles` packs (bandit profile, pareto profile, budget exhausted). Returns the profile and
    the mask of the rules that fired.
    """
    profile, pareto_profile, exhausted = profiles
    heals = mode == HARDENED
    half_repair = repair_trigger // 2
    fast_over = state.tropical_latency.published_ns[FAST_EXIT] > FAST_PATH_BUDGET_NS
    full_over = state.tropical_latency.published_ns[FULL_PATH] > FULL_PATH_BUDGET_NS
    bias = state.oracle_bias[family]
    rules = 0
    if bias == BIAS_FULL and risk_ppm >= half_repair:
        profile = 1
        rules |= 1
    elif bias == BIAS_FAST and risk_ppm <= full_trigger // 3:
        profile = 0
        rules |= 2
    if full_over and not fast_over and risk_ppm < repair_trigger:
        profile = 0
        rules |= 4
    if fast_over and full_over and risk_ppm >= repair_trigger:
        profile = 1
        rules |= 8
    if heals and cohomology.fault_count(state.cohomology) > 0:
        profile = 1
        rules |= 16
    if state.design_selected_count <= FEW_PROBES and risk_ppm >= full_trigger // 2:
        profile = 1
        rules |= 32
    if state.codes[SPARSE] >= SPARSE_CRITICAL:
        profile = 1
        rules |= 64
    if state.codes[EQUIVARIANT] >= EQUIVARIANT_FRACTURED:
        profile = 1
        rules |= 128
    if pareto_profile == 1:
        profile = 1
        rules |= 256
    if mode == STRICT and exhausted and risk_ppm < full_trigger:
        profile = pareto_profile
        rules |= 512
    if (
        heals
        and family == ALLOCATOR
        and state.quarantine_controller.published_depth < SHALLOW_QUARANTINE
        and risk_ppm >= half_repair
    ):
        profile = 1
        rules |= 1024
    if state.cvar_codes[family] >= CVAR_ALARM:
        profile = 1
        rules |= 2048
    return profile, rules


@jitted
def choose_action(heals, admissible, profile, risk_ppm, full_trigger, repair_trigger):
    """Action and healing action of a call with this profile and risk."""
    if not admissible:
        return (2, 1) if heals else (3, 0)
    if profile == 1 or risk_ppm >= full_trigger:
        return 1, 0
    if heals and risk_ppm >= repair_trigger:
        return 2, 2
    return 0, 0


@jitted
def plan_probes(state, mode, risk_ppm, adverse_hint):
    """Choose the probes of the next observations, cache the plan, return its bonus."""
    fast_over = state.tropical_latency.published_ns[FAST_EXIT] > FAST_PATH_BUDGET_NS
    plan = design.choose_plan(state.design, mode, risk_ppm, adverse_hint, fast_over)
    identifiability = design.identifiability_ppm(state.design)
    state.probe_mask = plan.mask
    state.design_identifiability_ppm = identifiability
    state.design_selected_count = state.design.selected_count
    return design_bonus_ppm(identifiability)


@jitted
def decide_detail(state, mode, context):
    """Decide one call and return every intermediate result with the decision."""
    family = context.family
    state.decisions += 1
    if state.decisions % RESAMPLE_PERIOD == 0:
        resample(state, mode, context)
    base = risk.upper_bound_ppm(state.risk, family)
    faults = cohomology.fault_count(state.cohomology)
    consistency = min(faults, CONSISTENCY_FAULT_LIMIT) * CONSISTENCY_FAULT_PPM
    tropical = latency_bonus_ppm(state)
    sampled = state.sampled_bonus_ppm
    fusion_bonus = np.int64(state.fusion.bonus_ppm)
    monitors = state.monitor_bonus_ppm + family_bonus_ppm(state, family)
    pre_design = min(base + sampled + consistency + tropical + fusion_bonus + monitors, PPM)
    large_write = context.is_write and context.requested_bytes > LARGE_WRITE_BYTES
    adverse_hint = context.bloom_negative or large_write
    design_bonus = plan_probes(state, mode, pre_design, adverse_hint)
    risk_ppm = min(pre_design + design_bonus, PPM)
    limits = control.limits(state.control, mode)
    full_trigger, repair_trigger, _ = limits
    bandit_profile = bandit.select_profile(
        state.bandit, family, mode, risk_ppm, context.contention_hint
    )
    pareto_profile = pareto.recommend_profile(
        state.pareto, mode, family, risk_ppm, full_trigger, repair_trigger
    )
    exhausted = pareto.is_budget_exhausted(state.pareto, mode, family)
    proposed = (bandit_profile, pareto_profile, exhausted)
    profile, rules = apply_rules(
        state, mode, family, risk_ppm, full_trigger, repair_trigger, proposed
    )
    admissible = barrier.admits(context, mode, profile, risk_ppm, limits)
    heals = mode == HARDENED
    action, healing = choose_action(
        heals, admissible, profile, risk_ppm, full_trigger, repair_trigger
    )
    return DecisionDetail(
        base,
        sampled,
        consistency,
        tropical,
        fusion_bonus,
        monitors,
        pre_design,
        design_bonus,
        risk_ppm,
        full_trigger,
        repair_trigger,
        bandit_profile,
        pareto_profile,
        exhausted,
        rules,
        profile,
        admissible,
        action,
        healing,
        pack_decision(mode, family, profile, action, healing, risk_ppm),
    )


@jitted
def decide_packed(state, mode, context):
    """Decide one call; the decision comes as one integer (see `decision`)."""
    return decide_detail(state, mode, context).packed
