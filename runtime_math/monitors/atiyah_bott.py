"""Is the anomaly carried by one monitor alone, by a few, or spread over many?

Input is the vector of the base monitors' codes. Codes 0 and 1 are fixed points; the others carry
their code as weight. The index is the inverse participation ratio of those weights (1 for a
single anomaly, 1/k for k equal ones), smoothed; damped by the squared share of fixed points it
measures one anomaly in an otherwise quiet system, as a localisation formula reads an integral
off its fixed points.

References
----------
.. [1] M. F. Atiyah, R. Bott, "The moment map and equivariant cohomology", Topology 23(1), 1984.
.. [2] O. C. Herfindahl, "Concentration in the steel industry", PhD thesis, Columbia University,
       1950 (the index of concentration).
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, vector
from runtime_math.numerics.bits import float64_bits
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import ordered_bits, resting_bits

SIGNAL_COUNT = 25
CALIBRATION_CALLS = 128
SMOOTHING_WEIGHT = 0.05
RESTING_INDEX = resting_bits(lambda index: SMOOTHING_WEIGHT * index == 0.0)
LARGEST_FIXED_CODE = 1
LOCALIZED_FROM = 0.35
LOCALIZED_BITS = ordered_bits(LOCALIZED_FROM)
CONCENTRATED_FROM = 0.50
# Count, sum and sum of squares of the anomalous codes in one word: one addition per signal for all
# three. The largest sums, 25 * 255 and 25 * 255^2, fit their fields of 16 and 24 bits.
TOTAL_SHIFT, TOTAL_MASK = 24, 0xFFFF
SQUARES_MASK = 0xFF_FFFF
COUNT_SHIFT = 40
PACKED_MOMENTS = np.array(
    [
        0 if code <= LARGEST_FIXED_CODE else 1 << COUNT_SHIFT | code << TOTAL_SHIFT | code * code
        for code in range(256)
    ],
    dtype=np.int64,
)
FIXED_FRACTION = np.array([(SIGNAL_COUNT - count) / SIGNAL_COUNT for count in range(26)])


class AtiyahBottState(IntEnum):
    """How the anomaly is distributed over the monitors."""

    CALIBRATING = 0
    DISTRIBUTED = 1
    LOCALIZED = 2
    CONCENTRATED_ANOMALY = 3


STATE = np.dtype(
    [
        ("localization_index", np.float64),
        ("fixed_point_fraction", np.float64),
        ("last_raw_localization", np.float64),
        ("non_fixed_count", np.int64),
        ("observations", np.int64),
        ("concentration_count", np.int64),
    ],
    align=True,
)


class AtiyahBottSummary(NamedTuple):
    """Verdict, smoothed shares, and counts."""

    state: int
    fixed_point_fraction: float
    localization_index: float
    euler_weight: float
    non_fixed_count: int
    total_observations: int
    concentration_count: int


@jitted
def init(state):
    """Start with every monitor at a fixed point."""
    state.localization_index = 0.0
    state.fixed_point_fraction = 1.0
    state.last_raw_localization = 0.0
    state.non_fixed_count = 0
    state.observations = 0
    state.concentration_count = 0


@jitted
def weight(localization_index, fixed_point_fraction):
    """Return the Euler weight: the index times the square of the fixed share."""
    # A product, not a power: pow(F, 2.0) differs from F * F in the last bit for some F.
    return localization_index * (fixed_point_fraction * fixed_point_fraction)


@jitted
def classify(observations, localization_index, fixed_point_fraction):
    """Return the code for a number of calls and the two smoothed shares."""
    if observations < CALIBRATION_CALLS:
        return 0
    # The weight is at most the index, so a small index settles the matter alone.
    if float64_bits(localization_index) < LOCALIZED_BITS:
        return 1
    return 3 if weight(localization_index, fixed_point_fraction) >= CONCENTRATED_FROM else 2


@jitted
def observe(state, severity):
    """Add one vector of codes (25 entries, ``uint8``); returns the state code."""
    moments = 0
    for signal in range(SIGNAL_COUNT):
        moments += PACKED_MOMENTS[severity[signal]]
    non_fixed = moments >> COUNT_SHIFT
    raw = 0.0
    if non_fixed > 0:
        total = (moments >> TOTAL_SHIFT) & TOTAL_MASK
        raw = float(moments & SQUARES_MASK) / float(total * total)
    fraction = FIXED_FRACTION[non_fixed]
    state.last_raw_localization = raw
    state.non_fixed_count = non_fixed
    observations = state.observations + 1
    state.observations = observations
    if observations == 1:
        state.localization_index = raw
        state.fixed_point_fraction = fraction
    else:
        if raw > 0.0 or float64_bits(state.localization_index) > RESTING_INDEX:
            state.localization_index += SMOOTHING_WEIGHT * (raw - state.localization_index)
        state.fixed_point_fraction += SMOOTHING_WEIGHT * (fraction - state.fixed_point_fraction)
    code = classify(observations, state.localization_index, state.fixed_point_fraction)
    # The verdict exists from the last calibration call on, the count starts one call later.
    if code == 3 and observations > CALIBRATION_CALLS:
        state.concentration_count += 1
    return code


@jitted
def current_state(state):
    """Return the state code."""
    return classify(state.observations, state.localization_index, state.fixed_point_fraction)


@jitted
def euler_weight(state):
    """Return the present Euler weight."""
    return weight(state.localization_index, state.fixed_point_fraction)


@jitted
def summary(state):
    """Return the verdict, the smoothed shares and the counts."""
    return AtiyahBottSummary(
        current_state(state),
        state.fixed_point_fraction,
        state.localization_index,
        euler_weight(state),
        state.non_fixed_count,
        state.observations,
        state.concentration_count,
    )


class AtiyahBott(Monitor):
    """Concentration of anomaly among 25 monitors.

    `observe` takes the vector of their codes: 25 integers from 0 to 255, of which 0 and 1 count
    as quiet. Only the multiset of codes matters, not their positions.

    Examples
    --------
    >>> monitor = AtiyahBott()
    >>> severity = [1] * 25
    >>> severity[7] = 3
    >>> for _ in range(128):
    ...     state = monitor.observe(severity)
    >>> state
    <AtiyahBottState.CONCENTRATED_ANOMALY: 3>
    >>> round(monitor.euler_weight, 4)
    0.9216
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, AtiyahBottState, severity=vector(SIGNAL_COUNT, np.uint8))
    state = reading(current_state, AtiyahBottState)
    euler_weight = reading(euler_weight)
    summary = operation(summary, named(AtiyahBottSummary, state=AtiyahBottState))
