"""Do pairs of monitors still deviate together the way their running covariance says?

Every code is compared with its running mean; twelve pairs that ought to move together have the
product of their deviations compared with its own running mean, the covariance. The norm of those
residuals, in units of the norm of the deviations and smoothed, is the obstruction: zero while the
joint behaviour is explained, as the composite of consecutive differentials vanishes in an exact
sequence. The residual and the deviations fade together, so a disturbance is forgotten slowly.

References
----------
.. [1] J. McCleary, "A User's Guide to Spectral Sequences", 2nd ed., Cambridge University Press,
       2001 (obstructions; the name only).
.. [2] S. W. Roberts, "Control chart tests based on geometric moving averages", Technometrics 1(3),
       1959 (the exponentially weighted averages).
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.faithful.signals import Signal
from runtime_math.monitors.base import Monitor, integer, named, operation, reading, vector
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.running_deviation import (
    SIGNAL_COUNT,
    SMOOTHING_WEIGHT,
    TRACKER,
    track,
)

CALIBRATION_CALLS = 128
MINOR_FROM = 0.25
CRITICAL_FROM = 0.6
SMALLEST_NORM = 1e-10

# The order is that of the sum of squares.
PAIRS = np.array(
    [
        (Signal.ANYTIME, Signal.CVAR),
        (Signal.CVAR, Signal.LARGE_DEVIATIONS),
        (Signal.ANYTIME, Signal.CONFORMAL),
        (Signal.SPECTRAL, Signal.SIGNATURE),
        (Signal.SIGNATURE, Signal.TOPOLOGICAL),
        (Signal.HJI, Signal.MEAN_FIELD),
        (Signal.PADIC, Signal.SYMPLECTIC),
        (Signal.HIGHER_TOPOS, Signal.COMMITMENT_AUDIT),
        (Signal.EQUIVARIANT, Signal.KTHEORY),
        (Signal.MICROLOCAL, Signal.SERRE),
        (Signal.CLIFFORD, Signal.COVERING),
        (Signal.BRIDGE, Signal.CHANGEPOINT),
    ],
    dtype=np.int64,
)
PAIR_COUNT = len(PAIRS)


class ObstructionState(IntEnum):
    """Size of the smoothed obstruction."""

    CALIBRATING = 0
    EXACT = 1
    MINOR_OBSTRUCTION = 2
    CRITICAL_OBSTRUCTION = 3


STATE = np.dtype(
    [
        ("tracker", TRACKER),
        ("covariance", np.float64, (PAIR_COUNT,)),
        ("obstruction_norm", np.float64),
        ("critical_count", np.int64),
    ],
    align=True,
)


class ObstructionSummary(NamedTuple):
    """Verdict, smoothed norm, what the latest call showed, and counts."""

    state: int
    obstruction_norm: float
    obstructed_pair_count: int
    max_pair_obstruction: float
    total_observations: int
    critical_count: int


@jitted
def init(state):
    """Start without observations."""
    for signal in range(SIGNAL_COUNT):
        state.tracker.running_mean[signal] = 0.0
        state.tracker.deviation[signal] = 0.0
        state.tracker.squares[signal] = 0.0
        state.tracker.projections[signal] = 0.0
    state.tracker.observations = 0
    for pair in range(PAIR_COUNT):
        state.covariance[pair] = 0.0
    state.obstruction_norm = 0.0
    state.critical_count = 0


@jitted
def classify(observations, obstruction_norm):
    """Return the code for a number of calls and a smoothed norm."""
    if observations < CALIBRATION_CALLS:
        return 0
    if obstruction_norm >= CRITICAL_FROM:
        return 3
    return 2 if obstruction_norm >= MINOR_FROM else 1


@jitted(forceinline=True)
def observe_deviation(state, sum_of_squares):
    """Take in what ``track(state.tracker, severity)`` left and returned first; returns the code."""
    observations = state.tracker.observations
    weight = SMOOTHING_WEIGHT if observations > 1 else 1.0
    residual_squares = 0.0
    for pair in range(PAIR_COUNT):
        product = state.tracker.deviation[PAIRS[pair, 0]] * state.tracker.deviation[PAIRS[pair, 1]]
        covariance = state.covariance[pair]
        covariance = covariance + weight * (product - covariance)
        state.covariance[pair] = covariance
        residual = product - covariance
        residual_squares += residual * residual
    obstruction = math.sqrt(residual_squares) / max(math.sqrt(sum_of_squares), SMALLEST_NORM)
    # No special first call: its deviations are zero, so its obstruction and the average are, too.
    norm = state.obstruction_norm + SMOOTHING_WEIGHT * (obstruction - state.obstruction_norm)
    state.obstruction_norm = norm
    code = classify(observations, norm)
    # The verdict exists from the last calibration call on, the count starts one call later.
    if code == 3 and observations > CALIBRATION_CALLS:
        state.critical_count += 1
    return code


@jitted
def observe(state, severity):
    """Add one vector of codes (25 entries, ``uint8``); returns the state code."""
    sum_of_squares, _ = track(state.tracker, severity)
    return observe_deviation(state, sum_of_squares)


@jitted
def current_state(state):
    """Return the state code."""
    return classify(state.tracker.observations, state.obstruction_norm)


@jitted
def pair_obstruction(state, pair):
    """Return the absolute residual that a pair (0 to 11) had in the latest call."""
    left = state.tracker.deviation[PAIRS[pair, 0]]
    right = state.tracker.deviation[PAIRS[pair, 1]]
    return abs(left * right - state.covariance[pair])


@jitted
def summary(state):
    """Return the verdict, the norm, the worst pair of the latest call and the counts."""
    obstructed, largest = 0, 0.0
    for pair in range(PAIR_COUNT):
        residual = pair_obstruction(state, pair)
        largest = max(largest, residual)
        if residual > MINOR_FROM:
            obstructed += 1
    return ObstructionSummary(
        current_state(state),
        state.obstruction_norm,
        obstructed,
        largest,
        state.tracker.observations,
        state.critical_count,
    )


class ObstructionDetector(Monitor):
    """Residual of the running covariance of twelve pairs of monitors.

    `observe` takes the codes of the 25 base monitors: integers from 0 to 255, normally 0 to 4.

    Examples
    --------
    >>> monitor = ObstructionDetector()
    >>> for call in range(1, 138):
    ...     state = monitor.observe([3 if call % 9 == 1 else 1] * 25)
    >>> state
    <ObstructionState.CRITICAL_OBSTRUCTION: 3>
    >>> for _ in range(600):
    ...     state = monitor.observe([1] * 25)
    >>> state
    <ObstructionState.EXACT: 1>
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, ObstructionState, severity=vector(SIGNAL_COUNT, np.uint8))
    state = reading(current_state, ObstructionState)
    pair_obstruction = operation(pair_obstruction, pair=integer(0, PAIR_COUNT - 1))
    summary = operation(summary, named(ObstructionSummary, state=ObstructionState))
