"""Can a worst-case adversary still drive the system into the unsafe set?

Smoothed risk, latency and adverse rate, in four levels each, are the state of a discrete
two-player game: the controller tightens or relaxes, the adversary pushes. Value iteration on the
Isaacs equation (reward 1 per safe step, discount 0.95, unsafe cells pinned at -20) tells from
which cells the unsafe set can be avoided. Where the value is not positive, it cannot.

The solution has three values only, so it is written down here instead of being solved at import.
It shows that the risk level decides alone: at level 3 the game is lost, below it the controller
can cancel every push. No value lies in the margin (0, 0.3], so the code APPROACHING is never
given.

References
----------
.. [1] R. Isaacs, "Differential Games", Wiley, 1965.
.. [2] I. M. Mitchell, A. M. Bayen, C. J. Tomlin, "A time-dependent Hamilton-Jacobi formulation of
       reachable sets for continuous dynamic games", IEEE Trans. Automat. Control 50(7), 2005.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, named, operation, reading, uint32, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.types import PPM

LEVELS = 4
CELLS = LEVELS**3
DISCOUNT = 0.95
SAFE_REWARD = 1.0
WARMUP_OBSERVATIONS = 64
EWMA_WEIGHT = 0.05
APPROACHING_MARGIN = 0.3
LOG_LATENCY_SCALE = 10.0

UNSAFE_VALUE = -20.0
SAFE_VALUE = SAFE_REWARD / (1.0 - DISCOUNT)
# One step before the unsafe set the reward is still paid.
LOST_VALUE = SAFE_REWARD + DISCOUNT * UNSAFE_VALUE
UNSAFE_RISK_LEVEL = 3
UNSAFE_ADVERSE_LEVEL = 2
UNSAFE_RISK = UNSAFE_RISK_LEVEL / LEVELS

# Moves of the controller (relax, hold, tighten, emergency) and of the adversary (benign, probe,
# burst, sustained).
RISK_PULL = (0, 0, 1, 2)
CONTROL_LATENCY = (-1, 0, 1, 1)
RISK_PUSH = (0, 0, 1, 2)
ADVERSE_PUSH = (-1, 0, 1, 2)
ADVERSARY_LATENCY = (0, 0, 0, 1)


def cell_levels(cell):
    """Return the risk, latency and adverse level of a cell."""
    return cell // LEVELS**2, cell // LEVELS % LEVELS, cell % LEVELS


def is_unsafe(cell):
    """Return whether a cell belongs to the unsafe set."""
    risk, _, adverse = cell_levels(cell)
    return risk == UNSAFE_RISK_LEVEL and adverse >= UNSAFE_ADVERSE_LEVEL


def successor(cell, control, adversary):
    """Return the cell that follows a move of both players."""
    risk, latency, adverse = cell_levels(cell)
    moved = (
        risk + RISK_PUSH[adversary] - RISK_PULL[control],
        latency + CONTROL_LATENCY[control] + ADVERSARY_LATENCY[adversary],
        adverse + ADVERSE_PUSH[adversary],
    )
    risk, latency, adverse = (min(max(level, 0), LEVELS - 1) for level in moved)
    return risk * LEVELS**2 + latency * LEVELS + adverse


def _solved_value(cell):
    if is_unsafe(cell):
        return UNSAFE_VALUE
    return LOST_VALUE if cell_levels(cell)[0] == UNSAFE_RISK_LEVEL else SAFE_VALUE


VALUES = np.array([_solved_value(cell) for cell in range(CELLS)])


class HjiState(IntEnum):
    """Whether the unsafe set can be avoided from the present cell."""

    CALIBRATING = 0
    SAFE = 1
    APPROACHING = 2
    BREACHED = 3


STATE = np.dtype(
    [
        ("risk_ewma", np.float64),
        ("latency_ewma", np.float64),
        ("adverse_ewma", np.float64),
        ("observations", np.int64),
        ("breach_count", np.int64),
        ("state", np.uint8),
    ],
    align=True,
)


class HjiSummary(NamedTuple):
    """State, value of the present cell, and the cell."""

    state: int
    value: float
    breach_count: int
    risk_level: int
    latency_level: int
    adverse_level: int


@jitted
def init(state):
    """Start with all averages at zero."""
    state.risk_ewma = 0.0
    state.latency_ewma = 0.0
    state.adverse_ewma = 0.0
    state.observations = 0
    state.breach_count = 0
    state.state = 0


@jitted
def observe_logarithm(state, risk_ppm, log_latency, adverse):
    """Add one call whose log1p(latency_ns) is known already; returns the state code."""
    keep = 1.0 - EWMA_WEIGHT
    latency = min(log_latency / LOG_LATENCY_SCALE, 1.0)
    outcome = 1.0 if adverse else 0.0
    state.risk_ewma = keep * state.risk_ewma + EWMA_WEIGHT * (risk_ppm / PPM)
    state.latency_ewma = keep * state.latency_ewma + EWMA_WEIGHT * latency
    state.adverse_ewma = keep * state.adverse_ewma + EWMA_WEIGHT * outcome
    state.observations += 1
    if state.observations < WARMUP_OBSERVATIONS:
        return 0
    code = 1
    # The sign of the value depends on the risk level only.
    if state.risk_ewma >= UNSAFE_RISK:
        code = 3
        state.breach_count += 1
    state.state = code
    return code


@jitted
def observe(state, risk_ppm, latency_ns, adverse):
    """Add one call; returns the state code."""
    return observe_logarithm(state, risk_ppm, math.log1p(np.float64(latency_ns)), adverse)


@jitted
def _level(average):
    return min(int(min(average, 1.0) * LEVELS), LEVELS - 1)


@jitted
def current_state(state):
    """Return the state code."""
    return np.int64(state.state)


@jitted
def breach_count(state):
    """Return how many observations were classified as breached."""
    return state.breach_count


@jitted
def current_value(state):
    """Return the value of the present cell, also during the warm-up."""
    risk = _level(state.risk_ewma)
    latency = _level(state.latency_ewma)
    return VALUES[(risk * LEVELS + latency) * LEVELS + _level(state.adverse_ewma)]


@jitted
def summary(state):
    """Return the state, the value, the breach count and the levels."""
    return HjiSummary(
        np.int64(state.state),
        current_value(state),
        state.breach_count,
        _level(state.risk_ewma),
        _level(state.latency_ewma),
        _level(state.adverse_ewma),
    )


class HjiReachability(Monitor):
    """Reachability of the unsafe set under worst-case disturbance.

    `observe` takes a risk bound in parts per million (0 to 2^32 - 1), a latency in nanoseconds (0
    to 2^64 - 1) and whether the call was adverse.

    Examples
    --------
    >>> monitor = HjiReachability()
    >>> for _ in range(64):
    ...     state = monitor.observe(20_000, 12, False)
    >>> state
    <HjiState.SAFE: 1>
    >>> for _ in range(64):
    ...     state = monitor.observe(1_000_000, 120, True)
    >>> state, monitor.current_value
    (<HjiState.BREACHED: 3>, -20.0)
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, HjiState, risk_ppm=uint32, latency_ns=uint64, adverse=flag)
    state = reading(current_state, HjiState)
    breach_count = reading(breach_count)
    current_value = reading(current_value)
    summary = operation(summary, named(HjiSummary, state=HjiState))
