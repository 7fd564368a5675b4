"""Have enough pairwise combinations of six binary run-time parameters been exercised?

A covering array CA(N; t=2, k=6, v=2) is a set of N test rows in which every pair of parameters
takes all four combinations of levels: 15 x 4 = 60 tuples. The controller records which tuples the
running program has ever shown, and judges the fraction. It also keeps the budget of heavy probes
per epoch, as independence in the uniform matroid of rank 3.

A row is one of 64, so the 15 tuples that it covers are a 60-bit mask from a table; the count grows
only by new bits.

References
----------
.. [1] C. J. Colbourn, "Combinatorial aspects of covering arrays", Le Matematiche 59, 2004.
.. [2] J. Oxley, "Matroid Theory", Oxford 2011.
"""

from enum import IntEnum
from itertools import combinations
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, vector
from runtime_math.numerics.compilation import jitted

PARAMETER_COUNT = 6
TUPLE_COUNT = 60
CALIBRATION_OBSERVATIONS = 128
# Tuples from which the fraction is at least 0.45, and at least 0.70.
CRITICAL_TUPLES = 27
GAP_TUPLES = 42
HEAVY_PROBE_RANK = 3
EPOCH_OBSERVATIONS = 256
PATTERN_MASK = 2**PARAMETER_COUNT - 1


class CoverageState(IntEnum):
    """Verdict on the covered fraction."""

    CALIBRATING = 0
    COMPLETE = 1
    COVERAGE_GAP = 2
    CRITICAL_GAP = 3


def _covered_by(pattern):
    levels = [pattern >> parameter & 1 for parameter in range(PARAMETER_COUNT)]
    return sum(
        1 << (4 * pair + 2 * first + second)
        for pair, (first, second) in enumerate(combinations(levels, 2))
    )


COVERED_BY = np.array([_covered_by(pattern) for pattern in range(PATTERN_MASK + 1)], np.uint64)

STATE = np.dtype(
    [
        ("covered", np.uint64),
        ("covered_tuples", np.int64),
        ("total_observations", np.int64),
        ("gap_count", np.int64),
        ("critical_count", np.int64),
        ("epoch_heavy_probes", np.int64),
        ("epoch_observations", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class CoverageSummary(NamedTuple):
    """Coverage so far, and event counters."""

    state: int
    coverage_fraction: float
    covered_tuples: int
    total_tuples: int
    gap_count: int
    total_observations: int


@jitted
def init(state):
    """Start with nothing covered."""
    state.covered = np.uint64(0)
    state.covered_tuples = 0
    state.total_observations = 0
    state.gap_count = 0
    state.critical_count = 0
    state.epoch_heavy_probes = 0
    state.epoch_observations = 0
    state.code = 0


@jitted
def _add_tuples(state, fresh):
    state.covered |= fresh
    while fresh != np.uint64(0):
        fresh &= fresh - np.uint64(1)
        state.covered_tuples += 1


@jitted
def _classify(state):
    if state.total_observations < CALIBRATION_OBSERVATIONS:
        return 0
    if state.covered_tuples < CRITICAL_TUPLES:
        return 3
    return 2 if state.covered_tuples < GAP_TUPLES else 1


@jitted
def observe(state, params):
    """Add one row, without counting state entries; returns the state code.

    In jitted code the row is one integer whose bit i is the level of parameter i.
    """
    state.total_observations += 1
    state.epoch_observations += 1
    if state.epoch_observations >= EPOCH_OBSERVATIONS:
        state.epoch_observations = 0
        state.epoch_heavy_probes = 0
    fresh = COVERED_BY[params & PATTERN_MASK] & ~state.covered
    if fresh != np.uint64(0):
        _add_tuples(state, fresh)
    state.code = _classify(state)
    return state.code


@jitted
def observe_and_update(state, params):
    """Add one row and count an entry into states 2 and 3; returns the state code."""
    previous = state.code
    code = observe(state, params)
    if code != previous:
        if code == 2:
            state.gap_count += 1
        elif code == 3:
            state.critical_count += 1
    return code


@jitted
def can_schedule_heavy_probe(state):
    """Return whether this epoch's budget has room for one more heavy probe."""
    return state.epoch_heavy_probes < HEAVY_PROBE_RANK


@jitted
def record_heavy_probe(state):
    """Count a heavy probe in this epoch, within the budget or not."""
    state.epoch_heavy_probes += 1


@jitted
def coverage_fraction(state):
    """Return the fraction of the 60 tuples that has been seen."""
    return state.covered_tuples / float(TUPLE_COUNT)


@jitted
def critical_count(state):
    """Return how often state 3 was entered."""
    return state.critical_count


@jitted
def state_code(state):
    """Return the state code."""
    return state.code


@jitted
def summary(state):
    """Return the coverage, the entries into COVERAGE_GAP and the number of rows."""
    return CoverageSummary(
        state.code,
        coverage_fraction(state),
        state.covered_tuples,
        TUPLE_COUNT,
        state.gap_count,
        state.total_observations,
    )


_six_bytes = vector(PARAMETER_COUNT, np.uint8)


def _pattern(name, value):
    levels = _six_bytes(name, value).tolist()
    return sum((level & 1) << parameter for parameter, level in enumerate(levels))


class CoveringArray(Monitor):
    """Pairwise coverage of six binary parameters, and a budget of heavy probes.

    `observe` and `observe_and_update` take ``params``, six integers 0..255 of which the lowest bit
    is the level; only the latter counts state entries.

    Notes
    -----
    COMPLETE begins at 70 % of the tuples. Coverage never falls.

    Examples
    --------
    >>> monitor = CoveringArray()
    >>> for row in range(128):
    ...     state = monitor.observe_and_update([row >> i & 1 for i in range(6)])
    >>> state
    <CoverageState.COMPLETE: 1>
    >>> monitor.summary.covered_tuples
    60
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, CoverageState, params=_pattern)
    observe_and_update = operation(observe_and_update, CoverageState, params=_pattern)
    can_schedule_heavy_probe = operation(can_schedule_heavy_probe)
    record_heavy_probe = operation(record_heavy_probe)
    coverage_fraction = reading(coverage_fraction)
    critical_count = reading(critical_count)
    state = reading(state_code, CoverageState)
    summary = reading(summary, named(CoverageSummary, state=CoverageState))
