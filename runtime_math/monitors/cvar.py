"""Is the tail of a family's latency too heavy for the budget of the profile that ran?

For each family and profile the mean of the latencies above the budget estimates the conditional
value at risk at a fixed threshold. It is inflated by a finite-sample radius, sqrt(ln(2/d) / 2n) of
the budget at d = 0.01, which makes it robust against what was not seen yet, and compared with
multiples of the budget: per profile, and for both together under their average budget.

References
----------
.. [1] R. T. Rockafellar, S. Uryasev, "Optimization of conditional value-at-risk", J. Risk 2, 2000.
.. [2] W. Hoeffding, "Probability inequalities for sums of bounded random variables", J. Amer.
       Statist. Assoc. 58, 1963.
.. [3] P. Mohajerin Esfahani, D. Kuhn, "Data-driven distributionally robust optimization using the
       Wasserstein metric", Math. Program. 171, 2018.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, member, operation, reading, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.saturating import saturating_add_uint64, saturating_multiply_uint64
from runtime_math.types import (
    FAMILY_COUNT,
    PROFILE_COUNT,
    ApiFamily,
    SafetyLevel,
    ValidationProfile,
)

FAST_BUDGET_NS = 20
FULL_BUDGET_NS = 200
BUDGET_NS = np.array([FAST_BUDGET_NS, FULL_BUDGET_NS])
WARMUP_PULLS = 64
RADIUS_COEFFICIENT = 1.62762363071873
PERMILLE = 1000
# Robust tail mean in permille of the budget from which a family is in warning, and in alarm.
WARNING_PERMILLE = np.array([1700, 1400])
ALARM_PERMILLE = np.array([2600, 2200])
OFF = int(SafetyLevel.OFF)
SLOT_COUNT = FAMILY_COUNT * PROFILE_COUNT
# The telemetry over all families leaves out the last one and takes the one before it twice.
TELEMETRY_FAMILIES = FAMILY_COUNT - 1


def _fewest_pulls():
    """For each profile and radius in nanoseconds, the pulls that bring the radius down to it.

    The radius of n pulls is the budget's share ``coefficient / sqrt(n)``, rounded up, so it first
    fits into r nanoseconds at ``n = ceil((coefficient * budget / r)^2)``, and into none never.
    """
    largest = math.ceil(RADIUS_COEFFICIENT * FULL_BUDGET_NS)
    shares = RADIUS_COEFFICIENT * BUDGET_NS[:, None] / np.arange(1, largest + 1)
    fewest = np.full((PROFILE_COUNT, largest + 1), np.iinfo(np.int64).max)
    fewest[:, 1:] = np.ceil(shares * shares)
    return fewest


FEWEST_PULLS = _fewest_pulls()


class CvarState(IntEnum):
    """How heavy a family's latency tail is."""

    CALIBRATING = 0
    NORMAL = 1
    WARNING = 2
    ALARM = 3


STATE = np.dtype(
    [
        ("pulls", np.int64, (SLOT_COUNT,)),
        ("tail_count", np.int64, (SLOT_COUNT,)),
        ("tail_sum_ns", np.uint64, (SLOT_COUNT,)),
        ("radius_ns", np.int64, (SLOT_COUNT,)),
        ("next_radius_pulls", np.int64, (SLOT_COUNT,)),
    ],
    align=True,
)


class SlotStatistics(NamedTuple):
    """Observations of a family under a profile, its robust tail mean, and that over the budget."""

    pulls: int
    robust_cvar_ns: int
    ratio_permille: int


class CvarSummary(NamedTuple):
    """Largest robust tail mean, and how many families are in alarm."""

    max_family_robust_cvar_ns: int
    alarmed_family_count: int


@jitted
def init(state):
    """Start without observations."""
    for slot in range(SLOT_COUNT):
        state.pulls[slot] = 0
        state.tail_count[slot] = 0
        state.tail_sum_ns[slot] = np.uint64(0)
        state.radius_ns[slot] = 0
        state.next_radius_pulls[slot] = 1


@jitted
def radius(pulls, budget_ns):
    """Return by how many nanoseconds a tail mean over `pulls` observations is inflated."""
    if pulls == 0:
        return 0
    # One plus the share, minus one: the share loses its low bits, as it does in the ratio.
    share = (1.0 + RADIUS_COEFFICIENT / math.sqrt(float(pulls))) - 1.0
    return math.ceil(share * float(budget_ns))


@jitted
def observe(state, family, profile, latency_ns):
    """Add one latency of a family under a profile."""
    slot = family * PROFILE_COUNT + profile
    budget_ns = BUDGET_NS[profile]
    pulls = state.pulls[slot] + 1
    state.pulls[slot] = pulls
    if pulls >= state.next_radius_pulls[slot]:
        radius_ns = radius(pulls, budget_ns)
        state.radius_ns[slot] = radius_ns
        state.next_radius_pulls[slot] = FEWEST_PULLS[profile, radius_ns - 1]
    if latency_ns > np.uint64(budget_ns):
        state.tail_count[slot] += 1
        state.tail_sum_ns[slot] += latency_ns


@jitted
def _mean_reaches(tail_sum_ns, tail_count, level_ns):
    """Whether the integer mean of a non-empty tail is at least a level, without the division."""
    return level_ns <= 0 or tail_sum_ns >= np.uint64(level_ns) * np.uint64(tail_count)


@jitted
def _slot_reaches(state, slot, budget_ns, level_ns):
    """Whether the robust tail mean of a slot is at least a level."""
    level_ns -= state.radius_ns[slot]
    if state.tail_count[slot] == 0:
        return budget_ns >= level_ns
    return _mean_reaches(state.tail_sum_ns[slot], state.tail_count[slot], level_ns)


@jitted
def _mixed_code(state, fast, full, warning, alarm):
    """Code of both profiles together; 1 where it cannot exceed what each gives alone."""
    fast_pulls, full_pulls = state.pulls[fast], state.pulls[full]
    tail_count = state.tail_count[fast] + state.tail_count[full]
    # Without a tail the ratio is below 1254 permille after the warm-up, short of every warning.
    if tail_count == 0 or fast_pulls == 0 or full_pulls == 0:
        return 1
    pulls = fast_pulls + full_pulls
    weighted = np.uint64(FAST_BUDGET_NS * fast_pulls + FULL_BUDGET_NS * full_pulls)
    budget_ns = np.int64(weighted // np.uint64(pulls))
    tail_sum_ns = saturating_add_uint64(state.tail_sum_ns[fast], state.tail_sum_ns[full])
    warning_ns = (warning * budget_ns + (PERMILLE - 1)) // PERMILLE
    # After the warm-up the radius is below 21 % of the budget, so most tails need no square root.
    if not _mean_reaches(tail_sum_ns, tail_count, warning_ns - (budget_ns // 4 + 1)):
        return 1
    alarm_ns = (alarm * budget_ns + (PERMILLE - 1)) // PERMILLE
    radius_ns = radius(pulls, budget_ns)
    if _mean_reaches(tail_sum_ns, tail_count, alarm_ns - radius_ns):
        return 3
    return 2 if _mean_reaches(tail_sum_ns, tail_count, warning_ns - radius_ns) else 1


@jitted
def family_state(state, mode, family):
    """Return the state code of a family under the thresholds of a mode."""
    fast = family * PROFILE_COUNT
    full = fast + 1
    if state.pulls[fast] + state.pulls[full] < WARMUP_PULLS:
        return 0
    if mode == OFF:
        return 1
    # Both budgets are multiples of 20, so every threshold is a whole number of nanoseconds.
    alarm, warning = ALARM_PERMILLE[mode], WARNING_PERMILLE[mode]
    fast_alarm_ns = alarm * FAST_BUDGET_NS // PERMILLE
    full_alarm_ns = alarm * FULL_BUDGET_NS // PERMILLE
    if _slot_reaches(state, fast, FAST_BUDGET_NS, fast_alarm_ns) or _slot_reaches(
        state, full, FULL_BUDGET_NS, full_alarm_ns
    ):
        return 3
    mixed = _mixed_code(state, fast, full, warning, alarm)
    if mixed > 1:
        return mixed
    fast_warning_ns = warning * FAST_BUDGET_NS // PERMILLE
    full_warning_ns = warning * FULL_BUDGET_NS // PERMILLE
    if _slot_reaches(state, fast, FAST_BUDGET_NS, fast_warning_ns) or _slot_reaches(
        state, full, FULL_BUDGET_NS, full_warning_ns
    ):
        return 2
    return 1


@jitted
def _robust_ns(tail_sum_ns, tail_count, pulls, budget_ns):
    mean_ns = np.uint64(budget_ns)
    if tail_count > 0:
        mean_ns = tail_sum_ns // np.uint64(tail_count)
    return saturating_add_uint64(mean_ns, np.uint64(radius(pulls, budget_ns)))


@jitted
def _ratio(robust_ns, budget_ns):
    return saturating_multiply_uint64(robust_ns, np.uint64(PERMILLE)) // np.uint64(budget_ns)


@jitted
def slot_statistics(state, family, profile):
    """Return pulls, robust tail mean and its ratio to the budget, of a family under a profile."""
    slot = family * PROFILE_COUNT + profile
    budget_ns = BUDGET_NS[profile]
    pulls = state.pulls[slot]
    robust_ns = _robust_ns(state.tail_sum_ns[slot], state.tail_count[slot], pulls, budget_ns)
    return SlotStatistics(pulls, robust_ns, _ratio(robust_ns, budget_ns))


@jitted
def aggregate_ratio(state, family):
    """Return the robust tail mean of both profiles in permille of their average budget."""
    fast = family * PROFILE_COUNT
    full = fast + 1
    pulls = state.pulls[fast] + state.pulls[full]
    if pulls == 0:
        return np.uint64(PERMILLE)
    weighted = FAST_BUDGET_NS * state.pulls[fast] + FULL_BUDGET_NS * state.pulls[full]
    budget_ns = weighted // pulls
    tail_sum_ns = saturating_add_uint64(state.tail_sum_ns[fast], state.tail_sum_ns[full])
    tail_count = state.tail_count[fast] + state.tail_count[full]
    return _ratio(_robust_ns(tail_sum_ns, tail_count, pulls, budget_ns), budget_ns)


@jitted
def family_robust_cvar_ns(state, family):
    """Return the larger robust tail mean of a family's two profiles."""
    fast = slot_statistics(state, family, 0).robust_cvar_ns
    return max(fast, slot_statistics(state, family, 1).robust_cvar_ns)


@jitted
def max_family_robust_cvar_ns(state):
    """Return the largest robust tail mean of all families but the last."""
    largest = np.uint64(0)
    for family in range(TELEMETRY_FAMILIES):
        largest = max(largest, family_robust_cvar_ns(state, family))
    return largest


@jitted
def alarmed_family_count(state, mode):
    """Return how many families are in alarm: the last is left out, the one before counts twice."""
    count = 0
    for family in range(TELEMETRY_FAMILIES):
        if family_state(state, mode, family) == 3:
            count += 2 if family == TELEMETRY_FAMILIES - 1 else 1
    return count


@jitted
def summary(state, mode):
    """Return the largest robust tail mean and the count of alarmed families."""
    return CvarSummary(max_family_robust_cvar_ns(state), alarmed_family_count(state, mode))


_family = member(ApiFamily)
_profile = member(ValidationProfile)
_mode = member(SafetyLevel)


class Cvar(Monitor):
    """Robust mean of the latencies over budget, per API family and validation profile.

    Examples
    --------
    >>> monitor = Cvar()
    >>> for _ in range(64):
    ...     monitor.observe(ApiFamily.STDIO, ValidationProfile.FAST, 10)
    >>> monitor.family_state(SafetyLevel.STRICT, ApiFamily.STDIO)
    <CvarState.NORMAL: 1>

    One observation of the other profile has a radius of more than its whole budget:

    >>> monitor.observe(ApiFamily.STDIO, ValidationProfile.FULL, 150)
    >>> monitor.slot_statistics(ApiFamily.STDIO, ValidationProfile.FULL)
    SlotStatistics(pulls=1, robust_cvar_ns=526, ratio_permille=2630)
    >>> monitor.family_state(SafetyLevel.STRICT, ApiFamily.STDIO)
    <CvarState.ALARM: 3>
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, family=_family, profile=_profile, latency_ns=uint64)
    family_state = operation(family_state, CvarState, mode=_mode, family=_family)
    slot_statistics = operation(slot_statistics, family=_family, profile=_profile)
    aggregate_ratio = operation(aggregate_ratio, family=_family)
    family_robust_cvar_ns = operation(family_robust_cvar_ns, family=_family)
    max_family_robust_cvar_ns = reading(max_family_robust_cvar_ns)
    alarmed_family_count = operation(alarmed_family_count, mode=_mode)
    summary = operation(summary, mode=_mode)
