"""Do conformal prediction sets still cover 95 % of new scores?

Each nonconformity score is ranked among the 256 before it. If scores are exchangeable, its
conformal p-value exceeds 0.05 with probability 95 %; an exponentially weighted average of that
event is the coverage, and it is the coverage that is classified.

The p-value exceeds 0.05 exactly where 20 (c + 1) > m + 1, with c of the m stored scores at least
as large as the new one, so an observation costs one count over the window. The threshold of the
prediction set, a quantile of the window, is determined only when a summary asks for it.

References
----------
.. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", Springer, 2005.
.. [2] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-free predictive
       inference for regression", JASA 113, 2018.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, real
from runtime_math.numerics.compilation import jitted

WINDOW = 256
WARMUP_OBSERVATIONS = 64
# Miscoverage 1/20: the arithmetic on ranks is exact in integers.
MISCOVERAGE_RECIPROCAL = 20
UNDERCOVERAGE_BELOW = 0.90
FAILURE_BELOW = 0.85
EWMA_WEIGHT = 0.02


class ConformalState(IntEnum):
    """How the smoothed coverage compares with its target."""

    CALIBRATING = 0
    COVERED = 1
    UNDERCOVERAGE = 2
    COVERAGE_FAILURE = 3


STATE = np.dtype(
    [
        # Slots that are not filled yet hold NaN, which counts in no comparison.
        ("scores", np.float64, (WINDOW,)),
        ("coverage_ewma", np.float64),
        ("total_observations", np.int64),
        ("violation_count", np.int64),
        ("state", np.uint8),
    ],
    align=True,
)


class ConformalSummary(NamedTuple):
    """Coverage, threshold of the present prediction set, and life-time counts."""

    state: int
    empirical_coverage: float
    conformal_threshold: float
    violation_count: int
    total_observations: int


@jitted
def init(state):
    """Start with an empty window and full coverage."""
    for slot in range(WINDOW):
        state.scores[slot] = math.nan
    state.coverage_ewma = 1.0
    state.total_observations = 0
    state.violation_count = 0
    state.state = 0


@jitted
def _classify(observations, coverage):
    if observations < WARMUP_OBSERVATIONS:
        return 0
    if coverage < FAILURE_BELOW:
        return 3
    return 2 if coverage < UNDERCOVERAGE_BELOW else 1


@jitted
def observe(state, score):
    """Rank one score and add it to the window; returns the state code."""
    at_least = 0
    for slot in range(WINDOW):
        at_least += state.scores[slot] >= score
    earlier = state.total_observations
    covered = MISCOVERAGE_RECIPROCAL * (at_least + 1) > min(earlier, WINDOW) + 1
    if not covered:
        state.violation_count += 1
    state.coverage_ewma = (EWMA_WEIGHT * (1.0 if covered else 0.0)) + (
        (1.0 - EWMA_WEIGHT) * state.coverage_ewma
    )
    state.scores[earlier & (WINDOW - 1)] = score
    state.total_observations = earlier + 1
    code = _classify(earlier + 1, state.coverage_ewma)
    state.state = code
    return code


@jitted
def current_state(state):
    """Return the state code."""
    return np.int64(state.state)


@jitted
def conformal_threshold(state):
    """Return the score above which a value is outside the present prediction set."""
    fill = min(state.total_observations, WINDOW)
    rank = -(-(MISCOVERAGE_RECIPROCAL - 1) * (fill + 1) // MISCOVERAGE_RECIPROCAL)
    index = min(rank, fill) - 1
    for candidate in range(fill):
        score = state.scores[candidate]
        below, at_most = 0, 0
        for slot in range(WINDOW):
            below += state.scores[slot] < score
            at_most += state.scores[slot] <= score
        if below <= index < at_most:
            return score
    return math.inf


@jitted
def summary(state):
    """Return the coverage, the threshold and the counts."""
    return ConformalSummary(
        np.int64(state.state),
        state.coverage_ewma,
        conformal_threshold(state),
        state.violation_count,
        state.total_observations,
    )


def _score(name, value):
    score = real(name, value)
    if math.isnan(score):
        raise ValueError(f"{name} must not be NaN: ranks need an order")
    return score


class Conformal(Monitor):
    """Coverage of sliding-window conformal prediction, for a stream of scores.

    Scores are real numbers; infinities are allowed, NaN is refused.

    Examples
    --------
    >>> monitor = Conformal()
    >>> for call in range(64):
    ...     state = monitor.observe(0.01 * (call % 10))
    >>> state
    <ConformalState.COVERED: 1>
    >>> monitor.summary().conformal_threshold
    0.09
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, ConformalState, score=_score)
    state = reading(current_state, ConformalState)
    conformal_threshold = reading(conformal_threshold)
    summary = operation(summary, named(ConformalSummary, state=ConformalState))
