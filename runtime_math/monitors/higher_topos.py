"""Does the same scope keep resolving to the same result?

Local data glue to a global section only if they agree where they overlap. Here a small direct
mapped memory keeps the last result of each scope; a scope that comes back with another result is
a violation of descent. An exponentially weighted mean of the violations gives the state, and a
running XOR of what agreed is a witness of the coherent part of the stream.

References
----------
.. [1] S. Mac Lane, I. Moerdijk, "Sheaves in Geometry and Logic", Springer, 1992, ch. II-III.
.. [2] J. Lurie, "Higher Topos Theory", Princeton University Press, 2009.
.. [3] S. W. Roberts, "Control chart tests based on geometric moving averages", Technometrics 1,
       1959.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, uint8, uint64
from runtime_math.numerics.compilation import jitted

WARMUP_OBSERVATIONS = 32
SLOT_COUNT = 64
SLOT_MASK = np.uint64(SLOT_COUNT - 1)
VIOLATION_RATE = 0.05
INCOHERENCE_RATE = 0.15
NEW_WEIGHT = 0.02
OLD_WEIGHT = 1.0 - NEW_WEIGHT
SCOPE_MULTIPLIER = np.uint64(0x517CC1B727220A95)
RESULT_MULTIPLIER = np.uint64(0x6C62272E07BB0142)
EMPTY = np.uint64(0)


class ToposState(IntEnum):
    """How often scopes change their result."""

    CALIBRATING = 0
    COHERENT = 1
    DESCENT_VIOLATION = 2
    INCOHERENT = 3


STATE = np.dtype(
    [
        ("slot_scope", np.uint64, (SLOT_COUNT,)),
        ("slot_result", np.uint64, (SLOT_COUNT,)),
        ("total_observations", np.int64),
        ("violation_count", np.int64),
        ("violation_rate", np.float64),
        ("witness", np.uint64),
        ("max_fallback_depth", np.int64),
    ],
    align=True,
)


class ToposSummary(NamedTuple):
    """State, smoothed violation rate, witness of the agreeing observations, and counters."""

    state: int
    violation_rate: float
    coherence_witness_hash: int
    violation_count: int
    total_observations: int
    max_fallback_depth: int


@jitted
def init(state):
    """Start with empty slots."""
    for slot in range(SLOT_COUNT):
        state.slot_scope[slot] = EMPTY
        state.slot_result[slot] = EMPTY
    state.total_observations = 0
    state.violation_count = 0
    state.violation_rate = 0.0
    state.witness = EMPTY
    state.max_fallback_depth = 0


@jitted
def slot_index(scope_hash):
    """Return the slot that a scope shares with all others of the same low six bits."""
    return np.int64(scope_hash & SLOT_MASK)


@jitted
def state_code(state):
    """Return the present state code."""
    if state.total_observations < WARMUP_OBSERVATIONS:
        return 0
    if state.violation_rate >= INCOHERENCE_RATE:
        return 3
    return 2 if state.violation_rate >= VIOLATION_RATE else 1


@jitted
def observe(state, scope_hash, result_hash, fallback_depth):
    """Add one resolution of a scope; returns the state code."""
    slot = slot_index(scope_hash)
    # Scope 0 marks an empty slot, so it never violates and its result is forgotten.
    violation = (
        scope_hash != EMPTY
        and state.slot_scope[slot] == scope_hash
        and state.slot_result[slot] != result_hash
    )
    state.slot_scope[slot] = scope_hash
    state.slot_result[slot] = result_hash
    state.total_observations += 1
    state.max_fallback_depth = max(state.max_fallback_depth, fallback_depth)
    indicator = 0.0
    if violation:
        indicator = 1.0
        state.violation_count += 1
    else:
        state.witness ^= (scope_hash * SCOPE_MULTIPLIER) ^ (result_hash * RESULT_MULTIPLIER)
    state.violation_rate = (NEW_WEIGHT * indicator) + (OLD_WEIGHT * state.violation_rate)
    return state_code(state)


@jitted
def summary(state):
    """Return the state, the violation rate, the witness and the counters."""
    return ToposSummary(
        state_code(state),
        state.violation_rate,
        state.witness,
        state.violation_count,
        state.total_observations,
        state.max_fallback_depth,
    )


class HigherTopos(Monitor):
    """Agreement of the results that the same scopes resolve to.

    Examples
    --------
    >>> monitor = HigherTopos()
    >>> for result in range(32):
    ...     state = monitor.observe(scope_hash=5, result_hash=70_000, fallback_depth=1)
    >>> state
    <ToposState.COHERENT: 1>
    >>> for result in range(3):
    ...     state = monitor.observe(5, result, 1)
    >>> state, monitor.summary().violation_count
    (<ToposState.DESCENT_VIOLATION: 2>, 3)
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe, ToposState, scope_hash=uint64, result_hash=uint64, fallback_depth=uint8
    )
    state = reading(state_code, ToposState)
    summary = operation(summary, named(ToposSummary, state=ToposState))
