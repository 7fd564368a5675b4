"""How high could the true adverse rate of a family plausibly be?

Per API family the controller counts calls and adverse outcomes and answers with an upper confidence
limit in parts per million: the add-one (Laplace) smoothed proportion plus z standard errors, the
one-sided relative of the adjusted Wald interval. Families with little history answer with a prior
instead. Nothing is ever forgotten, so the limit narrows as 1/sqrt(calls).

References
----------
.. [1] L. D. Brown, T. T. Cai, A. DasGupta, "Interval Estimation for a Binomial Proportion",
       Statist. Sci. 16(2), 2001.
.. [2] A. Agresti, B. A. Coull, "Approximate is better than 'exact' for interval estimation of
       binomial proportions", Amer. Statist. 52(2), 1998.
"""

import math
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, operation, real, uint32
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT, PPM, ApiFamily

MIN_CALLS = 32
DEFAULT_PRIOR_PPM = 20_000
DEFAULT_Z_SCORE = 3.0
UNKNOWN = -1

STATE = np.dtype(
    [
        ("calls", np.int64, (FAMILY_COUNT,)),
        ("adverse", np.int64, (FAMILY_COUNT,)),
        # The limit of each family once asked for, UNKNOWN after an observation.
        ("bound_ppm", np.int64, (FAMILY_COUNT,)),
        ("prior_ppm", np.int64),
        ("z_score", np.float64),
    ],
    align=True,
)


class RiskSummary(NamedTuple):
    """Counts and limit of one family."""

    calls: int
    adverse: int
    upper_bound_ppm: int


@jitted
def init(state, prior_ppm, z_score):
    """Start without history."""
    state.prior_ppm = prior_ppm
    state.z_score = z_score
    for family in range(FAMILY_COUNT):
        state.calls[family] = 0
        state.adverse[family] = 0
        state.bound_ppm[family] = prior_ppm


@jitted
def observe(state, family, adverse):
    """Count one outcome of a family."""
    state.calls[family] += 1
    if adverse:
        state.adverse[family] += 1
    state.bound_ppm[family] = UNKNOWN


@jitted
def _limit_ppm(state, family):
    calls = state.calls[family]
    if calls < MIN_CALLS:
        return state.prior_ppm
    rate = (state.adverse[family] + 1.0) / (calls + 2.0)
    variance = max(rate * (1.0 - rate) / (calls + 3.0), 0.0)
    limit = rate + state.z_score * math.sqrt(variance)
    if not limit > 0.0:  # so that a NaN, from a NaN z-score, gives 0 as well
        return 0
    scaled = min(limit, 1.0) * PPM
    whole = int(scaled)
    # Halves up; not int(scaled + 0.5), which is wrong just below a half.
    return whole + 1 if scaled - whole >= 0.5 else whole


@jitted
def upper_bound_ppm(state, family):
    """Return the upper limit of a family's adverse rate, in parts per million."""
    bound = state.bound_ppm[family]
    if bound == UNKNOWN:
        bound = _limit_ppm(state, family)
        state.bound_ppm[family] = bound
    return bound


@jitted
def summary(state, family):
    """Return the counts and the limit of a family."""
    return RiskSummary(state.calls[family], state.adverse[family], upper_bound_ppm(state, family))


class Risk(Monitor):
    """Upper confidence limit of the adverse rate, per API family.

    Parameters
    ----------
    prior_ppm : int, default 20 000
        Answer for a family with fewer than 32 calls, in parts per million (0 to 2^32 - 1).
    z_score : float, default 3.0
        Width of the limit in standard errors; infinities and NaN are accepted.

    Examples
    --------
    >>> monitor = Risk()
    >>> for call in range(100):
    ...     monitor.observe(ApiFamily.STDIO, call % 10 == 0)
    >>> monitor.upper_bound_ppm(ApiFamily.STDIO)
    199533
    >>> monitor.upper_bound_ppm(ApiFamily.LOADER)
    20000
    """

    STATE = STATE
    PARAMETERS = {
        "prior_ppm": (uint32, DEFAULT_PRIOR_PPM),
        "z_score": (real, DEFAULT_Z_SCORE),
    }
    initialise = init
    observe = operation(observe, family=member(ApiFamily), adverse=flag)
    upper_bound_ppm = operation(upper_bound_ppm, family=member(ApiFamily))
    summary = operation(summary, family=member(ApiFamily))
