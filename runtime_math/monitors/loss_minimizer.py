"""Which of four actions would have been cheapest lately, and is every one of them expensive?

After each outcome the loss that *every* action would have incurred is known (full information), so
the controller smooths four losses side by side and recommends the smallest: minimum expected loss,
with an exponentially weighted average in place of the expectation. Its state names the landscape:
balanced, led by Repair or by Deny by a wide ratio, or expensive throughout.

References
----------
.. [1] J. O. Berger, "Statistical Decision Theory and Bayesian Analysis", Springer 1985, ch. 1-2.
.. [2] S. W. Roberts, "Control chart tests based on geometric moving averages", Technometrics 1(3),
       1959.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, named, operation, reading, uint8, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import resting_point
from runtime_math.types import MembraneAction

ACTION_COUNT = 4
WARMUP_DECISIONS = 32
SMOOTHING = 0.05
RETENTION = 1.0 - SMOOTHING
RESTING = resting_point(RETENTION)
COST_UNIT_NS = 1000.0
LARGEST_COST_UNITS = 10.0
ALLOW_PENALTY = 10.0
ALLOW_SLOPE = 0.1
ALLOW_BENEFIT = 0.8
VALIDATE_FIXED = 0.5
VALIDATE_SLOPE = 0.3
VALIDATE_PENALTY = 1.0
REPAIR_FIXED = 0.6
REPAIR_SLOPE = 0.35
REPAIR_PENALTY = 0.3
DENY_FIXED = 1.5
DENY_SLOPE = 0.10
BIAS_RATIO = 2.5
EXPLOSION_LOSS = 2.0


class LossState(IntEnum):
    """Shape of the loss landscape."""

    CALIBRATING = 0
    BALANCED = 1
    REPAIR_BIASED = 2
    DENY_BIASED = 3
    COST_EXPLOSION = 4


STATE = np.dtype(
    [
        ("loss", np.float64, (ACTION_COUNT,)),
        ("action_counts", np.int64, (ACTION_COUNT,)),
        ("total_decisions", np.int64),
        ("cost_explosion_count", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class LossSummary(NamedTuple):
    """Smoothed losses and what they recommend."""

    state: int
    recommended_action: int
    repair_loss_ewma: float
    deny_loss_ewma: float
    allow_loss_ewma: float
    total_decisions: int
    cost_explosion_count: int


@jitted
def init(state):
    """Start with no losses and no decisions."""
    for action in range(ACTION_COUNT):
        state.loss[action] = 0.0
        state.action_counts[action] = 0
    state.total_decisions = 0
    state.cost_explosion_count = 0
    state.code = 0


@jitted
def _cheapest_action(state):
    action, smallest = 0, state.loss[0]
    if state.loss[1] < smallest:
        action, smallest = 1, state.loss[1]
    if state.loss[2] < smallest:
        action, smallest = 2, state.loss[2]
    if state.loss[3] < smallest:
        action = 3
    return action


@jitted
def _classify(state):
    if state.total_decisions < WARMUP_DECISIONS:
        return 0
    action = _cheapest_action(state)
    smallest = state.loss[action]
    if smallest > EXPLOSION_LOSS:
        return 4
    # Leading losses of Allow or FullValidate have no code, so no ratio is needed for them. Those
    # of Repair and Deny cannot be zero: every outcome adds a positive amount.
    if action < 2:
        return 1
    largest = max(max(state.loss[0], state.loss[1]), max(state.loss[2], state.loss[3]))
    return action if largest / smallest > BIAS_RATIO else 1


@jitted
def observe(state, action_taken, adverse, estimated_cost_ns):
    """Add one outcome to the losses of all four actions; returns the state code.

    The action taken is only counted (codes above 3 as Deny).
    """
    state.total_decisions += 1
    state.action_counts[min(action_taken, 3)] += 1
    cost = min(estimated_cost_ns / COST_UNIT_NS, LARGEST_COST_UNITS)
    validate = VALIDATE_FIXED + cost * VALIDATE_SLOPE
    repair = REPAIR_FIXED + cost * REPAIR_SLOPE
    if adverse:
        allow = cost + ALLOW_PENALTY
        validate += VALIDATE_PENALTY
        repair += REPAIR_PENALTY
        deny = DENY_FIXED + cost * DENY_SLOPE
    else:
        allow = max(cost * ALLOW_SLOPE - ALLOW_BENEFIT, 0.0)
        deny = DENY_FIXED
    loss = state.loss
    # Only this loss can be zero for long, so only its average can come to rest.
    if (allow != 0.0) | (loss[0] > RESTING):
        loss[0] = SMOOTHING * allow + RETENTION * loss[0]
    loss[1] = SMOOTHING * validate + RETENTION * loss[1]
    loss[2] = SMOOTHING * repair + RETENTION * loss[2]
    loss[3] = SMOOTHING * deny + RETENTION * loss[3]
    code = _classify(state)
    if code == 4 and state.code != 4:
        state.cost_explosion_count += 1
    state.code = code
    return code


@jitted
def recommended_action(state):
    """Return the action of the smallest loss; FullValidate while calibrating."""
    return 1 if state.total_decisions < WARMUP_DECISIONS else _cheapest_action(state)


@jitted
def state_code(state):
    """Return the state code."""
    return state.code


@jitted
def summary(state):
    """Return the state, the recommendation, three losses and the counters."""
    return LossSummary(
        state.code,
        recommended_action(state),
        state.loss[2],
        state.loss[3],
        state.loss[0],
        state.total_decisions,
        state.cost_explosion_count,
    )


class LossMinimizer(Monitor):
    """Expected-loss tracker over Allow, FullValidate, Repair and Deny.

    `observe` takes ``action_taken`` (0..255, counted as at most 3), ``adverse`` (bool) and
    ``estimated_cost_ns`` (0..2^64-1 nanoseconds; the loss stops growing at 10 000).

    Examples
    --------
    >>> monitor = LossMinimizer()
    >>> for _ in range(32):
    ...     state = monitor.observe(MembraneAction.REPAIR, True, 500)
    >>> state
    <LossState.REPAIR_BIASED: 2>
    >>> monitor.recommended_action
    <MembraneAction.REPAIR: 2>
    >>> round(monitor.summary.allow_loss_ewma, 3)
    8.466
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe, LossState, action_taken=uint8, adverse=flag, estimated_cost_ns=uint64
    )
    state = reading(state_code, LossState)
    recommended_action = reading(recommended_action, MembraneAction)
    summary = reading(
        summary, named(LossSummary, state=LossState, recommended_action=MembraneAction)
    )
