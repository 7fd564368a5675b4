"""Do the codes of monitors that should agree contradict one another?

Three small groups of monitors each have a fixed quadratic form in their centred codes; its value,
in units of the group's budget, is small when the codes rise and fall together and exceeds one when
they disagree. Non-negative quadratic forms are the certificates of sum-of-squares programming;
here fixed forms are evaluated, nothing is solved, and two of the three are slightly indefinite, so
that coherent codes may give a small negative stress. The stress is smoothed over calls.

References
----------
.. [1] P. A. Parrilo, "Semidefinite programming relaxations for semialgebraic problems", Math.
       Program. 96(2), 2003.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, vector
from runtime_math.numerics.compilation import jitted

SIGNAL_COUNT = 25
GROUP_COUNT = 3
CALIBRATION_CALLS = 128
SMOOTHING_WEIGHT = 0.05
STRESSED_FROM = 0.7
VIOLATED_FROM = 1.0
CENTRE = 1.5

# Per group: positions in the severity vector, upper triangle of the matrix by rows, budget.
TAIL_RISK = ((3, 4, 6, 16), (1.0, -0.4, -0.3, -0.4, 1.0, -0.4, -0.3, 1.0, -0.4, 1.0), 10.0)
STRUCTURAL = ((13, 19, 20), (1.0, -0.5, -0.4, 1.0, -0.5, 1.0), 8.0)
COMPATIBILITY = ((12, 21, 22, 23), (1.0, -0.4, -0.5, -0.3, 1.0, -0.4, -0.3, 1.0, -0.3, 1.0), 10.0)
GROUPS = (TAIL_RISK, STRUCTURAL, COMPATIBILITY)
SIZES = np.array([len(positions) for positions, _, _ in GROUPS])
BUDGETS = np.array([budget for _, _, budget in GROUPS])
POSITIONS = np.zeros((GROUP_COUNT, 4), np.int64)
TRIANGLES = np.zeros((GROUP_COUNT, 10))
for _group, (_positions, _triangle, _) in enumerate(GROUPS):
    POSITIONS[_group, : len(_positions)] = _positions
    TRIANGLES[_group, : len(_triangle)] = _triangle


def _form(positions, triangle, budget, centred):
    """Evaluate one form; `centred` maps positions to numbers or arrays of numbers."""
    # Codes that lie exactly on a threshold exist, so the order of operations is part of the result.
    total, entry = 0.0, 0
    for row, left in enumerate(positions):
        for right in positions[row:]:
            factor = triangle[entry] if left == right else 2.0 * triangle[entry]
            total = total + factor * centred[left] * centred[right]
            entry += 1
    return total / budget


def _tabulate(positions, triangle, budget):
    """Evaluate a form for all codes 0 to 3; two bits of the index per code, first code lowest."""
    index = np.arange(4 ** len(positions))
    centred = {
        position: (index >> 2 * place & 3) - CENTRE for place, position in enumerate(positions)
    }
    return _form(positions, triangle, budget, centred)


LARGEST_TABULATED_CODE = 3
TAIL_RISK_STRESS = _tabulate(*TAIL_RISK)
STRUCTURAL_STRESS = _tabulate(*STRUCTURAL)
COMPATIBILITY_STRESS = _tabulate(*COMPATIBILITY)


class SosInvariantState(IntEnum):
    """Worst smoothed stress of the three groups."""

    CALIBRATING = 0
    INVARIANT_SATISFIED = 1
    INVARIANT_STRESSED = 2
    INVARIANT_VIOLATED = 3


STATE = np.dtype(
    [
        ("smoothed", np.float64, (GROUP_COUNT,)),
        ("raw", np.float64, (GROUP_COUNT,)),
        ("observations", np.int64),
        ("violation_events", np.int64),
    ],
    align=True,
)


class SosInvariantSummary(NamedTuple):
    """Verdict, the largest smoothed stress (never negative), and counts."""

    state: int
    max_stress_fraction: float
    stressed_count: int
    violated_count: int
    total_observations: int
    violation_event_count: int


@jitted
def init(state):
    """Start without observations."""
    for group in range(GROUP_COUNT):
        state.smoothed[group] = 0.0
        state.raw[group] = 0.0
    state.observations = 0
    state.violation_events = 0


@jitted
def evaluate_form(severity, group):
    """Return one group's stress for any codes, term by term."""
    total, entry = 0.0, 0
    size = SIZES[group]
    for row in range(size):
        left = float(severity[POSITIONS[group, row]]) - CENTRE
        for column in range(row, size):
            right = float(severity[POSITIONS[group, column]]) - CENTRE
            factor = TRIANGLES[group, entry]
            if column > row:
                factor = 2.0 * factor
            total = total + factor * left * right
            entry += 1
    return total / BUDGETS[group]


@jitted(forceinline=True)
def stress_fractions(severity):
    """Return the stress of the three groups for a vector of codes (25 entries, ``uint8``)."""
    tail = severity[3] | severity[4] | severity[6] | severity[16]
    structural = severity[13] | severity[19] | severity[20]
    compatibility = severity[12] | severity[21] | severity[22] | severity[23]
    if (tail | structural | compatibility) > LARGEST_TABULATED_CODE:
        return evaluate_form(severity, 0), evaluate_form(severity, 1), evaluate_form(severity, 2)
    return (
        TAIL_RISK_STRESS[severity[3] | severity[4] << 2 | severity[6] << 4 | severity[16] << 6],
        STRUCTURAL_STRESS[severity[13] | severity[19] << 2 | severity[20] << 4],
        COMPATIBILITY_STRESS[
            severity[12] | severity[21] << 2 | severity[22] << 4 | severity[23] << 6
        ],
    )


@jitted
def classify(observations, largest):
    """Return the code for a number of calls and the largest smoothed stress."""
    if observations < CALIBRATION_CALLS:
        return 0
    if largest >= VIOLATED_FROM:
        return 3
    return 2 if largest >= STRESSED_FROM else 1


@jitted
def observe(state, severity):
    """Add one vector of codes (25 entries, ``uint8``); returns the state code."""
    tail, structural, compatibility = stress_fractions(severity)
    state.raw[0], state.raw[1], state.raw[2] = tail, structural, compatibility
    observations = state.observations + 1
    state.observations = observations
    if observations > 1:
        tail = state.smoothed[0] + SMOOTHING_WEIGHT * (tail - state.smoothed[0])
        structural = state.smoothed[1] + SMOOTHING_WEIGHT * (structural - state.smoothed[1])
        compatibility = state.smoothed[2] + SMOOTHING_WEIGHT * (compatibility - state.smoothed[2])
    state.smoothed[0], state.smoothed[1], state.smoothed[2] = tail, structural, compatibility
    code = classify(observations, max(tail, structural, compatibility))
    # The verdict exists from the last calibration call on, the count starts one call later.
    if code == 3 and observations > CALIBRATION_CALLS:
        state.violation_events += 1
    return code


@jitted
def current_state(state):
    """Return the state code."""
    largest = max(state.smoothed[0], state.smoothed[1], state.smoothed[2])
    return classify(state.observations, largest)


@jitted
def max_stress_fraction(state):
    """Return the largest smoothed stress of the groups, at least 0."""
    return max(0.0, state.smoothed[0], state.smoothed[1], state.smoothed[2])


@jitted
def summary(state):
    """Return the verdict, the largest stress and the counts."""
    stressed, violated = 0, 0
    for group in range(GROUP_COUNT):
        if state.smoothed[group] >= STRESSED_FROM:
            stressed += 1
        if state.smoothed[group] >= VIOLATED_FROM:
            violated += 1
    return SosInvariantSummary(
        current_state(state),
        max_stress_fraction(state),
        stressed,
        violated,
        state.observations,
        state.violation_events,
    )


class SosInvariant(Monitor):
    """Coherence of three groups of monitors by fixed quadratic forms of their codes.

    `observe` takes the codes of the 25 base monitors: integers from 0 to 255, normally 0 to 4.

    Examples
    --------
    >>> monitor = SosInvariant()
    >>> severity = [1] * 25
    >>> for position, code in zip((3, 4, 6, 16), (3, 0, 3, 0)):
    ...     severity[position] = code
    >>> for _ in range(128):
    ...     state = monitor.observe(severity)
    >>> state
    <SosInvariantState.INVARIANT_VIOLATED: 3>
    >>> round(monitor.max_stress_fraction, 6)
    1.35
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, SosInvariantState, severity=vector(SIGNAL_COUNT, np.uint8))
    state = reading(current_state, SosInvariantState)
    max_stress_fraction = reading(max_stress_fraction)
    summary = operation(summary, named(SosInvariantSummary, state=SosInvariantState))
