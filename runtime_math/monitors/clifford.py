"""Is the regime of alignment, overlap and length of memory operations rotating or reflecting?

Every call is a point of four features. The multivector of the Clifford algebra Cl(4,0) built from
the step between two calls - a scalar that shrinks with the step's length, the step itself, its
wedge with the new position, and a pseudoscalar for steps with overlap - is smoothed exponentially.
The wedge of consistent turning adds up, that of back-and-forth cancels; so the share of the energy
in grade 2 shows rotation, and the share in the odd grades shows reflection.

References
----------
.. [1] C. Doran, A. Lasenby, "Geometric Algebra for Physicists", Cambridge 2003.
.. [2] H. B. Lawson, M.-L. Michelsohn, "Spin Geometry", Princeton 1989.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, member, named, operation, reading, real, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.fused import fused_multiply_add
from runtime_math.numerics.subnormals import resting_point

FEATURE_COUNT = 4
# Grade 0: component 0. Grade 1: 1-4. Grade 2: 5-10, pairs in lexicographic order. Grade 3: 11-14,
# always zero. Grade 4: 15.
COMPONENT_COUNT = 16
PSEUDOSCALAR = 15
CALIBRATION_OBSERVATIONS = 64
SMOOTHING = 0.02
RETENTION = 1.0 - SMOOTHING
RESTING = resting_point(RETENTION)
BIVECTOR_SHARE = 0.20
ODD_SHARE = 0.30
PARITY_IMBALANCE = 0.45
ENERGY_FLOOR = 1e-12
# Shares below the thresholds by this factor are below them whatever the order of summation.
CLEAR_MARGIN = 1.0 - 1e-9
LARGE_ENERGY = 1e300
REST_CHECK_OBSERVATIONS = 256


class CliffordState(IntEnum):
    """Regime of the smoothed multivector."""

    CALIBRATING = 0
    ALIGNED = 1
    MISALIGNMENT_DRIFT = 2
    OVERLAP_VIOLATION = 3


class AlignmentRegime(IntEnum):
    """Alignment of an address."""

    UNALIGNED = 0
    ALIGN_8 = 1
    ALIGN_16 = 2
    ALIGN_32_PLUS = 3


REGIME_FEATURE = np.array([regime / 3.0 for regime in range(len(AlignmentRegime))])
# By the five lowest bits of a non-zero address.
LOW_BITS = np.uint64(31)
REGIME_BY_LOW_BITS = np.array(
    [3 if low == 0 else sum(low % size == 0 for size in (8, 16)) for low in range(32)], np.int64
)

STATE = np.dtype(
    [
        ("coefficients", np.float64, (COMPONENT_COUNT,)),
        ("previous", np.float64, (FEATURE_COUNT,)),
        ("has_previous", np.bool_),
        ("step_alive", np.bool_),
        ("overlap_alive", np.bool_),
        ("total_observations", np.int64),
        ("drift_count", np.int64),
        ("overlap_violation_count", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class CliffordSummary(NamedTuple):
    """Energy shares and event counters."""

    state: int
    grade0_energy: float
    grade2_energy: float
    parity_imbalance: float
    rotor_deviation: float
    drift_count: int
    overlap_violation_count: int
    total_observations: int


@jitted
def init(state):
    """Start with the zero multivector and no previous call."""
    for component in range(COMPONENT_COUNT):
        state.coefficients[component] = 0.0
    for feature in range(FEATURE_COUNT):
        state.previous[feature] = 0.0
    state.has_previous = False
    state.step_alive = False
    state.overlap_alive = False
    state.total_observations = 0
    state.drift_count = 0
    state.overlap_violation_count = 0
    state.code = 0


@jitted
def classify(address):
    """Return the alignment regime of an address; the null address counts as unaligned."""
    bits = np.uint64(address)
    return 0 if bits == np.uint64(0) else REGIME_BY_LOW_BITS[bits & LOW_BITS]


@jitted
def _smooth(state, component, sample):
    state.coefficients[component] = fused_multiply_add(
        state.coefficients[component], RETENTION, SMOOTHING * sample
    )


@jitted
def _rests(state, component):
    return abs(state.coefficients[component]) <= RESTING


@jitted
def _put_to_rest(state):
    """Find out whether the components without, and those of, overlap have decayed for good."""
    state.step_alive = not (
        _rests(state, 1)
        and _rests(state, 2)
        and _rests(state, 4)
        and _rests(state, 5)
        and _rests(state, 7)
        and _rests(state, 9)
    )
    state.overlap_alive = not (
        _rests(state, 3)
        and _rests(state, 6)
        and _rests(state, 8)
        and _rests(state, 10)
        and _rests(state, PSEUDOSCALAR)
    )


@jitted
def _smooth_step(state, c0, c1, c2, c3):
    """Smooth in the multivector of the step from the previous call to the features c0..c3.

    Traffic that does not move, or never overlaps, has samples of zero in half of the components or
    more. These are left out while they rest.
    """
    d0 = c0 - state.previous[0]
    d1 = c1 - state.previous[1]
    d2 = c2 - state.previous[2]
    d3 = c3 - state.previous[3]
    state.step_alive |= (d0 != 0.0) | (d1 != 0.0) | (d3 != 0.0)
    # An infinite d3 times a zero overlap is NaN.
    state.overlap_alive |= (c2 != 0.0) | (d2 != 0.0) | (d3 - d3 != 0.0)
    if state.step_alive:
        _smooth(state, 1, d0)
        _smooth(state, 2, d1)
        _smooth(state, 4, d3)
        _smooth(state, 5, d0 * c1 - d1 * c0)
        _smooth(state, 7, d0 * c3 - d3 * c0)
        _smooth(state, 9, d1 * c3 - d3 * c1)
    if state.overlap_alive:
        _smooth(state, 3, d2)
        _smooth(state, 6, d0 * c2 - d2 * c0)
        _smooth(state, 8, d1 * c2 - d2 * c1)
        _smooth(state, 10, d2 * c3 - d3 * c2)
    # Last, so that little is alive across the call of exp. Steady traffic takes no steps, and
    # exp(-0) is exactly 1.
    magnitude, stability = 0.0, 1.0
    squared = ((d0 * d0 + d1 * d1) + d2 * d2) + d3 * d3
    if squared != 0.0:
        magnitude = math.sqrt(squared)
        stability = math.exp(-magnitude)
    _smooth(state, 0, stability)
    if state.overlap_alive:
        _smooth(state, PSEUDOSCALAR, -c2 * magnitude if c2 > 0.0 else 0.0)


@jitted
def _energies(state):
    """Return the energies of grades 0, 2, 4, of the odd grades, and of all components in order."""
    e = state.coefficients
    grade0, grade4 = e[0] * e[0], e[PSEUDOSCALAR] * e[PSEUDOSCALAR]
    odd, total = 0.0, grade0
    for component in range(1, 5):
        odd += e[component] * e[component]
        total += e[component] * e[component]
    grade2 = 0.0
    for component in range(5, 11):
        grade2 += e[component] * e[component]
        total += e[component] * e[component]
    return grade0, grade2, grade4, odd, total + grade4


@jitted
def _is_clearly_aligned(state):
    e = state.coefficients
    odd, grade2, even = 0.0, 0.0, e[0] * e[0]
    # Squares of resting components are zero.
    if state.step_alive:
        odd = (e[1] * e[1] + e[2] * e[2]) + e[4] * e[4]
        grade2 = (e[5] * e[5] + e[7] * e[7]) + e[9] * e[9]
    if state.overlap_alive:
        odd += e[3] * e[3]
        grade2 += (e[6] * e[6] + e[8] * e[8]) + e[10] * e[10]
        even += e[PSEUDOSCALAR] * e[PSEUDOSCALAR]
    total = (odd + grade2) + even
    return (
        (odd < ODD_SHARE * CLEAR_MARGIN * total)
        & (grade2 < BIVECTOR_SHARE * CLEAR_MARGIN * total)
        & (total < LARGE_ENERGY)
    )


@jitted
def _classify_energies(grade0, grade2, grade4, odd, total):
    if total < ENERGY_FLOOR:
        return 1
    even = (grade0 + grade2) + grade4
    imbalance = abs(even - odd) / total if total > ENERGY_FLOOR else 0.0
    rotating = grade2 / total > BIVECTOR_SHARE
    if odd / total > ODD_SHARE or (rotating and imbalance > PARITY_IMBALANCE):
        return 3
    return 2 if rotating else 1


@jitted
def observe(state, source_alignment, destination_alignment, overlap_fraction, length_regime):
    """Add one call, without counting state entries; returns the state code."""
    state.total_observations += 1
    source = REGIME_FEATURE[source_alignment]
    destination = REGIME_FEATURE[destination_alignment]
    if state.has_previous:
        _smooth_step(state, source, destination, overlap_fraction, length_regime)
    state.has_previous = True
    state.previous[0] = source
    state.previous[1] = destination
    state.previous[2] = overlap_fraction
    state.previous[3] = length_regime
    if state.total_observations % REST_CHECK_OBSERVATIONS == 0:
        _put_to_rest(state)
    if state.total_observations < CALIBRATION_OBSERVATIONS:
        state.code = 0
    elif _is_clearly_aligned(state):
        state.code = 1
    else:
        grade0, grade2, grade4, odd, total = _energies(state)
        state.code = _classify_energies(grade0, grade2, grade4, odd, total)
    return state.code


@jitted
def observe_and_update(
    state, source_alignment, destination_alignment, overlap_fraction, length_regime
):
    """Add one call and count an entry into states 2 and 3; returns the state code."""
    previous = state.code
    code = observe(state, source_alignment, destination_alignment, overlap_fraction, length_regime)
    if code != previous:
        if code == 2:
            state.drift_count += 1
        elif code == 3:
            state.overlap_violation_count += 1
    return code


@jitted
def state_code(state):
    """Return the state code."""
    return state.code


@jitted
def summary(state):
    """Return the energy shares, the rotor deviation and the counters."""
    grade0, grade2, grade4, odd, total = _energies(state)
    even = (grade0 + grade2) + grade4
    scale = total if total > ENERGY_FLOOR else ENERGY_FLOOR
    return CliffordSummary(
        state.code,
        grade0 / scale,
        grade2 / scale,
        abs(even - odd) / scale,
        abs(1.0 - math.sqrt(even)),
        state.drift_count,
        state.overlap_violation_count,
        state.total_observations,
    )


class Clifford(Monitor):
    """Rotation and reflection of the alignment regime of memory operations.

    `observe` and `observe_and_update` take ``source_alignment`` and ``destination_alignment``
    (`AlignmentRegime`), ``overlap_fraction`` and ``length_regime`` (floats, meant to lie in [0, 1]
    but not clamped); only the latter counts state entries.

    Notes
    -----
    A feature that is not finite leaves the multivector undefined for good; the state then reads
    ALIGNED. With features in [0, 1] the state is OVERLAP_VIOLATION or ALIGNED, never
    MISALIGNMENT_DRIFT: the odd grades cannot gather enough energy.

    Examples
    --------
    >>> Clifford.classify(0x7F08)
    <AlignmentRegime.ALIGN_8: 1>
    >>> monitor = Clifford()
    >>> square = [(0, 0), (3, 0), (3, 3), (0, 3)]
    >>> for call in range(90):
    ...     state = monitor.observe_and_update(*square[call % 4], 0.5, 0.1)
    >>> state
    <CliffordState.OVERLAP_VIOLATION: 3>
    >>> monitor.summary.overlap_violation_count
    1
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe,
        CliffordState,
        source_alignment=member(AlignmentRegime),
        destination_alignment=member(AlignmentRegime),
        overlap_fraction=real,
        length_regime=real,
    )
    observe_and_update = operation(
        observe_and_update,
        CliffordState,
        source_alignment=member(AlignmentRegime),
        destination_alignment=member(AlignmentRegime),
        overlap_fraction=real,
        length_regime=real,
    )
    state = reading(state_code, CliffordState)
    summary = reading(summary, named(CliffordSummary, state=CliffordState))

    @staticmethod
    def classify(address):
        """Return the `AlignmentRegime` of an address from 0 to 2^64 - 1."""
        return AlignmentRegime(classify(uint64("address", address)))
