"""Fast or full validation: which is the better trade of latency against risk, and at what regret?

For each API family the controller keeps the mean latency and the adverse rate of both validation
profiles, scalarises the two objectives with weights that the mode sets, and recommends the profile
of lower loss. Every choice actually made is charged its regret against the other profile, up to a
cap per family and mode; a family whose cap is used up loses the benefit of the doubt that
otherwise favours the fast profile.

References
----------
.. [1] K. Miettinen, "Nonlinear Multiobjective Optimization", Kluwer, 1999 (weighted sums).
.. [2] S. Bubeck, N. Cesa-Bianchi, "Regret Analysis of Stochastic and Nonstochastic Multi-armed
       Bandit Problems", Found. Trends Mach. Learn. 5(1), 2012.
"""

from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, operation, reading, uint32, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.types import (
    FAMILY_COUNT,
    PPM,
    PROFILE_COUNT,
    ApiFamily,
    SafetyLevel,
    ValidationProfile,
)

FAST = int(ValidationProfile.FAST)
FULL = int(ValidationProfile.FULL)
HARDENED = int(SafetyLevel.HARDENED)
OFF = int(SafetyLevel.OFF)

LATENCY_SATURATION_NS = np.uint64(400)
# One nanosecond as a share of the full-validation budget of 200 ns, in ppm.
PPM_PER_NS = 5_000
PRIOR_LATENCY_NS = (12, 70)
HYSTERESIS_MILLI = 25
UNLIMITED = np.iinfo(np.int64).max
LATENCY_WEIGHT = np.array([750, 250, 1000], np.int64)
RISK_WEIGHT = np.array([250, 750, 0], np.int64)
REGRET_CAP_MILLI = np.array(
    [
        [240_000, 180_000, 220_000, 220_000, 200_000, 200_000, 220_000, 200_000, 200_000],
        [140_000, 90_000, 120_000, 120_000, 110_000, 110_000, 120_000, 110_000, 110_000],
        [UNLIMITED] * FAMILY_COUNT,
    ],
    np.int64,
)

ARMS = (FAMILY_COUNT, PROFILE_COUNT)
STATE = np.dtype(
    [
        ("pulls", np.int64, ARMS),
        ("latency_sum_ns", np.uint64, ARMS),
        ("adverse_count", np.int64, ARMS),
        # Kept per arm so that a recommendation needs no division: the mean latency (saturated;
        # the prior before any pull) and the adverse rate.
        ("mean_latency_ns", np.int64, ARMS),
        ("adverse_ppm", np.int64, ARMS),
        ("regret_milli", np.int64, (FAMILY_COUNT,)),
        ("cap_enforcements", np.int64, (FAMILY_COUNT,)),
    ],
    align=True,
)


class ParetoSummary(NamedTuple):
    """Regret ledger of all families."""

    cumulative_regret_milli: int
    cap_enforcement_count: int
    exhausted_family_count: int


@jitted
def init(state):
    """Start without history and with an empty ledger."""
    for family in range(FAMILY_COUNT):
        for arm in range(PROFILE_COUNT):
            state.pulls[family, arm] = 0
            state.latency_sum_ns[family, arm] = 0
            state.adverse_count[family, arm] = 0
            state.mean_latency_ns[family, arm] = PRIOR_LATENCY_NS[arm]
            state.adverse_ppm[family, arm] = 0
        state.regret_milli[family] = 0
        state.cap_enforcements[family] = 0


@jitted
def _loss_milli(mode, latency_ns, adverse_ppm):
    """Weighted loss of a saturated latency and a rate, at most 2000."""
    latency_part = LATENCY_WEIGHT[mode] * (PPM_PER_NS * latency_ns)
    return (latency_part + RISK_WEIGHT[mode] * min(adverse_ppm, PPM)) // PPM


@jitted
def _arm_loss_milli(state, mode, family, arm, risk_ppm):
    """Loss expected of an arm; its prior rate is the risk, halved by full validation."""
    rate_ppm = risk_ppm >> arm
    if state.pulls[family, arm] > 0:
        rate_ppm = (3 * state.adverse_ppm[family, arm] + rate_ppm) >> 2
    return _loss_milli(mode, state.mean_latency_ns[family, arm], rate_ppm)


@jitted
def is_budget_exhausted(state, mode, family):
    """Return whether the regret of a family has reached its cap in a mode."""
    return state.regret_milli[family] >= REGRET_CAP_MILLI[mode, family]


@jitted
def recommend_profile(
    state, mode, family, risk_ppm, full_validation_trigger_ppm, repair_trigger_ppm
):
    """Return the profile of lower loss; counts an enforcement where the exhausted cap decides."""
    if mode == OFF:
        return FAST
    if risk_ppm >= full_validation_trigger_ppm:
        return FULL
    if mode == HARDENED and risk_ppm >= repair_trigger_ppm >> 1:
        return FULL
    fast_loss = _arm_loss_milli(state, mode, family, FAST, risk_ppm)
    full_loss = _arm_loss_milli(state, mode, family, FULL, risk_ppm)
    if is_budget_exhausted(state, mode, family):
        state.cap_enforcements[family] += 1
        return FULL if full_loss <= fast_loss else FAST
    return FULL if full_loss + HYSTERESIS_MILLI < fast_loss else FAST


@jitted
def observe(state, mode, family, chosen, latency_ns, adverse, risk_ppm):
    """Record the outcome of a chosen profile and charge its regret against the other one."""
    counterfactual = _arm_loss_milli(state, mode, family, 1 - chosen, risk_ppm)
    state.pulls[family, chosen] += 1
    state.latency_sum_ns[family, chosen] += latency_ns
    if adverse:
        state.adverse_count[family, chosen] += 1
    pulls = state.pulls[family, chosen]
    mean_latency_ns = state.latency_sum_ns[family, chosen] // np.uint64(pulls)
    state.mean_latency_ns[family, chosen] = min(mean_latency_ns, LATENCY_SATURATION_NS)
    state.adverse_ppm[family, chosen] = state.adverse_count[family, chosen] * PPM // pulls

    saturated_ns = np.int64(min(latency_ns, LATENCY_SATURATION_NS))
    realised = _loss_milli(mode, saturated_ns, PPM if adverse else 0)
    regret = max(realised - counterfactual, 0)
    residual = max(REGRET_CAP_MILLI[mode, family] - state.regret_milli[family], 0)
    state.regret_milli[family] += min(regret, residual)
    if residual < regret:
        state.cap_enforcements[family] += 1


@jitted
def cumulative_regret_milli(state):
    """Return the regret charged to all families."""
    total = 0
    for family in range(FAMILY_COUNT):
        total += state.regret_milli[family]
    return total


@jitted
def cap_enforcement_count(state):
    """Return how often a cap clipped a charge or decided a recommendation."""
    total = 0
    for family in range(FAMILY_COUNT):
        total += state.cap_enforcements[family]
    return total


@jitted
def exhausted_family_count(state, mode):
    """Return how many families have used up their cap in a mode."""
    count = 0
    for family in range(FAMILY_COUNT):
        if is_budget_exhausted(state, mode, family):
            count += 1
    return count


@jitted
def summary(state, mode):
    """Return the ledger's totals; the mode selects the caps for the exhausted families."""
    return ParetoSummary(
        cumulative_regret_milli(state),
        cap_enforcement_count(state),
        exhausted_family_count(state, mode),
    )


class Pareto(Monitor):
    """Latency/risk scalarisation of the two validation profiles with a capped regret ledger.

    Examples
    --------
    >>> monitor = Pareto()
    >>> mode, family = SafetyLevel.HARDENED, ApiFamily.STDIO
    >>> monitor.recommend_profile(mode, family, 20_203, 80_000, 140_000)
    <ValidationProfile.FAST: 0>
    >>> monitor.observe(mode, family, ValidationProfile.FULL, 83, False, 20_203)
    >>> monitor.observe(mode, family, ValidationProfile.FAST, 20, True, 20_852)
    >>> monitor.recommend_profile(mode, family, 20_839, 80_000, 140_000)
    <ValidationProfile.FULL: 1>
    >>> monitor.cumulative_regret_milli
    743
    """

    STATE = STATE
    initialise = init
    recommend_profile = operation(
        recommend_profile,
        ValidationProfile,
        mode=member(SafetyLevel),
        family=member(ApiFamily),
        risk_ppm=uint32,
        full_validation_trigger_ppm=uint32,
        repair_trigger_ppm=uint32,
    )
    observe = operation(
        observe,
        mode=member(SafetyLevel),
        family=member(ApiFamily),
        chosen=member(ValidationProfile),
        latency_ns=uint64,
        adverse=flag,
        risk_ppm=uint32,
    )
    is_budget_exhausted = operation(
        is_budget_exhausted, bool, mode=member(SafetyLevel), family=member(ApiFamily)
    )
    cumulative_regret_milli = reading(cumulative_regret_milli)
    cap_enforcement_count = reading(cap_enforcement_count)
    exhausted_family_count = operation(exhausted_family_count, mode=member(SafetyLevel))
    summary = operation(summary, mode=member(SafetyLevel))
