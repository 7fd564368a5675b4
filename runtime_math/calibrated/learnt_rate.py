"""Which rate of a Bernoulli stream is normal, and how high may it be without surprise?

Counts decayed over a memory of `MEMORY` learnt outcomes, started from a prior worth a few
outcomes, and an upper confidence bound (normal approximation) that serves a detector as its null.
The decay is lazy: instead of shrinking the counts, every new outcome weighs a little more.

References
----------
.. [1] L. D. Brown, T. T. Cai, A. DasGupta, "Interval estimation for a binomial proportion",
       Statist. Sci. 16(2), 2001.
"""

import math
from typing import NamedTuple

import numpy as np

from runtime_math.calibrated.rate_detector import rate
from runtime_math.monitors.base import Monitor, finite, flag, operation, reading
from runtime_math.numerics.compilation import jitted

MEMORY = 8192.0
GROWTH = 1.0 / (1.0 - 1.0 / MEMORY)
LARGEST_UNIT = 1e9
REFRESH_PERIOD = 32
EXTRA_TRIALS = 3.0
# Not having seen an event in n outcomes is no surprise while its rate is below this over n.
UNSEEN = 2.0

STATE = np.dtype(
    [
        ("hits", np.float64),
        ("trials", np.float64),
        ("unit", np.float64),
        ("bound", np.float64),
        ("margin", np.float64),
        ("lowest", np.float64),
        ("highest", np.float64),
        ("learnt", np.int64),
    ],
    align=True,
)


class LearntRate(NamedTuple):
    """What is known of the rate."""

    rate: float
    bound: float
    trials: float


@jitted
def upper_bound(rate, trials, margin):
    """Rate plus `margin` standard errors."""
    return rate + margin * math.sqrt(rate * (1.0 - rate) / (trials + EXTRA_TRIALS))


@jitted
def refresh(state):
    """Recompute the bound from the counts."""
    mean = state.hits / state.trials
    trials = state.trials / state.unit
    bound = max(upper_bound(mean, trials, state.margin), UNSEEN / trials)
    state.bound = min(max(bound, state.lowest), state.highest)


@jitted
def init(state, prior_rate, prior_trials, margin, lowest, highest):
    """Start from a prior."""
    state.hits = prior_rate * prior_trials
    state.trials = prior_trials
    state.unit = 1.0
    state.margin = margin
    state.lowest = lowest
    state.highest = highest
    state.learnt = 0
    refresh(state)


@jitted
def learn(state, hit, weight):
    """Learn one outcome with a weight from 0 to 1; returns whether the bound was refreshed."""
    state.unit *= GROWTH
    mass = state.unit * weight
    state.trials += mass
    if hit:
        # A rate above the highest allowed one is never learnt, so it cannot linger either.
        state.hits = min(state.hits + mass, state.highest * state.trials)
    if state.unit > LARGEST_UNIT:
        state.hits /= state.unit
        state.trials /= state.unit
        state.unit = 1.0
    state.learnt += 1
    if state.learnt % REFRESH_PERIOD == 0:
        refresh(state)
        return True
    return False


@jitted
def summary(state):
    """Return the mean rate, its bound, and the number of outcomes behind them."""
    return LearntRate(state.hits / state.trials, state.bound, state.trials / state.unit)


@jitted
def bound(state):
    """Return the upper bound as of the last refresh."""
    return state.bound


def _positive(name, value):
    number = finite(name, value)
    if not number > 0.0:
        raise ValueError(f"{name} must be above 0, got {number}")
    return number


def unit_interval(name, value):
    """Validate a number from 0 to 1."""
    number = finite(name, value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name} must be from 0 to 1, got {number}")
    return number


class LearntRateMonitor(Monitor):
    """Decayed estimate of a Bernoulli rate with an upper bound.

    Parameters
    ----------
    prior_rate : float in (0, 1), default 0.005
        Rate expected before anything is learnt.
    prior_trials : float, default 100
        Outcomes that the prior is worth.
    margin : float, default 2
        Standard errors between the estimate and its bound.
    lowest, highest : float in (0, 1), default 0.001 and 0.6
        Range of the bound; a higher rate is not learnt.

    Examples
    --------
    >>> monitor = LearntRateMonitor()
    >>> for index in range(6400):
    ...     refreshed = monitor.learn(index % 50 == 0, 1.0)
    >>> round(monitor.summary().rate, 3), round(monitor.bound, 3)
    (0.02, 0.024)
    """

    STATE = STATE
    PARAMETERS = {
        "prior_rate": (rate, 0.005),
        "prior_trials": (_positive, 100.0),
        "margin": (finite, 2.0),
        "lowest": (rate, 0.001),
        "highest": (rate, 0.6),
    }
    initialise = init
    learn = operation(learn, hit=flag, weight=unit_interval)
    summary = operation(summary)
    bound = reading(bound)
