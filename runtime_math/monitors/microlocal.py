"""Which stratum boundaries are crossed often, and do the crossings fail?

Control passes between four nested strata: normal flow, signal delivery, longjmp, cancellation. The
microsupport of a sheaf records the codirections in which sections fail to propagate; here every
target stratum has a smoothed density of crossings, and a stratum is in the wavefront when it, or a
deeper one, is dense. One more average tracks how often crossings fail.

References
----------
.. [1] M. Kashiwara, P. Schapira, "Sheaves on Manifolds", Springer 1990, ch. V.
.. [2] S. W. Roberts, "Control chart tests based on geometric moving averages", Technometrics 1(3),
       1959.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, named, operation, reading
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import fused_average, resting_point

STRATUM_COUNT = 4
CALIBRATION_OBSERVATIONS = 64
SMOOTHING = 0.02
RETENTION = 1.0 - SMOOTHING
RESTING = resting_point(RETENTION)
ACTIVE_DENSITY = 0.15
FAULT_RATE = 0.25
SINGULAR_RATE = 0.40
FAULT_STRATA = 1
SINGULAR_STRATA = 3


class MicrolocalState(IntEnum):
    """How far into the strata faults propagate."""

    CALIBRATING = 0
    PROPAGATING = 1
    FAULT_BOUNDARY = 2
    SINGULAR_SUPPORT = 3


class Stratum(IntEnum):
    """Kind of control flow; the code is the depth."""

    NORMAL_FLOW = 0
    SIGNAL_BOUNDARY = 1
    LONGJMP_BOUNDARY = 2
    CANCELLATION_EXIT = 3


# Strata up to the deepest dense one, by the set of dense strata.
ACTIVE_STRATA = np.array([dense.bit_length() for dense in range(2**STRATUM_COUNT)], np.int64)

STATE = np.dtype(
    [
        ("conormal_density", np.float64, (STRATUM_COUNT,)),
        ("failure_rate", np.float64, (STRATUM_COUNT,)),
        ("overall_failure_rate", np.float64),
        ("inward_crossings", np.int64, (STRATUM_COUNT,)),
        ("outward_crossings", np.int64, (STRATUM_COUNT,)),
        ("propagation_failures", np.int64, (STRATUM_COUNT,)),
        ("current_stratum", np.int64),
        ("dense_strata", np.int64),
        ("total_observations", np.int64),
        ("fault_boundary_count", np.int64),
        ("singular_support_count", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class MicrolocalSummary(NamedTuple):
    """Wavefront, failure rate and event counters."""

    state: int
    wavefront_bits: int
    active_strata: int
    max_conormal_density: float
    propagation_failure_rate: float
    fault_boundary_count: int
    singular_support_count: int
    total_observations: int


@jitted
def init(state):
    """Start in normal flow with no crossings."""
    for stratum in range(STRATUM_COUNT):
        state.conormal_density[stratum] = 0.0
        state.failure_rate[stratum] = 0.0
        state.inward_crossings[stratum] = 0
        state.outward_crossings[stratum] = 0
        state.propagation_failures[stratum] = 0
    state.overall_failure_rate = 0.0
    state.current_stratum = 0
    state.dense_strata = 0
    state.total_observations = 0
    state.fault_boundary_count = 0
    state.singular_support_count = 0
    state.code = 0


@jitted
def _active_strata(state):
    return ACTIVE_STRATA[state.dense_strata]


@jitted
def _classify(state):
    if state.total_observations < CALIBRATION_OBSERVATIONS:
        return 0
    active, rate = _active_strata(state), state.overall_failure_rate
    if active >= SINGULAR_STRATA or rate >= SINGULAR_RATE:
        return 3
    return 2 if active >= FAULT_STRATA and rate >= FAULT_RATE else 1


@jitted
def _average(average, sample):
    return fused_average(average, RETENTION, sample, RESTING)


@jitted
def observe(state, from_stratum, to_stratum, adverse):
    """Add one transfer of control, without counting state entries; returns the state code."""
    state.total_observations += 1
    state.current_stratum = to_stratum
    crossing_sample, failure_sample = 0.0, 0.0
    if from_stratum != to_stratum:
        crossing_sample = SMOOTHING
        if to_stratum > from_stratum:
            state.inward_crossings[to_stratum] += 1
        else:
            state.outward_crossings[to_stratum] += 1
        if adverse:
            failure_sample = SMOOTHING
            state.propagation_failures[to_stratum] += 1
    density = _average(state.conormal_density[to_stratum], crossing_sample)
    state.conormal_density[to_stratum] = density
    state.failure_rate[to_stratum] = _average(state.failure_rate[to_stratum], failure_sample)
    state.overall_failure_rate = _average(state.overall_failure_rate, failure_sample)
    bit = 1 << to_stratum
    if density >= ACTIVE_DENSITY:
        state.dense_strata |= bit
    else:
        state.dense_strata &= ~bit
    state.code = _classify(state)
    return state.code


@jitted
def observe_and_update(state, from_stratum, to_stratum, adverse):
    """Add one transfer and count an entry into states 2 and 3; returns the state code."""
    previous = state.code
    code = observe(state, from_stratum, to_stratum, adverse)
    if code != previous:
        if code == 2:
            state.fault_boundary_count += 1
        elif code == 3:
            state.singular_support_count += 1
    return code


@jitted
def state_code(state):
    """Return the state code."""
    return state.code


@jitted
def wavefront_bits(state):
    """Return the wavefront: one bit per stratum up to the deepest dense one."""
    return (1 << _active_strata(state)) - 1


@jitted
def is_non_characteristic(state, target_stratum):
    """Return whether a stratum lies outside the wavefront."""
    return target_stratum >= _active_strata(state)


@jitted
def total_observations(state):
    """Return how many transfers have been observed."""
    return state.total_observations


@jitted
def summary(state):
    """Return the wavefront, the largest density, the failure rate and the counters."""
    largest = 0.0
    for stratum in range(STRATUM_COUNT):
        largest = max(largest, state.conormal_density[stratum])
    return MicrolocalSummary(
        state.code,
        wavefront_bits(state),
        _active_strata(state),
        largest,
        state.overall_failure_rate,
        state.fault_boundary_count,
        state.singular_support_count,
        state.total_observations,
    )


class Microlocal(Monitor):
    """Wavefront of failing control transfers over four nested strata.

    `observe` and `observe_and_update` take ``from_stratum`` and ``to_stratum`` (`Stratum`) and
    ``adverse`` (bool); only the latter moves the counters of state entries.

    Notes
    -----
    A density falls only through transfers from a stratum to itself. Whoever reports every transfer
    as coming from normal flow can activate a stratum but never clear it again.

    Examples
    --------
    >>> monitor = Microlocal()
    >>> for call in range(150):
    ...     state = monitor.observe_and_update(
    ...         Stratum.NORMAL_FLOW, Stratum.SIGNAL_BOUNDARY, call % 3 == 0
    ...     )
    >>> state
    <MicrolocalState.FAULT_BOUNDARY: 2>
    >>> monitor.is_non_characteristic(Stratum.LONGJMP_BOUNDARY)
    True
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe,
        MicrolocalState,
        from_stratum=member(Stratum),
        to_stratum=member(Stratum),
        adverse=flag,
    )
    observe_and_update = operation(
        observe_and_update,
        MicrolocalState,
        from_stratum=member(Stratum),
        to_stratum=member(Stratum),
        adverse=flag,
    )
    state = reading(state_code, MicrolocalState)
    wavefront_bits = reading(wavefront_bits)
    is_non_characteristic = operation(is_non_characteristic, target_stratum=member(Stratum))
    total_observations = reading(total_observations)
    summary = reading(summary, named(MicrolocalSummary, state=MicrolocalState))
