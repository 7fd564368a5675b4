"""Has the rate at which a high adverse frequency becomes improbable collapsed?

By Cramer's theorem the probability that the adverse frequency of n calls reaches x decays like
exp(-n I(x)); for Bernoulli outcomes of rate p the rate function I is the relative entropy
D(x || p). Per family and block of 256 calls the controller evaluates it at 5, 10 and 20 % and
compares it with a baseline from the family's own first blocks.

A block's rates depend on its adverse count alone, so they are rows of a table.

References
----------
.. [1] A. Dembo, O. Zeitouni, "Large Deviations Techniques and Applications", 2nd ed., Springer,
       1998, chapter 2.
.. [2] H. Cramer, "Sur un nouveau theoreme-limite de la theorie des probabilites", Actual. Sci.
       Ind. 736, 1938.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, finite, flag, named, operation, reading, uint32
from runtime_math.numerics.compilation import jitted

FAMILIES = 8
BLOCK = 256
BASELINE_BLOCKS = 4
THRESHOLDS = (0.05, 0.10, 0.20)
LEVELS = len(THRESHOLDS)
ADAPTATION = 0.03
ELEVATED_DROP = 0.4
CRITICAL_DROP = 0.8
SMALLEST_PROBABILITY = 1e-15
SMALLEST_RATE = 1e-12


def binary_kl(x, p):
    """Return the relative entropy of Bernoulli(x) to Bernoulli(p), both clamped off 0 and 1."""
    largest = 1.0 - SMALLEST_PROBABILITY
    x = min(max(x, SMALLEST_PROBABILITY), largest)
    p = min(max(p, SMALLEST_PROBABILITY), largest)
    return x * math.log(x / p) + (1.0 - x) * math.log((1.0 - x) / (1.0 - p))


def rate_profile(p):
    """Return the rate function of Bernoulli(p) at the thresholds; 0 where p has reached one."""
    return [
        binary_kl(threshold, p) if threshold > p + SMALLEST_RATE else 0.0
        for threshold in THRESHOLDS
    ]


# Row k: rates of a block with k adverse calls. From 52 on all are zero.
RATES = np.array([rate_profile(count / BLOCK) for count in range(BLOCK + 1)])


class LargeDeviationsState(IntEnum):
    """How far a family's decay rates have dropped below its baseline."""

    CALIBRATING = 0
    NORMAL = 1
    ELEVATED = 2
    CRITICAL = 3


STATE = np.dtype(
    [
        ("observations", np.int64, (FAMILIES,)),
        ("adverse_total", np.int64, (FAMILIES,)),
        ("block_adverse", np.int64, (FAMILIES,)),
        ("last_block_adverse", np.int64, (FAMILIES,)),
        ("baseline", np.float64, (FAMILIES, LEVELS)),
        ("baseline_blocks", np.int64, (FAMILIES,)),
        ("anomaly_count", np.int64, (FAMILIES,)),
        ("state", np.uint8, (FAMILIES,)),
    ],
    align=True,
)


class LargeDeviationsSummary(NamedTuple):
    """Figures of one family; the rates are those of its last complete block."""

    state: int
    empirical_adverse_rate: float
    rate_at_5pct: float
    rate_at_10pct: float
    rate_at_20pct: float
    failure_budget_log_5pct: float
    anomaly_count: int


@jitted
def init(state):
    """Start with no observations; the rates before the first block are zero."""
    for family in range(FAMILIES):
        state.observations[family] = 0
        state.adverse_total[family] = 0
        state.block_adverse[family] = 0
        state.last_block_adverse[family] = BLOCK
        state.baseline_blocks[family] = 0
        state.anomaly_count[family] = 0
        state.state[family] = 0
        for level in range(LEVELS):
            state.baseline[family, level] = 0.0


@jitted
def _adapt(state, family, keep, weight):
    block = state.last_block_adverse[family]
    for level in range(LEVELS):
        state.baseline[family, level] = (
            keep * state.baseline[family, level] + weight * RATES[block, level]
        )


@jitted
def _close_block(state, family):
    block = state.block_adverse[family]
    state.block_adverse[family] = 0
    state.last_block_adverse[family] = block
    blocks = state.baseline_blocks[family]
    if blocks < BASELINE_BLOCKS:
        weight = 1.0 / (blocks + 1.0)
        _adapt(state, family, 1.0 - weight, weight)
        state.baseline_blocks[family] = blocks + 1
        return
    drop = 0.0
    for level in range(LEVELS):
        baseline = state.baseline[family, level]
        if baseline > SMALLEST_RATE:
            drop = max(drop, (baseline - RATES[block, level]) / baseline)
    if drop > ELEVATED_DROP:
        state.state[family] = 3 if drop > CRITICAL_DROP else 2
        state.anomaly_count[family] += 1
    else:
        state.state[family] = 1
        _adapt(state, family, 1.0 - ADAPTATION, ADAPTATION)


@jitted
def observe(state, family, adverse):
    """Add one outcome; returns the family's state code. Families from 8 on are ignored."""
    if family >= FAMILIES:
        return 0
    observations = state.observations[family] + 1
    state.observations[family] = observations
    if adverse:
        state.adverse_total[family] += 1
        state.block_adverse[family] += 1
    if observations % BLOCK == 0:
        _close_block(state, family)
    return np.int64(state.state[family])


@jitted
def family_state(state, family):
    """Return the state code of a family; 0 from family 8 on."""
    return np.int64(state.state[family]) if family < FAMILIES else 0


@jitted
def max_anomaly_count(state):
    """Return the largest number of anomalous blocks of any family."""
    largest = 0
    for family in range(FAMILIES):
        largest = max(largest, state.anomaly_count[family])
    return largest


@jitted
def elevated_family_count(state):
    """Return how many families are elevated or critical."""
    count = 0
    for family in range(FAMILIES):
        count += state.state[family] >= 2
    return count


@jitted
def summary(state, family):
    """Return the figures of a family; zeros from family 8 on."""
    if family >= FAMILIES:
        return LargeDeviationsSummary(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
    observations = state.observations[family]
    block = state.last_block_adverse[family]
    return LargeDeviationsSummary(
        np.int64(state.state[family]),
        state.adverse_total[family] / observations if observations > 0 else 0.0,
        RATES[block, 0],
        RATES[block, 1],
        RATES[block, 2],
        -float(observations) * RATES[block, 0],
        state.anomaly_count[family],
    )


class LargeDeviations(Monitor):
    """Monitor of Cramer rate functions per family.

    Families are numbered from 0. Only 0 to 7 have a state: observations of others are ignored,
    and their state and summary read as those of a family that was never observed.

    Examples
    --------
    >>> monitor = LargeDeviations()
    >>> for call in range(5 * 256):
    ...     state = monitor.observe(2, call % 64 == 0)
    >>> state
    <LargeDeviationsState.NORMAL: 1>
    >>> for call in range(256):
    ...     state = monitor.observe(2, call % 16 == 0)
    >>> state
    <LargeDeviationsState.CRITICAL: 3>
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, LargeDeviationsState, family=uint32, adverse=flag)
    state = operation(family_state, LargeDeviationsState, family=uint32)
    max_anomaly_count = reading(max_anomaly_count)
    elevated_family_count = reading(elevated_family_count)
    summary = operation(
        summary, named(LargeDeviationsSummary, state=LargeDeviationsState), family=uint32
    )

    @staticmethod
    def binary_kl(x, p):
        """Return D(Bernoulli(x) || Bernoulli(p)) of two finite numbers, clamped off 0 and 1."""
        return binary_kl(finite("x", x), finite("p", p))

    @staticmethod
    def rate_profile(p):
        """Return the rates at 5, 10 and 20 % for an adverse frequency p (a finite number)."""
        return rate_profile(finite("p", p))
