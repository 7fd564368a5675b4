"""How many API families have moved away from their baseline behaviour?

In K-theory two bundles are the same class when they become isomorphic after adding a trivial one,
and the class of a family's index does not change under deformation. Here a family's "class" is a
smoothed 4-vector - latency, adverse share, profile depth, risk - and its invariant is the frozen
value after 64 calls; the difference class is the Euclidean distance of the two.

Only the family that is fed can move, so its level is updated and the levels are counted. A level is
decided on the squared distance: the constants are the smallest squares whose rounded root reaches
the threshold, which makes the comparison the same as one of the distance itself.

References
----------
.. [1] M. F. Atiyah, "K-Theory", Benjamin 1967.
.. [2] M. F. Atiyah, I. M. Singer, "The index of elliptic operators IV", Ann. of Math. 93(1), 1971.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, integer, member, named, operation, reading, real
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import fused_average, resting_point
from runtime_math.types import FAMILY_COUNT, ApiFamily

RANK = 4
SMOOTHING = 0.03
RETENTION = 1.0 - SMOOTHING
RESTING = resting_point(RETENTION)
CALIBRATION_OBSERVATIONS = 64
DRIFT_DISTANCE = 0.20
FRACTURE_DISTANCE = 0.45
DRIFTED_FAMILIES = 3
FRACTURED_FAMILIES = 2


def _smallest_square(distance):
    square = distance * distance
    while math.sqrt(square) >= distance:
        square = math.nextafter(square, 0.0)
    while math.sqrt(square) < distance:
        square = math.nextafter(square, math.inf)
    return square


DRIFT_SQUARE = _smallest_square(DRIFT_DISTANCE)
FRACTURE_SQUARE = _smallest_square(FRACTURE_DISTANCE)


class KTheoryState(IntEnum):
    """How many families have left their baseline."""

    CALIBRATING = 0
    COMPATIBLE = 1
    DRIFT = 2
    FRACTURED = 3


STATE = np.dtype(
    [
        ("observed", np.float64, (FAMILY_COUNT, RANK)),
        ("baseline", np.float64, (FAMILY_COUNT, RANK)),
        ("family_observations", np.int64, (FAMILY_COUNT,)),
        ("level", np.uint8, (FAMILY_COUNT,)),
        ("drifting_families", np.int64),
        ("fractured_families", np.int64),
        ("total_observations", np.int64),
        ("drift_count", np.int64),
        ("fracture_count", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class KTheorySummary(NamedTuple):
    """Distances from the baselines, and event counters."""

    state: int
    max_transport_distance: float
    drifting_families: int
    fractured_families: int
    total_observations: int
    fracture_count: int


@jitted
def init(state):
    """Start with all families at the origin and no baseline."""
    for family in range(FAMILY_COUNT):
        for axis in range(RANK):
            state.observed[family, axis] = 0.0
            state.baseline[family, axis] = 0.0
        state.family_observations[family] = 0
        state.level[family] = 0
    state.drifting_families = 0
    state.fractured_families = 0
    state.total_observations = 0
    state.drift_count = 0
    state.fracture_count = 0
    state.code = 0


@jitted
def is_frozen(state, family):
    """Return whether the baseline of a family has been taken."""
    return state.family_observations[family] >= CALIBRATION_OBSERVATIONS


@jitted
def _freeze(state, family):
    for axis in range(RANK):
        state.baseline[family, axis] = state.observed[family, axis]


@jitted
def _squared_distance(state, family):
    d0 = state.observed[family, 0] - state.baseline[family, 0]
    d1 = state.observed[family, 1] - state.baseline[family, 1]
    d2 = state.observed[family, 2] - state.baseline[family, 2]
    d3 = state.observed[family, 3] - state.baseline[family, 3]
    return ((d0 * d0 + d1 * d1) + d2 * d2) + d3 * d3


@jitted
def distance(state, family):
    """Return the distance of a family from its baseline (from the origin while it has none)."""
    return math.sqrt(_squared_distance(state, family))


@jitted
def _update_level(state, family):
    square = _squared_distance(state, family)
    # Comparisons are false for NaN: an undefined family is neither drifting nor fractured.
    level = 2 if square >= FRACTURE_SQUARE else (1 if square >= DRIFT_SQUARE else 0)
    previous = np.int64(state.level[family])
    if level != previous:
        state.level[family] = level
        state.drifting_families += (level == 1) - (previous == 1)
        state.fractured_families += (level == 2) - (previous == 2)


@jitted
def _classify(state):
    if state.total_observations < CALIBRATION_OBSERVATIONS:
        return 0
    fractured = state.fractured_families
    if fractured >= FRACTURED_FAMILIES:
        return 3
    return 2 if fractured >= 1 or state.drifting_families >= DRIFTED_FAMILIES else 1


@jitted
def _smooth(state, family, axis, sample):
    state.observed[family, axis] = fused_average(
        state.observed[family, axis], RETENTION, SMOOTHING * sample, RESTING
    )


@jitted
def observe(state, family_index, latency, adverse_share, profile_depth, risk):
    """Add one call, without counting state entries; returns the state code.

    A family index above 8 changes nothing.
    """
    if family_index >= FAMILY_COUNT:
        return state.code
    state.total_observations += 1
    count = state.family_observations[family_index] + 1
    state.family_observations[family_index] = count
    _smooth(state, family_index, 0, latency)
    _smooth(state, family_index, 1, adverse_share)
    _smooth(state, family_index, 2, profile_depth)
    _smooth(state, family_index, 3, risk)
    if count > CALIBRATION_OBSERVATIONS:
        _update_level(state, family_index)
    elif count == CALIBRATION_OBSERVATIONS:
        _freeze(state, family_index)
    state.code = _classify(state)
    return state.code


@jitted
def observe_and_update(state, family_index, latency, adverse_share, profile_depth, risk):
    """Add one call and count an entry into states 2 and 3; returns the state code."""
    previous = state.code
    code = observe(state, family_index, latency, adverse_share, profile_depth, risk)
    if code != previous:
        if code == 2:
            state.drift_count += 1
        elif code == 3:
            state.fracture_count += 1
    return code


@jitted
def state_code(state):
    """Return the state code."""
    return state.code


@jitted
def drift_count(state):
    """Return how often state 2 was entered, from below or from state 3."""
    return state.drift_count


@jitted
def summary(state):
    """Return the largest distance of families with a baseline, and the counts."""
    largest = 0.0
    for family in range(FAMILY_COUNT):
        if is_frozen(state, family):
            candidate = distance(state, family)
            if candidate > largest:
                largest = candidate
    return KTheorySummary(
        state.code,
        largest,
        state.drifting_families,
        state.fractured_families,
        state.total_observations,
        state.fracture_count,
    )


# Everything beyond the families is ignored alike, so one such index stands for all.
_family_index = integer(0, 2**64 - 1, lambda index: min(index, FAMILY_COUNT))


class KTheory(Monitor):
    """Drift of the behaviour of API families from their early baselines.

    `observe` and `observe_and_update` take ``family_index`` (an `ApiFamily`; larger integers are
    ignored) and four floats, ``latency``, ``adverse_share``, ``profile_depth`` and ``risk``, meant
    to lie in [0, 1] but not clamped. Only the latter counts state entries.

    Notes
    -----
    The average starts at zero and is frozen at 86 % of a constant input, so a perfectly steady
    family ends at 14 % of its own norm away from its baseline. One fractured family alone is
    DRIFT. A family whose vector became NaN is never counted again.

    Examples
    --------
    >>> monitor = KTheory()
    >>> for family in (ApiFamily.LOADER, ApiFamily.STDLIB):
    ...     for call in range(100):
    ...         behaviour = (0.1, 0.0, 0.0, 0.1) if call < 64 else (1.0, 1.0, 1.0, 1.0)
    ...         state = monitor.observe_and_update(family, *behaviour)
    ...     print(state.name, round(monitor.distance(family), 3))
    DRIFT 1.276
    FRACTURED 1.276
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe,
        KTheoryState,
        family_index=_family_index,
        latency=real,
        adverse_share=real,
        profile_depth=real,
        risk=real,
    )
    observe_and_update = operation(
        observe_and_update,
        KTheoryState,
        family_index=_family_index,
        latency=real,
        adverse_share=real,
        profile_depth=real,
        risk=real,
    )
    state = reading(state_code, KTheoryState)
    distance = operation(distance, family=member(ApiFamily))
    is_frozen = operation(is_frozen, family=member(ApiFamily))
    drift_count = reading(drift_count)
    summary = reading(summary, named(KTheorySummary, state=KTheoryState))
