"""How often are the calls of each family adverse in normal times?

Nine Bernoulli rates that borrow strength from each other: an empirical-Bayes (beta-binomial)
shrinkage towards the pooled rate. How far depends on how different the families show themselves
to be: the between-family variance is the method-of-moments estimate of DerSimonian and Laird,
with a margin so that little data never claims more likeness than it can show. Families that
behave alike are judged by the tight bound of the pool; a family with its own habits keeps them.
The upper bound of each family adds the uncertainty of its own part and of the pool's.

References
----------
.. [1] R. DerSimonian, N. Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials
       7(3), 1986.
.. [2] B. Efron, C. Morris, "Data analysis using Stein's estimator and its generalizations",
       J. Amer. Statist. Assoc. 70, 1975.
.. [3] A. Gelman et al., "Bayesian Data Analysis", 3rd ed., ch. 5, 2013.
"""

import math
from typing import NamedTuple

import numpy as np

from runtime_math.calibrated.learnt_rate import GROWTH, LARGEST_UNIT, REFRESH_PERIOD, unit_interval
from runtime_math.calibrated.rate_detector import rate
from runtime_math.monitors.base import Monitor, finite, flag, member, operation
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT, ApiFamily

PRIOR_RATE = 0.005
PRIOR_TRIALS = 100.0
LOWEST_BOUND = 1e-3
SMALLEST_STRENGTH = 50.0
LARGEST_STRENGTH = 1e6
# Added to the heterogeneity statistic, whose mean is FAMILY_COUNT - 1 when all families agree.
HETEROGENEITY_MARGIN = 0.0

STATE = np.dtype(
    [
        ("hits", np.float64, (FAMILY_COUNT,)),
        ("trials", np.float64, (FAMILY_COUNT,)),
        ("rate", np.float64, (FAMILY_COUNT,)),
        ("bound", np.float64, (FAMILY_COUNT,)),
        ("ceiling", np.float64, (FAMILY_COUNT,)),
        ("pooled_rate", np.float64),
        ("pooled_trials", np.float64),
        ("strength", np.float64),
        ("unit", np.float64),
        ("margin", np.float64),
        ("learnt", np.int64),
    ],
    align=True,
)


class FamilyRate(NamedTuple):
    """What is known of one family."""

    rate: float
    bound: float
    trials: float
    strength: float


@jitted
def pool(state):
    """Estimate the pooled rate and how strongly the families are drawn towards it."""
    hits = PRIOR_RATE * PRIOR_TRIALS
    trials = PRIOR_TRIALS
    for family in range(FAMILY_COUNT):
        hits += state.hits[family] / state.unit
        trials += state.trials[family] / state.unit
    mean = hits / trials
    variance = mean * (1.0 - mean)
    heterogeneity = 0.0
    seen = 0.0
    squares = 0.0
    families = 0
    for family in range(FAMILY_COUNT):
        count = state.trials[family] / state.unit
        if count >= 1.0:
            excess = state.hits[family] / state.unit - count * mean
            heterogeneity += excess * excess / (count * variance)
            seen += count
            squares += count * count
            families += 1
    strength = LARGEST_STRENGTH
    spread = heterogeneity + HETEROGENEITY_MARGIN - (families - 1)
    if families > 1 and spread > 0.0:
        strength = (seen - squares / seen) / spread
    state.pooled_rate = mean
    state.pooled_trials = trials
    state.strength = min(max(strength, SMALLEST_STRENGTH), LARGEST_STRENGTH)


@jitted
def refresh(state):
    """Recompute every family's rate and bound."""
    pool(state)
    mean = state.pooled_rate
    pool_variance = mean * (1.0 - mean) / (state.pooled_trials + 3.0)
    for family in range(FAMILY_COUNT):
        weight = state.trials[family] / state.unit + state.strength
        own = (state.hits[family] / state.unit + state.strength * mean) / weight
        share = state.strength / weight
        variance = own * (1.0 - own) / (weight + 3.0) + share * share * pool_variance
        bound = own + state.margin * math.sqrt(variance)
        state.rate[family] = own
        state.bound[family] = min(max(bound, LOWEST_BOUND), state.ceiling[family])


@jitted
def init(state, margin, ceiling):
    """Know nothing but the prior."""
    state.unit = 1.0
    state.margin = margin
    state.learnt = 0
    for family in range(FAMILY_COUNT):
        state.hits[family] = 0.0
        state.trials[family] = 0.0
        state.ceiling[family] = ceiling
    refresh(state)


@jitted
def learn(state, family, hit, weight):
    """Learn one outcome with a weight from 0 to 1; returns whether the bounds were refreshed."""
    state.unit *= GROWTH
    mass = state.unit * weight
    state.trials[family] += mass
    if hit:
        limit = state.ceiling[family] * state.trials[family]
        state.hits[family] = min(state.hits[family] + mass, limit)
    if state.unit > LARGEST_UNIT:
        for index in range(FAMILY_COUNT):
            state.hits[index] /= state.unit
            state.trials[index] /= state.unit
        state.unit = 1.0
    state.learnt += 1
    if state.learnt % REFRESH_PERIOD == 0:
        refresh(state)
        return True
    return False


@jitted
def accept(state, family, accepted_rate, trials, ceiling):
    """Replace what was learnt of a family: an operator vouches for the rate."""
    state.trials[family] = trials * state.unit
    state.hits[family] = accepted_rate * trials * state.unit
    state.ceiling[family] = max(state.ceiling[family], ceiling)
    refresh(state)


@jitted
def summary(state, family):
    """Return rate, bound, own outcomes and strength of the pool for one family."""
    return FamilyRate(
        state.rate[family],
        state.bound[family],
        state.trials[family] / state.unit,
        state.strength,
    )


class FamilyRates(Monitor):
    """Shrunk adverse rates of nine families with upper bounds.

    Parameters
    ----------
    margin : float, default 2
        Standard errors between an estimate and its bound.
    ceiling : float in (0, 1), default 0.6
        Largest rate that is ever learnt.

    Examples
    --------
    >>> rates = FamilyRates()
    >>> for index in range(9000):
    ...     refreshed = rates.learn(index % 9, index % 100 == 0, 1.0)
    >>> round(rates.summary(ApiFamily.STDIO).rate, 3)
    0.01
    """

    STATE = STATE
    PARAMETERS = {"margin": (finite, 2.0), "ceiling": (rate, 0.6)}
    initialise = init
    learn = operation(learn, family=member(ApiFamily), hit=flag, weight=unit_interval)
    accept = operation(
        accept,
        family=member(ApiFamily),
        accepted_rate=unit_interval,
        trials=finite,
        ceiling=unit_interval,
    )
    summary = operation(summary, family=member(ApiFamily))
