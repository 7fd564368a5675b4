"""How often can the strict and the hardened policy disagree, with 99 % confidence?

Each observation is a pair of actions: what either policy would do with the same call. Run side by
side on one stream of calls the two policies form a coupling, and P(X != Y) of any coupling bounds
their total-variation distance from above. The controller estimates that probability by its
frequency, adds Hoeffding's radius sqrt(ln(2/delta) / 2n), and compares with three tolerances.

The state depends on two counts alone. From one evaluation of the bound follows how far either
count can move before the state could change, so most observations only compare integers.

References
----------
.. [1] W. Hoeffding, "Probability inequalities for sums of bounded random variables",
       J. Amer. Statist. Assoc. 58(301), 1963.
.. [2] D. A. Levin, Y. Peres, E. L. Wilmer, "Markov Chains and Mixing Times", AMS 2009, ch. 4.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, named, operation, reading, uint8
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import resting_point

WARMUP_OBSERVATIONS = 48
FAILURE_PROBABILITY = 0.01
LOG_TERM = math.log(2.0 / FAILURE_PROBABILITY)
COUPLED_TOLERANCE = 0.05
DRIFT_TOLERANCE = 0.15
FAILURE_TOLERANCE = 0.30
SMOOTHING = 0.03
RETENTION = 1.0 - SMOOTHING
RESTING = resting_point(RETENTION)
GRID_SIDE = 16
# Margins around the exact crossing points, far wider than the rounding of the bound itself.
RELATIVE_MARGIN = 1.0 - 1e-9
ABSOLUTE_MARGIN = 1e-12
LARGEST_COUNT_AS_FLOAT = 2.0**62
UNLIMITED = 2**63 - 1


class CouplingState(IntEnum):
    """Where the bound on the disagreement rate lies."""

    CALIBRATING = 0
    COUPLED = 1
    DRIFTING = 2
    DIVERGED = 3
    CERTIFICATION_FAILURE = 4


STATE = np.dtype(
    [
        ("total_observations", np.int64),
        ("divergence_count", np.int64),
        ("quiet_observations", np.int64),
        ("quiet_divergences", np.int64),
        ("code", np.int64),
        ("adverse_disagreement_ewma", np.float64),
        ("pair_counts", np.int64, (GRID_SIDE, GRID_SIDE)),
    ],
    align=True,
)


class CouplingSummary(NamedTuple):
    """The certificate: distance, bound, and the margin to the tolerance."""

    state: int
    coupling_distance: float
    divergence_bound: float
    certification_margin: float
    total_observations: int
    divergence_count: int


@jitted
def init(state):
    """Start without observations."""
    state.total_observations = 0
    state.divergence_count = 0
    state.quiet_observations = WARMUP_OBSERVATIONS - 1
    state.quiet_divergences = UNLIMITED
    state.code = 0
    state.adverse_disagreement_ewma = 0.0
    for strict in range(GRID_SIDE):
        for hardened in range(GRID_SIDE):
            state.pair_counts[strict, hardened] = 0


@jitted
def _bound(state):
    if state.total_observations < WARMUP_OBSERVATIONS:
        return 1.0
    count = float(state.total_observations)
    return state.divergence_count / count + math.sqrt(LOG_TERM / (2.0 * count))


@jitted
def _classify(state):
    """Evaluate the bound, and how far the counts may grow without any chance of a new state.

    With j further disagreements among k further pairs the bound stays at or above bound*n/(n+k)
    and at or below bound + j/n; without disagreements it cannot rise at all.
    """
    bound = _bound(state)
    count = float(state.total_observations)
    if bound >= FAILURE_TOLERANCE:
        code, lower, upper = 4, FAILURE_TOLERANCE, math.inf
    elif bound >= DRIFT_TOLERANCE:
        code, lower, upper = 3, DRIFT_TOLERANCE, FAILURE_TOLERANCE
    elif bound >= COUPLED_TOLERANCE:
        code, lower, upper = 2, COUPLED_TOLERANCE, DRIFT_TOLERANCE
    else:
        code, lower, upper = 1, 0.0, COUPLED_TOLERANCE
    until = min(count * bound / lower * RELATIVE_MARGIN, LARGEST_COUNT_AS_FLOAT)
    spare = min((upper - bound - ABSOLUTE_MARGIN) * count, LARGEST_COUNT_AS_FLOAT)
    state.quiet_observations = int(until)
    state.quiet_divergences = state.divergence_count + int(spare)
    state.code = code
    return code


@jitted
def observe(state, strict_action, hardened_action, adverse):
    """Add the pair of actions of one call; returns the state code."""
    state.total_observations += 1
    differs = strict_action != hardened_action
    state.pair_counts[min(strict_action, GRID_SIDE - 1), min(hardened_action, GRID_SIDE - 1)] += 1
    if differs:
        state.divergence_count += 1
    if adverse and (differs or state.adverse_disagreement_ewma > RESTING):
        sample = SMOOTHING if differs else 0.0
        state.adverse_disagreement_ewma = sample + RETENTION * state.adverse_disagreement_ewma
    if (
        state.total_observations > state.quiet_observations
        or state.divergence_count > state.quiet_divergences
    ):
        return _classify(state)
    return state.code


@jitted
def state_code(state):
    """Return the state code."""
    return state.code


@jitted
def certification_valid(state):
    """Return whether the bound is below the tolerance of the COUPLED state."""
    return state.code == 1


@jitted
def agreement_count(state):
    """Return how many pairs agreed."""
    return state.total_observations - state.divergence_count


@jitted
def summary(state):
    """Return the state, the disagreement frequency, its upper bound and the counts."""
    total, distance = state.total_observations, 0.0
    if total > 0:
        distance = state.divergence_count / float(total)
    bound = _bound(state)
    return CouplingSummary(
        state.code, distance, bound, COUPLED_TOLERANCE - bound, total, state.divergence_count
    )


class Coupling(Monitor):
    """Certificate that the strict and the hardened policy rarely disagree.

    `observe` takes ``strict_action`` and ``hardened_action`` (codes 0..255; compared as they are)
    and ``adverse`` (bool).

    Notes
    -----
    The radius alone exceeds the tolerances for a long time: even without a single disagreement the
    state is DIVERGED up to 117 observations, DRIFTING up to 1059, and COUPLED only from 1060.

    Examples
    --------
    >>> monitor = Coupling()
    >>> for _ in range(1060):
    ...     state = monitor.observe(1, 1, False)
    >>> state
    <CouplingState.COUPLED: 1>
    >>> monitor.certification_valid
    True
    >>> round(monitor.summary.divergence_bound, 6)
    0.049992
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe, CouplingState, strict_action=uint8, hardened_action=uint8, adverse=flag
    )
    state = reading(state_code, CouplingState)
    certification_valid = reading(certification_valid)
    agreement_count = reading(agreement_count)
    summary = reading(summary, named(CouplingSummary, state=CouplingState))
