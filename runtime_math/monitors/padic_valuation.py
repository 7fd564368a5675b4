"""Do the binary magnitudes of a stream still look as they did during calibration?

The exponent field of each number falls into one of twelve bins, from zero and subnormal over ten
bands of normal numbers to infinity and NaN. A window's histogram is compared with the baseline in
the first-difference (Baire) metric, an ultrametric: 2^-k when bin k is the first that differs. The
share of bins that stayed close, and the share of exceptional values, decide as well.

References
----------
.. [1] F. Q. Gouvea, "p-adic Numbers: An Introduction", Springer, 1997, ch. 2.
.. [2] A. S. Kechris, "Classical Descriptive Set Theory", Springer, 1995, sec. 1.A and 2.B.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, real, uint64
from runtime_math.numerics.bits import float64_bits
from runtime_math.numerics.compilation import jitted

BIN_COUNT = 12
EXCEPTIONAL_BIN = BIN_COUNT - 1
WINDOW = 128
BASELINE_WINDOWS = 4
DRIFT_DISTANCE = 0.15
EXCEPTIONAL_DISTANCE = 0.35
STABLE_CHANGE = 0.15
SMALLEST_STABILITY = 1.0 - 0.7
EXCEPTIONAL_SHARE = 0.25
EXCEPTIONAL_SHARE_CHANGE = 0.10
DIFFERENCE_TOLERANCE = 1e-12
SMALLEST_CONCENTRATION = 1e-12

EXPONENT_SHIFT = np.uint64(52)
EXPONENT_MASK = np.uint64(0x7FF)
ZERO_EXPONENT = np.uint64(0)
ONE = np.uint64(1)
NORMAL_BANDS = np.uint64(10)
BAND_WIDTH_TENTHS = np.uint64(2045)


class PadicState(IntEnum):
    """How the exponents of the last window compare with the baseline."""

    CALIBRATING = 0
    NORMAL = 1
    DENORMAL_DRIFT = 2
    EXCEPTIONAL_REGIME = 3


STATE = np.dtype(
    [
        ("bin_counts", np.int64, (BIN_COUNT,)),
        ("baseline", np.float64, (BIN_COUNT,)),
        ("window_total", np.int64),
        ("baseline_windows", np.int64),
        ("drift_count", np.int64),
        ("distance", np.float64),
        ("stability", np.float64),
        ("code", np.uint8),
    ],
    align=True,
)


class PadicSummary(NamedTuple):
    """State and distances of the last judged window; effective regimes of the open one."""

    state: int
    ultrametric_distance: float
    hensel_stability: float
    effective_regimes: float
    drift_count: int


@jitted
def init(state):
    """Start with an empty window and no baseline."""
    for index in range(BIN_COUNT):
        state.bin_counts[index] = 0
        state.baseline[index] = 0.0
    state.window_total = 0
    state.baseline_windows = 0
    state.drift_count = 0
    state.distance = 0.0
    state.stability = 1.0
    state.code = 0


@jitted
def exponent_bin(fp_bits):
    """Return the bin of a binary64 bit pattern; sign and mantissa play no part."""
    exponent = (fp_bits >> EXPONENT_SHIFT) & EXPONENT_MASK
    if exponent == ZERO_EXPONENT:
        return 0
    if exponent == EXPONENT_MASK:
        return EXCEPTIONAL_BIN
    band = np.int64((exponent - ONE) * NORMAL_BANDS // BAND_WIDTH_TENTHS)
    return min(band + 1, EXCEPTIONAL_BIN - 1)


@jitted
def _extend_baseline(state):
    """Average one more window into the baseline."""
    windows = float(state.baseline_windows) + 1.0
    for index in range(BIN_COUNT):
        share = float(state.bin_counts[index]) / float(WINDOW)
        state.baseline[index] = ((windows - 1.0) * state.baseline[index] + share) / windows
    state.baseline_windows += 1


@jitted
def _judge_window(state):
    """Compare the complete window with the baseline."""
    distance, reach = 0.0, 1.0
    close = 0
    change = 0.0
    for index in range(BIN_COUNT):
        share = float(state.bin_counts[index]) / float(WINDOW)
        change = abs(share - state.baseline[index])
        if distance == 0.0 and change > DIFFERENCE_TOLERANCE:
            distance = reach
        if change < STABLE_CHANGE:
            close += 1
        reach *= 0.5
    stability = float(close) / float(BIN_COUNT)
    state.distance = distance
    state.stability = stability
    # The loop ends with the exceptional bin, so `change` is the change of its share.
    exceptional_share = float(state.bin_counts[EXCEPTIONAL_BIN]) / float(WINDOW)
    if (
        exceptional_share >= EXCEPTIONAL_SHARE
        or change >= EXCEPTIONAL_SHARE_CHANGE
        or distance > EXCEPTIONAL_DISTANCE
        or stability < SMALLEST_STABILITY
    ):
        state.code = 3
        state.drift_count += 1
    elif distance > DRIFT_DISTANCE:
        state.code = 2
        state.drift_count += 1
    else:
        state.code = 1


@jitted
def _close_window(state):
    if state.baseline_windows < BASELINE_WINDOWS:
        _extend_baseline(state)
    else:
        _judge_window(state)
    for index in range(BIN_COUNT):
        state.bin_counts[index] = 0
    state.window_total = 0


@jitted
def observe(state, fp_bits):
    """Add the bit pattern of one number; returns the state code, judged every 128 numbers."""
    state.bin_counts[exponent_bin(fp_bits)] += 1
    state.window_total += 1
    if state.window_total >= WINDOW:
        _close_window(state)
    return int(state.code)


@jitted
def observe_f64(state, value):
    """Add one number; returns the state code."""
    return observe(state, float64_bits(value))


@jitted
def state_code(state):
    """Return the state code of the last judged window."""
    return int(state.code)


@jitted
def drift_count(state):
    """Return how many windows were judged to drift or to be exceptional."""
    return state.drift_count


@jitted
def baseline_ready(state):
    """Return whether calibration is complete."""
    return state.baseline_windows >= BASELINE_WINDOWS


@jitted
def effective_regimes(state):
    """Return the inverse concentration of the open window: how many bins it spreads over."""
    total = float(max(state.window_total, 1))
    concentration = 0.0
    for index in range(BIN_COUNT):
        share = float(state.bin_counts[index]) / total
        concentration += share * share
    if concentration < SMALLEST_CONCENTRATION:
        return float(BIN_COUNT)
    return 1.0 / concentration


@jitted
def summary(state):
    """Return the state, the last distances, the effective regimes and the drift count."""
    return PadicSummary(
        int(state.code),
        state.distance,
        state.stability,
        effective_regimes(state),
        state.drift_count,
    )


class PadicValuation(Monitor):
    """Drift of binary exponents against a calibrated histogram, in windows of 128 numbers.

    Examples
    --------
    >>> monitor = PadicValuation()
    >>> for _ in range(640):
    ...     state = monitor.observe_f64(20_000.0)
    >>> state
    <PadicState.NORMAL: 1>
    >>> for number in [0.0] + [20_000.0] * 127:
    ...     state = monitor.observe_f64(number)
    >>> state
    <PadicState.EXCEPTIONAL_REGIME: 3>
    >>> monitor.summary().ultrametric_distance
    1.0
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, PadicState, fp_bits=uint64)
    observe_f64 = operation(observe_f64, PadicState, value=real)
    state = reading(state_code, PadicState)
    drift_count = reading(drift_count)
    baseline_ready = reading(baseline_ready)
    effective_regimes = reading(effective_regimes)
    summary = operation(summary, named(PadicSummary, state=PadicState))
