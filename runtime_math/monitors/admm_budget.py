"""Is the split of a unit budget over risk, latency and coverage settled?

Every observation is one step of the alternating direction method of multipliers: the fractions x
follow the gradient of the augmented Lagrangian, their consensus z is the projection onto the set
"non-negative, sum at most one", and the scaled dual variables y accumulate the disagreement x - z
as shadow prices. The mean of the primal residual |x - z| and the dual residual |z - z_previous| is
smoothed; where it lies gives the state.

References
----------
.. [1] S. Boyd, N. Parikh, E. Chu, B. Peleato, J. Eckstein, "Distributed optimization and
       statistical learning via the alternating direction method of multipliers", Found. Trends
       Mach. Learn. 3(1), 2011.
.. [2] J. Duchi, S. Shalev-Shwartz, Y. Singer, T. Chandra, "Efficient projections onto the l1-ball
       for learning in high dimensions", ICML 2008.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, real, uint64, vector
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import resting_point

OBJECTIVE_COUNT = 3
CALIBRATION_OBSERVATIONS = 128
SMOOTHING = 0.05
# At and below it, gaps of zero leave the smoothed gap as it is.
RESTING = resting_point(1.0 - SMOOTHING)
CONVERGED_GAP = 0.10
VIOLATION_GAP = 0.35
STEP_SIZE = 0.02
STEP_DECAY = 0.01
BUDGET_CAP = 1.0
EQUAL_SHARE = 1.0 / 3.0


class BudgetState(IntEnum):
    """How far the budget split is from consistency."""

    CALIBRATING = 0
    CONVERGED = 1
    DUAL_DRIFT = 2
    CONSTRAINT_VIOLATION = 3


STATE = np.dtype(
    [
        ("primal", np.float64, (OBJECTIVE_COUNT,)),
        ("consensus", np.float64, (OBJECTIVE_COUNT,)),
        ("dual", np.float64, (OBJECTIVE_COUNT,)),
        ("smoothed_gap", np.float64),
        ("observations", np.int64),
        ("violation_count", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class BudgetSummary(NamedTuple):
    """Fractions (risk, latency, coverage), shadow prices, and the smoothed residual."""

    state: int
    primal: tuple
    dual: tuple
    primal_dual_gap: float
    total_observations: int
    violation_count: int


@jitted
def init(state):
    """Start with equal fractions and no prices."""
    for objective in range(OBJECTIVE_COUNT):
        state.primal[objective] = EQUAL_SHARE
        state.consensus[objective] = EQUAL_SHARE
        state.dual[objective] = 0.0
    state.smoothed_gap = 0.0
    state.observations = 0
    state.violation_count = 0
    state.code = 0


@jitted
def _clamp_unit(value):
    # NaN stays: the first argument is kept unless the second beats it.
    return min(max(value, 0.0), 1.0)


@jitted
def _positive_part(value):
    # NaN becomes 0.
    return value if value > 0.0 else 0.0


@jitted
def _threshold(first, second, third, cap):
    """Return what to subtract from three non-negative numbers so that they sum to the cap."""
    high, low = max(first, second), min(first, second)
    largest, rest = max(high, third), min(high, third)
    middle, smallest = max(low, rest), min(low, rest)
    # All three candidates are computed and the last that leaves its own entry positive decides. A
    # settled budget sits on the edge between two of them, where branches would be mispredicted.
    pair = largest + middle
    of_one = largest - cap
    of_two = (pair - cap) * 0.5
    of_three = ((pair + smallest) - cap) / 3.0
    theta = of_one if largest - of_one > 0.0 else 0.0
    theta = of_two if middle - of_two > 0.0 else theta
    return of_three if smallest - of_three > 0.0 else theta


@jitted
def project_simplex(first, second, third, cap):
    """Project three numbers onto "non-negative, sum at most the cap"; NaN counts as 0."""
    first, second, third = _positive_part(first), _positive_part(second), _positive_part(third)
    if (first + second) + third <= cap:
        return first, second, third
    theta = _threshold(first, second, third, cap)
    return (
        _positive_part(first - theta),
        _positive_part(second - theta),
        _positive_part(third - theta),
    )


@jitted
def _norm(first, second, third):
    return math.sqrt(((first * first) + second * second) + third * third)


@jitted
def classify(observations, smoothed_gap):
    """Return the state code of a number of observations and a smoothed gap."""
    if observations < CALIBRATION_OBSERVATIONS:
        return 0
    if smoothed_gap >= VIOLATION_GAP:
        return 3
    return 2 if smoothed_gap >= CONVERGED_GAP else 1


@jitted
def _descend(state, objective, cost, step):
    fraction = state.primal[objective]
    gradient = (state.dual[objective] - cost) + (fraction - state.consensus[objective])
    fraction = _clamp_unit(fraction - step * gradient)
    state.primal[objective] = fraction
    return fraction


@jitted
def _iterate(state, risk_cost, latency_fraction, coverage_gap, step):
    """Take one step of the method; returns the mean of the primal and the dual residual."""
    consensus, dual = state.consensus, state.dual
    x0 = _descend(state, 0, _clamp_unit(risk_cost), step)
    x1 = _descend(state, 1, _clamp_unit(latency_fraction), step)
    x2 = _descend(state, 2, _clamp_unit(coverage_gap), step)
    z0, z1, z2 = project_simplex(x0 + dual[0], x1 + dual[1], x2 + dual[2], BUDGET_CAP)
    dual_residual = _norm(z0 - consensus[0], z1 - consensus[1], z2 - consensus[2])
    r0, r1, r2 = x0 - z0, x1 - z1, x2 - z2
    consensus[0], consensus[1], consensus[2] = z0, z1, z2
    dual[0] += r0
    dual[1] += r1
    dual[2] += r2
    return (_norm(r0, r1, r2) + dual_residual) * 0.5


@jitted
def _smooth_gap(state, gap):
    smoothed = state.smoothed_gap
    if state.observations == 1:
        state.smoothed_gap = gap
    elif gap != 0.0 or smoothed > RESTING:
        state.smoothed_gap = smoothed + SMOOTHING * (gap - smoothed)


@jitted
def observe_and_update(state, risk_cost, latency_fraction, coverage_gap):
    """Take one step with three costs, clamped to [0, 1]; returns the state code."""
    state.observations += 1
    count = state.observations
    step = STEP_SIZE / (1.0 + math.sqrt(float(count)) * STEP_DECAY)
    gap = _iterate(state, risk_cost, latency_fraction, coverage_gap, step)
    _smooth_gap(state, gap)
    code = classify(count, state.smoothed_gap)
    if code == 3 and count > CALIBRATION_OBSERVATIONS:
        state.violation_count += 1
    state.code = code
    return code


@jitted
def state_code(state):
    """Return the state code."""
    return state.code


@jitted
def summary(state):
    """Return the fractions, the prices, the smoothed gap and the counters."""
    primal, dual = state.primal, state.dual
    return BudgetSummary(
        state.code,
        (primal[0], primal[1], primal[2]),
        (dual[0], dual[1], dual[2]),
        state.smoothed_gap,
        state.observations,
        state.violation_count,
    )


_three_reals = vector(OBJECTIVE_COUNT)


class AdmmBudget(Monitor):
    """Online split of a unit budget over risk, latency and coverage.

    `observe_and_update` takes ``risk_cost``, ``latency_fraction`` and ``coverage_gap`` (floats,
    clamped to [0, 1]).

    Notes
    -----
    The gradient follows the costs upwards: a larger cost attracts budget. The gap measures
    transients, so any steady input ends CONVERGED. A NaN stays in its coordinate and in the gap for
    good, and reads as CONVERGED.

    Examples
    --------
    >>> monitor = AdmmBudget()
    >>> for _ in range(2000):
    ...     state = monitor.observe_and_update(0.9, 0.1, 0.1)
    >>> state
    <BudgetState.CONVERGED: 1>
    >>> [round(share, 2) for share in monitor.summary.primal]
    [1.0, 0.0, 0.0]
    >>> AdmmBudget.project_simplex([0.75, 0.5, -0.5], 1.0)
    (0.625, 0.375, 0.0)
    """

    STATE = STATE
    initialise = init
    observe_and_update = operation(
        observe_and_update, BudgetState, risk_cost=real, latency_fraction=real, coverage_gap=real
    )
    state = reading(state_code, BudgetState)
    summary = reading(summary, named(BudgetSummary, state=BudgetState))

    @staticmethod
    def project_simplex(v, cap):
        """Project a vector of three numbers onto "non-negative, sum at most ``cap``"."""
        return project_simplex(*_three_reals("v", v).tolist(), real("cap", cap))

    @staticmethod
    def classify(observations, smoothed_gap):
        """Return the `BudgetState` of a number of observations and a smoothed gap."""
        return BudgetState(
            classify(uint64("observations", observations), real("smoothed_gap", smoothed_gap))
        )
