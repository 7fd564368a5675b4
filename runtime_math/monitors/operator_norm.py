"""Does the trajectory of the monitors' codes contract towards its running mean, or grow?

The ratio of successive deviation norms estimates the spectral radius of the unseen operator that
carries one deviation to the next, as in the power method. A step counts fully only as far as the
direction persists: with cosine c between the deviations, the ratio r enters as r c + (1 - c).
Nothing is learnt while deviations are small, so the estimate stays where it is in quiet times.

References
----------
.. [1] G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th ed., Johns Hopkins University Press,
       2013, section 7.3.1 (the power method).
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, vector
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.running_deviation import SIGNAL_COUNT, TRACKER, track

CALIBRATION_CALLS = 128
SMOOTHING_WEIGHT = 0.05
MARGINAL_FROM = 0.85
UNSTABLE_FROM = 1.05
SMALLEST_NORM = 0.1
INITIAL_RADIUS = 0.5


class OperatorNormState(IntEnum):
    """Where the estimated spectral radius lies."""

    CALIBRATING = 0
    CONTRACTIVE = 1
    MARGINAL = 2
    UNSTABLE = 3


# What is left of the state where another monitor keeps the tracker, as in the kernel.
GROWTH = np.dtype(
    [
        ("spectral_radius", np.float64),
        ("directional_coherence", np.float64),
        ("deviation_norm", np.float64),
        ("observations", np.int64),
        ("instability_count", np.int64),
    ],
    align=True,
)
STATE = np.dtype(
    [("tracker", TRACKER), *((name, GROWTH[name]) for name in GROWTH.names or ())], align=True
)


class OperatorNormSummary(NamedTuple):
    """Verdict, smoothed estimates, the latest deviation norm, and counts."""

    state: int
    spectral_radius: float
    directional_coherence: float
    deviation_norm: float
    total_observations: int
    instability_count: int


@jitted
def init_growth(state):
    """Start the estimates; takes a record of `GROWTH` or `STATE`."""
    state.spectral_radius = INITIAL_RADIUS
    state.directional_coherence = 0.0
    state.deviation_norm = 0.0
    state.observations = 0
    state.instability_count = 0


@jitted
def init(state):
    """Start without observations."""
    for signal in range(SIGNAL_COUNT):
        state.tracker.running_mean[signal] = 0.0
        state.tracker.deviation[signal] = 0.0
        state.tracker.squares[signal] = 0.0
        state.tracker.projections[signal] = 0.0
    state.tracker.observations = 0
    init_growth(state)


@jitted
def classify(observations, spectral_radius):
    """Return the code for a number of calls and an estimated radius."""
    if observations < CALIBRATION_CALLS:
        return 0
    if spectral_radius >= UNSTABLE_FROM:
        return 3
    return 2 if spectral_radius >= MARGINAL_FROM else 1


@jitted(forceinline=True)
def observe_deviation(state, sum_of_squares, projection):
    """Take in what `track` returned for this call; returns the code.

    The record may be of `GROWTH` (the tracker is then the caller's) or of `STATE`.
    """
    norm, previous_norm = math.sqrt(sum_of_squares), state.deviation_norm
    state.deviation_norm = norm
    # Also false in the first call: there is no previous norm yet.
    if previous_norm > SMALLEST_NORM and norm > SMALLEST_NORM:
        cosine = min(abs(projection / (norm * previous_norm)), 1.0)
        growth = norm / previous_norm * cosine + (1.0 - cosine)
        state.spectral_radius += SMOOTHING_WEIGHT * (growth - state.spectral_radius)
        state.directional_coherence += SMOOTHING_WEIGHT * (cosine - state.directional_coherence)
    observations = state.observations + 1
    state.observations = observations
    code = classify(observations, state.spectral_radius)
    # The verdict exists from the last calibration call on, the count starts one call later.
    if code == 3 and observations > CALIBRATION_CALLS:
        state.instability_count += 1
    return code


@jitted
def observe(state, severity):
    """Add one vector of codes (25 entries, ``uint8``); returns the state code."""
    sum_of_squares, projection = track(state.tracker, severity)
    return observe_deviation(state, sum_of_squares, projection)


@jitted
def current_state(state):
    """Return the state code; takes a record of `GROWTH` or `STATE`."""
    return classify(state.observations, state.spectral_radius)


@jitted
def summary(state):
    """Return the verdict, the estimates and the counts; takes a record of `GROWTH` or `STATE`."""
    return OperatorNormSummary(
        current_state(state),
        state.spectral_radius,
        state.directional_coherence,
        state.deviation_norm,
        state.observations,
        state.instability_count,
    )


class OperatorNorm(Monitor):
    """Growth of the deviation of 25 monitors' codes from their running mean.

    `observe` takes the codes of the 25 base monitors: integers from 0 to 255, normally 0 to 4.

    Examples
    --------
    >>> monitor = OperatorNorm()
    >>> for call in range(1, 138):
    ...     state = monitor.observe([3 if call % 9 == 1 else 1] * 25)
    >>> state
    <OperatorNormState.UNSTABLE: 3>
    >>> for _ in range(100):
    ...     state = monitor.observe([1] * 25)
    >>> state
    <OperatorNormState.MARGINAL: 2>
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, OperatorNormState, severity=vector(SIGNAL_COUNT, np.uint8))
    state = reading(current_state, OperatorNormState)
    summary = operation(summary, named(OperatorNormSummary, state=OperatorNormState))
