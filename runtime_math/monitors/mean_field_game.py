"""Is contention well above what congestion-averse agents would produce on their own?

Blocks of 256 contention hints, in eight levels, are compared with the equilibrium of a mean-field
game: each agent picks a level with logit probabilities of its cost, which counts the level itself
and the congestion that all agents cause together. A block whose mean level exceeds the
equilibrium's by half is congested, by three quarters collapsed.

The equilibrium is the result of 50 damped Picard steps from the uniform distribution; it is
written down here, and since block means are multiples of 1/1792, so are the two limits, as sums
of levels. (The congestion term is the same for every level and cancels in the logit.)

References
----------
.. [1] J.-M. Lasry, P.-L. Lions, "Mean field games", Jpn. J. Math. 2, 2007.
.. [2] R. D. McKelvey, T. R. Palfrey, "Quantal response equilibria for normal form games", Games
       Econ. Behav. 10, 1995.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, uint16, vector
from runtime_math.numerics.compilation import jitted

LEVELS = 8
LEVEL_SHIFT = 13
BLOCK = 256
BASELINE_BLOCKS = 4
CONGESTION_WEIGHT = 2.0
TEMPERATURE = 0.5
PICARD_STEPS = 50
DAMPING = 0.3
CONGESTED_RATIO = 1.5
COLLAPSED_RATIO = 1.75

EQUILIBRIUM = (
    0.25582079458756457,
    0.19923343564801807,
    0.15516315619395668,
    0.12084118804495796,
    0.094111212373966,
    0.07329388638991782,
    0.05708133661208841,
    0.04445499014953072,
)
EQUILIBRIUM_MEAN = 0.32409579204792915
# Smallest sums of levels in a block whose mean is above the two ratios.
CONGESTED_LEVEL_SUM = 872
COLLAPSED_LEVEL_SUM = 1017


def congestion_costs(distribution):
    """Return the cost of every level when the agents are distributed like this."""
    externality = 0.0
    for level, share in enumerate(distribution):
        externality += share * max(level - 4.0, 0.0) / LEVELS
    return [level / LEVELS + CONGESTION_WEIGHT * externality for level in range(LEVELS)]


def best_response(distribution):
    """Return the logit distribution over levels for the costs that a distribution causes."""
    values = [-cost / TEMPERATURE for cost in congestion_costs(distribution)]
    highest = max(values)
    weights = [math.exp(value - highest) for value in values]
    total = 0.0
    for weight in weights:
        total += weight
    return [weight / total for weight in weights]


def mean_contention(distribution):
    """Return the mean level of a distribution, scaled to [0, 1]."""
    total = 0.0
    for level, share in enumerate(distribution):
        total += level * share
    return total / (LEVELS - 1.0)


class MeanFieldState(IntEnum):
    """How the last block compares with the equilibrium."""

    CALIBRATING = 0
    EQUILIBRIUM = 1
    CONGESTED = 2
    COLLAPSED = 3


STATE = np.dtype(
    [
        ("counts", np.int64, (LEVELS,)),
        ("block_calls", np.int64),
        ("baseline_mean", np.float64),
        ("baseline_blocks", np.int64),
        ("congestion_count", np.int64),
        ("state", np.uint8),
    ],
    align=True,
)


class MeanFieldSummary(NamedTuple):
    """State, mean level of the unfinished block, the equilibrium's, and the congested blocks."""

    state: int
    mean_contention: float
    equilibrium_contention: float
    congestion_count: int


@jitted
def init(state):
    """Start with an empty block."""
    for level in range(LEVELS):
        state.counts[level] = 0
    state.block_calls = 0
    state.baseline_mean = 0.0
    state.baseline_blocks = 0
    state.congestion_count = 0
    state.state = 0


@jitted
def _close_block(state):
    level_sum = 0
    for level in range(LEVELS):
        level_sum += level * state.counts[level]
        state.counts[level] = 0
    state.block_calls = 0
    blocks = state.baseline_blocks
    if blocks < BASELINE_BLOCKS:
        mean = level_sum / BLOCK / (LEVELS - 1.0)
        state.baseline_mean = (blocks * state.baseline_mean + mean) / (blocks + 1.0)
        state.baseline_blocks = blocks + 1
    elif level_sum >= CONGESTED_LEVEL_SUM:
        state.state = 3 if level_sum >= COLLAPSED_LEVEL_SUM else 2
        state.congestion_count += 1
    else:
        state.state = 1


@jitted
def observe(state, contention_hint):
    """Add one contention hint; returns the state code."""
    state.counts[contention_hint >> LEVEL_SHIFT] += 1
    state.block_calls += 1
    if state.block_calls == BLOCK:
        _close_block(state)
    return np.int64(state.state)


@jitted
def current_state(state):
    """Return the state code."""
    return np.int64(state.state)


@jitted
def congestion_count(state):
    """Return how many blocks were congested or collapsed."""
    return state.congestion_count


@jitted
def equilibrium_mean(state):
    """Return the mean level of the equilibrium, scaled to [0, 1]."""
    return EQUILIBRIUM_MEAN


@jitted
def unfinished_mean(state):
    """Return the mean level of the unfinished block, scaled to [0, 1]; 0 if it is empty."""
    calls = max(state.block_calls, 1)
    total = 0.0
    for level in range(LEVELS):
        total += level * (state.counts[level] / calls)
    return total / (LEVELS - 1.0)


@jitted
def summary(state):
    """Return the state, both means and the number of congested blocks."""
    return MeanFieldSummary(
        np.int64(state.state), unfinished_mean(state), EQUILIBRIUM_MEAN, state.congestion_count
    )


class MeanFieldGame(Monitor):
    """Congestion against a mean-field equilibrium, from 16-bit contention hints.

    Examples
    --------
    >>> monitor = MeanFieldGame()
    >>> for _ in range(5 * 256):
    ...     state = monitor.observe(12)
    >>> state
    <MeanFieldState.EQUILIBRIUM: 1>
    >>> for _ in range(256):
    ...     state = monitor.observe(65_535)
    >>> state
    <MeanFieldState.COLLAPSED: 3>
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, MeanFieldState, contention_hint=uint16)
    state = reading(current_state, MeanFieldState)
    congestion_count = reading(congestion_count)
    equilibrium_mean = reading(equilibrium_mean)
    summary = operation(summary, named(MeanFieldSummary, state=MeanFieldState))

    @staticmethod
    def best_response(distribution):
        """Return the logit best response to eight shares."""
        return best_response(vector(LEVELS)("distribution", distribution).tolist())

    @staticmethod
    def congestion_costs(distribution):
        """Return the costs of the eight levels under eight shares."""
        return congestion_costs(vector(LEVELS)("distribution", distribution).tolist())

    @staticmethod
    def mean_contention(distribution):
        """Return the mean level of eight shares, scaled to [0, 1]."""
        return mean_contention(vector(LEVELS)("distribution", distribution).tolist())
