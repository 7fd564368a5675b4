"""Fast or full validation: which has paid off better for this API family?

Two arms per family, the validation profiles, earn a utility that falls with latency and with
adverse outcomes. The UCB1 index, mean utility plus an exploration bonus that shrinks with the
pulls of an arm, decides between them, once hard gates on risk and contention have been passed.

The bonus is never above a few units while utilities are about 100 000, so that it decides
between near-equal means only; otherwise no logarithm is needed.

References
----------
.. [1] P. Auer, N. Cesa-Bianchi, P. Fischer, "Finite-time Analysis of the Multiarmed Bandit
       Problem", Machine Learning 47, 2002.
"""

import math

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, operation, uint16, uint32, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.types import (
    FAMILY_COUNT,
    PROFILE_COUNT,
    ApiFamily,
    SafetyLevel,
    ValidationProfile,
)

FAST = int(ValidationProfile.FAST)
FULL = int(ValidationProfile.FULL)
HARDENED = int(SafetyLevel.HARDENED)
FULL_RISK_PPM = 300_000
HEALING_FULL_RISK_PPM = 100_000
HEALING_CONTENTION = 96
HEALING_EXPLORATION = 0.55
EXPLORATION = 0.35
BASE_UTILITY_MILLI = 100_000
ADVERSE_UTILITY_MILLI = 20_000
UTILITY_MILLI_PER_NS = 8
INT64_MAX = np.iinfo(np.int64).max
INT64_MIN = np.iinfo(np.int64).min
LARGEST_EXACT_COST_NS = INT64_MAX // UTILITY_MILLI_PER_NS
# Exploration bonuses are at most 0.55 * sqrt(2 ln 2^64) = 5.2: means further apart than this
# cannot be reordered by them, whatever the rounding.
DECISIVE_GAP_MILLI = 16.0

ARMS = (FAMILY_COUNT, PROFILE_COUNT)
STATE = np.dtype([("pulls", np.int64, ARMS), ("utility_milli", np.int64, ARMS)], align=True)


@jitted
def init(state):
    """Start with two unknown arms per family."""
    for family in range(FAMILY_COUNT):
        for arm in range(PROFILE_COUNT):
            state.pulls[family, arm] = 0
            state.utility_milli[family, arm] = 0


@jitted
def select_profile(state, family, mode, risk_ppm, contention_hint):
    """Return the profile that the gates or the indices ask for; changes nothing."""
    healing = mode == HARDENED
    if healing and (risk_ppm >= HEALING_FULL_RISK_PPM or contention_hint >= HEALING_CONTENTION):
        return FULL
    if risk_ppm >= FULL_RISK_PPM:
        return FULL
    if state.pulls[family, FAST] == 0:
        return FAST
    if state.pulls[family, FULL] == 0:
        return FULL
    fast_pulls = float(state.pulls[family, FAST])
    full_pulls = float(state.pulls[family, FULL])
    fast_mean = float(state.utility_milli[family, FAST]) / fast_pulls
    full_mean = float(state.utility_milli[family, FULL]) / full_pulls
    if abs(full_mean - fast_mean) > DECISIVE_GAP_MILLI:
        return FULL if full_mean > fast_mean else FAST
    exploration = HEALING_EXPLORATION if healing else EXPLORATION
    pulls = float(state.pulls[family, FAST] + state.pulls[family, FULL])
    doubled_log = 2.0 * max(math.log(pulls), 1.0)
    fast_index = fast_mean + exploration * math.sqrt(doubled_log / fast_pulls)
    full_index = full_mean + exploration * math.sqrt(doubled_log / full_pulls)
    return FULL if full_index > fast_index else FAST


@jitted
def observe(state, family, profile, cost_ns, adverse):
    """Credit the profile that was run with the utility of its outcome."""
    # Costs from 2^63 on count as negative ones; beyond 2^60 the penalty saturates.
    cost = np.int64(cost_ns)
    if cost > LARGEST_EXACT_COST_NS:
        penalty = INT64_MAX
    elif cost < -LARGEST_EXACT_COST_NS - 1:
        penalty = INT64_MIN
    else:
        penalty = cost * UTILITY_MILLI_PER_NS
    utility = BASE_UTILITY_MILLI - penalty
    if adverse:
        utility -= ADVERSE_UTILITY_MILLI
    state.pulls[family, profile] += 1
    state.utility_milli[family, profile] += utility


class Bandit(Monitor):
    """Two-armed UCB router of the validation profile, per API family.

    Examples
    --------
    >>> monitor = Bandit()
    >>> situation = (ApiFamily.STRING_MEMORY, SafetyLevel.HARDENED, 20_000, 0)
    >>> monitor.select_profile(*situation)
    <ValidationProfile.FAST: 0>
    >>> monitor.observe(ApiFamily.STRING_MEMORY, ValidationProfile.FAST, 15, False)
    >>> monitor.select_profile(*situation)
    <ValidationProfile.FULL: 1>
    >>> monitor.observe(ApiFamily.STRING_MEMORY, ValidationProfile.FULL, 121, False)
    >>> monitor.select_profile(*situation)
    <ValidationProfile.FAST: 0>
    """

    STATE = STATE
    initialise = init
    select_profile = operation(
        select_profile,
        ValidationProfile,
        family=member(ApiFamily),
        mode=member(SafetyLevel),
        risk_ppm=uint32,
        contention_hint=uint16,
    )
    observe = operation(
        observe,
        family=member(ApiFamily),
        profile=member(ValidationProfile),
        cost_ns=uint64,
        adverse=flag,
    )
