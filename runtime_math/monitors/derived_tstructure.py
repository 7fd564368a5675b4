"""Do eight ordered stages run in filtration order?

A t-structure on a derived category filters it by degree, and its orthogonality axiom forbids
non-zero morphisms from lower to higher degrees. Here stage i has degree i, a stage that runs before
its predecessors are complete violates the order, and each stage has a smoothed violation rate. How
large the largest rate is, and how many stages have a noticeable one, give the state.

Only the stage that is fed can change, so the stages are counted by the thresholds they have passed.

References
----------
.. [1] A. A. Beilinson, J. Bernstein, P. Deligne, "Faisceaux pervers", Asterisque 100, 1982.
.. [2] S. I. Gelfand, Yu. I. Manin, "Methods of Homological Algebra", Springer 2003.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, integer, named, operation, reading
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import fused_average, resting_point

STAGE_COUNT = 8
CALIBRATION_OBSERVATIONS = 32
SMOOTHING = 0.02
RETENTION = 1.0 - SMOOTHING
RESTING = resting_point(RETENTION)
NOISE_RATE = 0.01
DISORDER_RATE = 0.15
SEVERE_RATE = 0.35
DISORDERED_STAGES = 2
SEVERE_STAGES = 4
NONE_RECORDED = -1


class TStructureState(IntEnum):
    """How far the stages are out of order."""

    CALIBRATING = 0
    WELL_ORDERED = 1
    DISORDER = 2
    ORTHOGONALITY_VIOLATION = 3


STATE = np.dtype(
    [
        ("violation_rate", np.float64, (STAGE_COUNT,)),
        ("stage_observations", np.int64, (STAGE_COUNT,)),
        ("stage_violations", np.int64, (STAGE_COUNT,)),
        ("max_incomplete_predecessor", np.int64, (STAGE_COUNT,)),
        ("stages_above_noise", np.int64),
        ("stages_disordered", np.int64),
        ("stages_severe", np.int64),
        ("completed_mask", np.int64),
        ("max_completed_degree", np.int64),
        ("total_observations", np.int64),
        ("orthogonality_violation_count", np.int64),
        ("disorder_count", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class TStructureSummary(NamedTuple):
    """Violation rates over the stages, and event counters."""

    state: int
    max_violation_rate: float
    disordered_stages: int
    total_violations: int
    total_observations: int
    orthogonality_violation_count: int


@jitted
def init(state):
    """Start with no events and no stage completed."""
    for stage in range(STAGE_COUNT):
        state.violation_rate[stage] = 0.0
        state.stage_observations[stage] = 0
        state.stage_violations[stage] = 0
        state.max_incomplete_predecessor[stage] = NONE_RECORDED
    state.stages_above_noise = 0
    state.stages_disordered = 0
    state.stages_severe = 0
    state.completed_mask = 0
    state.max_completed_degree = 0
    state.total_observations = 0
    state.orthogonality_violation_count = 0
    state.disorder_count = 0
    state.code = 0


@jitted
def _count_thresholds(state, rate, change):
    if rate > NOISE_RATE:
        state.stages_above_noise += change
        if rate >= DISORDER_RATE:
            state.stages_disordered += change
            if rate >= SEVERE_RATE:
                state.stages_severe += change


@jitted
def _record_incomplete(state, stage):
    """Raise the stage's record to its largest incomplete lower degree, if that is larger."""
    record = state.max_incomplete_predecessor[stage]
    # Only degrees above the record matter, so all calls together shift at most `stage` times.
    incomplete = (~state.completed_mask & ((1 << stage) - 1)) >> (record + 1)
    while incomplete != 0:
        incomplete >>= 1
        record += 1
    state.max_incomplete_predecessor[stage] = record


@jitted
def _classify(state):
    if state.total_observations < CALIBRATION_OBSERVATIONS:
        return 0
    if state.stages_severe > 0 or state.stages_above_noise >= SEVERE_STAGES:
        return 3
    return 2 if state.stages_disordered > 0 or state.stages_above_noise >= DISORDERED_STAGES else 1


@jitted
def observe(state, stage_index, predecessors_complete):
    """Add one event of a stage, without counting state entries; returns the state code.

    A stage index above 7 changes nothing.
    """
    if stage_index >= STAGE_COUNT:
        return state.code
    state.total_observations += 1
    state.stage_observations[stage_index] += 1
    before = state.violation_rate[stage_index]
    if predecessors_complete:
        after = fused_average(before, RETENTION, 0.0, RESTING)
        state.completed_mask |= 1 << stage_index
        state.max_completed_degree = max(state.max_completed_degree, stage_index)
    else:
        after = fused_average(before, RETENTION, SMOOTHING, RESTING)
        state.stage_violations[stage_index] += 1
        _record_incomplete(state, stage_index)
    state.violation_rate[stage_index] = after
    _count_thresholds(state, before, -1)
    _count_thresholds(state, after, 1)
    state.code = _classify(state)
    return state.code


@jitted
def observe_and_update(state, stage_index, predecessors_complete):
    """Add one event and count an entry into states 2 and 3; returns the state code."""
    previous = state.code
    code = observe(state, stage_index, predecessors_complete)
    if code != previous:
        if code == 2:
            state.disorder_count += 1
        elif code == 3:
            state.orthogonality_violation_count += 1
    return code


@jitted
def reset_cycle(state):
    """Begin a new cycle: no stage is completed; rates, counts and records stay."""
    state.completed_mask = 0
    state.max_completed_degree = 0


@jitted
def state_code(state):
    """Return the state code."""
    return state.code


@jitted
def disorder_count(state):
    """Return how often state 2 was entered, from below or from state 3."""
    return state.disorder_count


@jitted
def max_incomplete_predecessor(state, stage):
    """Return the largest incomplete lower degree at any violation of a stage, or -1."""
    return state.max_incomplete_predecessor[stage]


@jitted
def summary(state):
    """Return the largest rate, the stages above noise, and the counters."""
    largest, violations = 0.0, 0
    for stage in range(STAGE_COUNT):
        largest = max(largest, state.violation_rate[stage])
        violations += state.stage_violations[stage]
    return TStructureSummary(
        state.code,
        largest,
        state.stages_above_noise,
        violations,
        state.total_observations,
        state.orthogonality_violation_count,
    )


# Everything beyond the stages is ignored alike, so one such index stands for all.
_stage_index = integer(0, 2**64 - 1, lambda index: min(index, STAGE_COUNT))


class DerivedTStructure(Monitor):
    """Order of eight stages, by violation rates.

    `observe` and `observe_and_update` take ``stage_index`` (0..7; larger integers are ignored) and
    ``predecessors_complete`` (bool); only the latter counts state entries.

    Notes
    -----
    The caller's flag decides what a violation is. One violation of a clean stage makes it
    disordered for its next 35 clean events, and four such stages are already the worst state.

    Examples
    --------
    >>> monitor = DerivedTStructure()
    >>> for event in range(48):
    ...     state = monitor.observe_and_update(event % 8, True)
    >>> state
    <TStructureState.WELL_ORDERED: 1>
    >>> for stage in (3, 5):
    ...     state = monitor.observe_and_update(stage, False)
    >>> state
    <TStructureState.DISORDER: 2>
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe, TStructureState, stage_index=_stage_index, predecessors_complete=flag
    )
    observe_and_update = operation(
        observe_and_update, TStructureState, stage_index=_stage_index, predecessors_complete=flag
    )
    reset_cycle = operation(reset_cycle)
    state = reading(state_code, TStructureState)
    disorder_count = reading(disorder_count)
    max_incomplete_predecessor = operation(
        max_incomplete_predecessor,
        lambda degree: None if degree == NONE_RECORDED else degree,
        stage=integer(0, STAGE_COUNT - 1),
    )
    summary = reading(summary, named(TStructureSummary, state=TStructureState))
