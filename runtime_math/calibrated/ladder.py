"""Are small p-values coming more often than they may?

A ladder of levels pi; at each, two bets that p <= pi happens with probability q > pi:

    R <- (1 + R) * (q / pi if p <= pi else (1 - q) / (1 - pi)).

Under the null P(p <= pi) <= pi, so every R is a Shiryaev-Roberts e-detector, and so is their mean,
the ladder's value. A level sleeps until the p-values' own past is long enough to resolve it. Low
rungs react to a general shift of the distribution, high ones to a few extremes.

References
----------
.. [1] V. Vovk et al., "Retrain or not retrain: conformal test martingales for change-point
       detection", COPA, 2021.
.. [2] J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
       change detection", New England J. Statist. Data Sci. 2(2), 2023.
"""

import numpy as np

from runtime_math.calibrated.learnt_rate import unit_interval
from runtime_math.calibrated.rate_detector import EVIDENCE_CAP
from runtime_math.monitors.base import Monitor, finite, operation, reading
from runtime_math.numerics.compilation import jitted

LEVELS = np.array([0.2, 0.05, 0.01, 0.002, 0.0005])
LEVEL_COUNT = len(LEVELS)
BET_COUNT = 2
RUNG_COUNT = LEVEL_COUNT * BET_COUNT
# A level is used once the past holds this many values that small.
RESOLUTION = 2.0

_SMALL_BETS = [min(0.7, 3.0 * level) for level in LEVELS]
_LARGE_BETS = [
    min(0.9, factor * level) for level, factor in zip(LEVELS, [12.0] * 4 + [40.0], strict=True)
]
_BETS = np.array([_SMALL_BETS, _LARGE_BETS]).T
WIN = _BETS / LEVELS[:, None]
LOSS = (1.0 - _BETS) / (1.0 - LEVELS[:, None])

STATE = np.dtype([("rungs", np.float64, (LEVEL_COUNT, BET_COUNT))], align=True)


@jitted
def init(state):
    """Start without evidence."""
    for level in range(LEVEL_COUNT):
        for bet in range(BET_COUNT):
            state.rungs[level, bet] = 0.0


@jitted
def value(state):
    """Mean of all rungs."""
    total = 0.0
    for level in range(LEVEL_COUNT):
        for bet in range(BET_COUNT):
            total += state.rungs[level, bet]
    return total / RUNG_COUNT


@jitted
def observe(state, p, trials):
    """Bet on one p-value that rests on a number of learnt values; returns the ladder's value."""
    total = 0.0
    for level in range(LEVEL_COUNT):
        if trials * LEVELS[level] >= RESOLUTION:
            if p <= LEVELS[level]:
                for bet in range(BET_COUNT):
                    raised = (1.0 + state.rungs[level, bet]) * WIN[level, bet]
                    state.rungs[level, bet] = min(raised, EVIDENCE_CAP)
            else:
                for bet in range(BET_COUNT):
                    lowered = (1.0 + state.rungs[level, bet]) * LOSS[level, bet]
                    state.rungs[level, bet] = min(lowered, EVIDENCE_CAP)
        for bet in range(BET_COUNT):
            total += state.rungs[level, bet]
    return total / RUNG_COUNT


class ConformalLadder(Monitor):
    """E-detector that bets on p-values being too small.

    Examples
    --------
    >>> ladder = ConformalLadder()
    >>> for p in [0.3, 0.8, 0.5] * 100:
    ...     evidence = ladder.observe(p, 5000.0)
    >>> evidence < 100
    True
    >>> for _ in range(4):
    ...     evidence = ladder.observe(0.0001, 5000.0)
    >>> evidence > 100_000
    True
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, p=unit_interval, trials=finite)
    forget = operation(init)
    value = reading(value)
