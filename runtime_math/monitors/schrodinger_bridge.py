"""Is the mix of actions much farther from equilibrium than it used to be?

Blocks of 128 membrane actions are histogrammed. The entropic optimal-transport cost from the
histogram to the uniform distribution over the four actions, the static Schroedinger bridge, is
the block's distance; a block is in transition when it exceeds two and a half times an adaptive
baseline.

The distance comes from at most 100 Sinkhorn iterations, which often do not converge to the
tolerance, so their number and order are part of the definition. The row sums of the convergence
test are those of the next iteration's first step. A block with the counts of the one before it
has its distance.

References
----------
.. [1] M. Cuturi, "Sinkhorn distances: lightspeed computation of optimal transport", NIPS 2013.
.. [2] C. Leonard, "A survey of the Schroedinger problem and some of its connections with optimal
       transport", Discrete Contin. Dyn. Syst. A 34(4), 2014.
.. [3] G. Peyre, M. Cuturi, "Computational Optimal Transport", Found. Trends Mach. Learn. 11,
       2019.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, uint32, vector
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.four_by_four import matrix_times_vector

ACTIONS = 4
BLOCK = 128
BASELINE_BLOCKS = 4
REGULARISATION = 0.1
MAX_ITERATIONS = 100
MARGINAL_TOLERANCE = 1e-6
TRANSITION_RATIO = 2.5
SMALLEST_SHARE = 1e-10
SMALLEST_SUM = 1e-15
SMALLEST_BASELINE = 1e-12
EQUAL_WITHIN = 1e-12
ADAPTATION = 0.05

# Cost of moving from one action (row) to another (column): allow, full validation, repair, deny.
COST = (
    (0.0, 1.0, 2.0, 4.0),
    (0.5, 0.0, 1.0, 2.0),
    (1.0, 0.5, 0.0, 1.5),
    (3.0, 1.5, 1.0, 0.0),
)
GIBBS_KERNEL = tuple(tuple(math.exp(-cost / REGULARISATION) for cost in row) for row in COST)
# Stored by columns, as the vector routine reads a matrix, and the transpose likewise.
_KERNEL = np.ascontiguousarray(np.array(GIBBS_KERNEL).T)
_TRANSPOSED_KERNEL = np.array(GIBBS_KERNEL)
_UNIFORM = (0.25, 0.25, 0.25, 0.25)


class BridgeState(IntEnum):
    """Whether the action mix is in a transition."""

    CALIBRATING = 0
    STABLE = 1
    TRANSITIONING = 2


STATE = np.dtype(
    [
        ("counts", np.int64, (ACTIONS,)),
        ("last_counts", np.int64, (ACTIONS,)),
        ("block_actions", np.int64),
        ("last_distance", np.float64),
        ("baseline_distance", np.float64),
        ("baseline_blocks", np.int64),
        ("transition_count", np.int64),
        ("state", np.uint8),
    ],
    align=True,
)


class BridgeSummary(NamedTuple):
    """Figures of the last complete block; the score uses the baseline as it is now."""

    state: int
    transport_distance: float
    baseline_distance: float
    transition_score: float
    transition_count: int


@jitted
def init(state):
    """Start with an empty block and no baseline."""
    for action in range(ACTIONS):
        state.counts[action] = 0
        state.last_counts[action] = 0
    state.block_actions = 0
    state.last_distance = 0.0
    state.baseline_distance = 0.0
    state.baseline_blocks = 0
    state.transition_count = 0
    state.state = 0


@jitted
def _scaling(marginal, sums):
    return (
        marginal[0] / sums[0] if sums[0] > SMALLEST_SUM else 1.0,
        marginal[1] / sums[1] if sums[1] > SMALLEST_SUM else 1.0,
        marginal[2] / sums[2] if sums[2] > SMALLEST_SUM else 1.0,
        marginal[3] / sums[3] if sums[3] > SMALLEST_SUM else 1.0,
    )


@jitted
def sinkhorn(source, target):
    """Return the transport cost of two 4-tuples of shares, and whether the iteration converged."""
    if (
        abs(source[0] - target[0]) <= EQUAL_WITHIN
        and abs(source[1] - target[1]) <= EQUAL_WITHIN
        and abs(source[2] - target[2]) <= EQUAL_WITHIN
        and abs(source[3] - target[3]) <= EQUAL_WITHIN
    ):
        return 0.0, True
    converged = False
    u = v = (1.0, 1.0, 1.0, 1.0)
    sums = matrix_times_vector(_KERNEL, v[0], v[1], v[2], v[3])
    for _ in range(MAX_ITERATIONS):
        u = _scaling(source, sums)
        columns = matrix_times_vector(_TRANSPOSED_KERNEL, u[0], u[1], u[2], u[3])
        v = _scaling(target, columns)
        sums = matrix_times_vector(_KERNEL, v[0], v[1], v[2], v[3])
        error = (
            (abs(u[0] * sums[0] - source[0]) + abs(u[1] * sums[1] - source[1]))
            + abs(u[2] * sums[2] - source[2])
        ) + abs(u[3] * sums[3] - source[3])
        if error < MARGINAL_TOLERANCE:
            converged = True
            break
    distance = 0.0
    for row in range(ACTIONS):
        for column in range(ACTIONS):
            distance += ((COST[row][column] * u[row]) * GIBBS_KERNEL[row][column]) * v[column]
    return distance, converged


@jitted
def _block_distance(state):
    counts, last = state.counts, state.last_counts
    repeated = True
    for action in range(ACTIONS):
        repeated &= counts[action] == last[action]
        last[action] = counts[action]
        counts[action] = 0
    if repeated:
        return state.last_distance
    a = max(last[0] / BLOCK, SMALLEST_SHARE)
    b = max(last[1] / BLOCK, SMALLEST_SHARE)
    c = max(last[2] / BLOCK, SMALLEST_SHARE)
    d = max(last[3] / BLOCK, SMALLEST_SHARE)
    total = ((a + b) + c) + d
    return sinkhorn((a / total, b / total, c / total, d / total), _UNIFORM)[0]


@jitted
def _close_block(state):
    distance = _block_distance(state)
    state.last_distance = distance
    state.block_actions = 0
    baseline = state.baseline_distance
    weight = ADAPTATION
    if state.baseline_blocks < BASELINE_BLOCKS:
        weight = 1.0 / (state.baseline_blocks + 1.0)
        state.baseline_blocks += 1
    elif baseline > SMALLEST_BASELINE and distance / baseline > TRANSITION_RATIO:
        state.state = 2
        state.transition_count += 1
        return
    else:
        state.state = 1
    state.baseline_distance = (1.0 - weight) * baseline + weight * distance


@jitted
def observe_action(state, action):
    """Add one action, 0 to 3; returns the state code. Other numbers are ignored."""
    if action < ACTIONS:
        state.counts[action] += 1
        state.block_actions += 1
        if state.block_actions == BLOCK:
            _close_block(state)
    return np.int64(state.state)


@jitted
def current_state(state):
    """Return the state code."""
    return np.int64(state.state)


@jitted
def transition_count(state):
    """Return how many blocks were in transition."""
    return state.transition_count


@jitted
def summary(state):
    """Return the figures of the last block and the score against the present baseline."""
    baseline = state.baseline_distance
    return BridgeSummary(
        np.int64(state.state),
        state.last_distance,
        baseline,
        state.last_distance / baseline if baseline > SMALLEST_BASELINE else 0.0,
        state.transition_count,
    )


class SchrodingerBridge(Monitor):
    """Entropic transport distance of the action mix from the uniform one.

    `observe_action` takes the number of an action: 0 allow, 1 full validation, 2 repair, 3 deny;
    larger numbers are ignored.

    Examples
    --------
    >>> monitor = SchrodingerBridge()
    >>> for call in range(8 * 128):
    ...     state = monitor.observe_action(call % 5 % 4)
    >>> state
    <BridgeState.STABLE: 1>
    >>> for call in range(128):
    ...     state = monitor.observe_action(0)
    >>> state
    <BridgeState.TRANSITIONING: 2>
    """

    STATE = STATE
    initialise = init
    observe_action = operation(observe_action, BridgeState, action=uint32)
    state = reading(current_state, BridgeState)
    transition_count = reading(transition_count)
    summary = operation(summary, named(BridgeSummary, state=BridgeState))

    @staticmethod
    def sinkhorn_distance(source, target):
        """Return the entropic transport cost between two action mixes.

        Parameters
        ----------
        source, target : array_like of 4 floats
            Shares of the actions.

        Returns
        -------
        distance : float
            Cost of the plan that the iteration ends with.
        converged : bool
            Whether the row marginals were met to 1e-6.
        """
        shares = (vector(ACTIONS)("source", source), vector(ACTIONS)("target", target))
        return sinkhorn(*(tuple(values.tolist()) for values in shares))
