"""Has the mean of a bounded quantity risen above the bound learnt from its past?

Betting on a bounded mean: for X in [0, 1] with conditional mean at most mu0 under the null,
1 + lambda (X - mu0) is non-negative with mean at most one when lambda <= 1/mu0. Three stakes
lambda are bet, each in a Shiryaev-Roberts recursion; the value is their mean. The policy feeds it
the clipped excess of a call's cost over its usual level, which few extreme calls dominate. The
null mean is the decayed mean of what was learnt, plus standard errors, plus a term that covers
what has not been seen yet.

References
----------
.. [1] I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting",
       J. R. Statist. Soc. B 86(1), 2024.
.. [2] A. Maurer, M. Pontil, "Empirical Bernstein bounds and sample variance penalization", 2009.
"""

import math
from typing import NamedTuple

import numpy as np

from runtime_math.calibrated.learnt_rate import GROWTH, LARGEST_UNIT, REFRESH_PERIOD, unit_interval
from runtime_math.calibrated.rate_detector import EVIDENCE_CAP
from runtime_math.monitors.base import Monitor, finite, operation, reading
from runtime_math.numerics.compilation import jitted

STAKES = np.array([5.0, 20.0, 80.0])
STAKE_COUNT = len(STAKES)
LARGEST_LOSS = 0.5
SMALLEST_MEAN = 5e-4
UNSEEN = 0.2
PRIOR_TRIALS = 100.0

STATE = np.dtype(
    [
        ("levels", np.float64, (STAKE_COUNT,)),
        ("stakes", np.float64, (STAKE_COUNT,)),
        ("null_mean", np.float64),
        ("margin", np.float64),
        ("first", np.float64),
        ("second", np.float64),
        ("trials", np.float64),
        ("unit", np.float64),
        ("learnt", np.int64),
    ],
    align=True,
)


class ExcessMean(NamedTuple):
    """What is known of the mean."""

    mean: float
    bound: float
    trials: float


@jitted
def forget(state):
    """Forget all evidence; what was learnt stays."""
    for index in range(STAKE_COUNT):
        state.levels[index] = 0.0


@jitted
def refresh(state):
    """Recompute the null mean and the stakes it allows."""
    trials = state.trials / state.unit
    mean = state.first / state.trials
    variance = max(state.second / state.trials - mean * mean, 0.0)
    bound = mean + state.margin * math.sqrt(variance / trials) + UNSEEN / trials
    state.null_mean = max(bound, SMALLEST_MEAN)
    for index in range(STAKE_COUNT):
        state.stakes[index] = min(STAKES[index], LARGEST_LOSS / state.null_mean)


@jitted
def init(state, margin):
    """Start without evidence, expecting no excess."""
    state.margin = margin
    state.first = 0.0
    state.second = 0.0
    state.trials = PRIOR_TRIALS
    state.unit = 1.0
    state.learnt = 0
    forget(state)
    refresh(state)


@jitted
def learn(state, excess, weight):
    """Learn one excess from 0 to 1 with a weight from 0 to 1."""
    state.unit *= GROWTH
    mass = state.unit * weight
    state.trials += mass
    state.first += mass * excess
    state.second += mass * excess * excess
    if state.unit > LARGEST_UNIT:
        state.first /= state.unit
        state.second /= state.unit
        state.trials /= state.unit
        state.unit = 1.0
    state.learnt += 1
    if state.learnt % REFRESH_PERIOD == 0:
        refresh(state)


@jitted
def observe(state, excess):
    """Bet on one excess from 0 to 1; returns the detector's value."""
    total = 0.0
    surplus = excess - state.null_mean
    for index in range(STAKE_COUNT):
        level = (1.0 + state.levels[index]) * (1.0 + state.stakes[index] * surplus)
        state.levels[index] = min(level, EVIDENCE_CAP)
        total += state.levels[index]
    return total / STAKE_COUNT


@jitted
def value(state):
    """Mean of the stakes' statistics."""
    total = 0.0
    for index in range(STAKE_COUNT):
        total += state.levels[index]
    return total / STAKE_COUNT


@jitted
def summary(state):
    """Return the learnt mean, the null mean, and the outcomes behind them."""
    return ExcessMean(state.first / state.trials, state.null_mean, state.trials / state.unit)


class ExcessMeanDetector(Monitor):
    """E-detector of a raised mean of values in [0, 1].

    Parameters
    ----------
    margin : float, default 2
        Standard errors between the learnt mean and the null.

    Examples
    --------
    >>> detector = ExcessMeanDetector()
    >>> for _ in range(2000):
    ...     detector.learn(0.0, 1.0)
    >>> for _ in range(4):
    ...     evidence = detector.observe(0.5)
    >>> evidence > 50_000
    True
    """

    STATE = STATE
    PARAMETERS = {"margin": (finite, 2.0)}
    initialise = init
    learn = operation(learn, excess=unit_interval, weight=unit_interval)
    observe = operation(observe, excess=unit_interval)
    forget = operation(forget)
    value = reading(value)
    summary = operation(summary)
