"""Averages that come to rest among the subnormal numbers, and how to leave them alone there.

Multiplying by a retention below 1 never reaches zero: from some multiple of the smallest subnormal
on, the rounded product is the number itself. Steady traffic keeps many averages there for good, and
arithmetic on subnormals, comparisons included, is many times slower than ordinary arithmetic. Where
an update would change nothing, jitted code leaves the number alone.

The bit pattern of a non-negative number is an integer that grows with the number, so the test may
be one of integers (`runtime_math.numerics.bits.float64_bits` gives the pattern in jitted code). The
update has to be stored within the branch that the test guards: a mere choice between two values is
compiled to computing both.
"""

from collections.abc import Callable

import numpy as np

from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.fused import fused_multiply_add

SMALLEST_SUBNORMAL = 2.0**-1074


def ordered_bits(number: float) -> np.uint64:
    """Bit pattern of a non-negative number, to compare with `float64_bits` of another.

    Examples
    --------
    >>> bool(ordered_bits(0.25) < ordered_bits(0.5))
    True
    """
    return np.float64(number).view(np.uint64)


def resting_bits(leaves_alone: Callable[[float], bool]) -> np.uint64:
    """Bit pattern of the largest number that an update leaves alone, like all smaller ones.

    Parameters
    ----------
    leaves_alone : callable
        Whether the update by a sample of zero gives back the number it is called with.

    Examples
    --------
    >>> int(resting_bits(lambda number: 0.98 * number == number))
    24
    >>> int(resting_bits(lambda number: 0.05 * number == 0.0))
    9
    """
    units = 0
    while leaves_alone((units + 1) * SMALLEST_SUBNORMAL):
        units += 1
    return np.uint64(units)


def resting_point(retention: float) -> float:
    """Largest number that multiplication by a retention, rounded, leaves as it is.

    Parameters
    ----------
    retention : float
        Share that is kept, above 0 and below 1.

    Returns
    -------
    float
        Every smaller non-negative number stays as it is, too.

    Examples
    --------
    >>> resting_point(0.98) == 24 * 2.0**-1074
    True
    """
    return float(resting_bits(lambda number: number * retention == number).view(np.float64))


@jitted
def fused_average(average, retention, sample, resting):
    """``average * retention + sample``, rounded once; `resting` is the retention's resting point.

    Examples
    --------
    >>> fused_average(0.5, 0.75, 0.25, resting_point(0.75))
    0.625
    """
    # One condition, not two: samples come and go unpredictably, averages seldom come to rest.
    if (sample != 0.0) | (abs(average) > resting):
        return fused_multiply_add(average, retention, sample)
    return average
