"""Exponential decay that comes to rest among the subnormal numbers.

Multiplying by a retention below 1 never reaches zero: from some multiple of the smallest subnormal
on, the rounded product is the number itself. Steady traffic keeps many averages there for good, and
arithmetic on subnormals is many times slower than ordinary arithmetic. Where the result is known
to be the operand, the functions here leave it alone.
"""

from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.fused import fused_multiply_add

SMALLEST_SUBNORMAL = 2.0**-1074


def resting_point(retention):
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
    number = 0.0
    while (number + SMALLEST_SUBNORMAL) * retention == number + SMALLEST_SUBNORMAL:
        number += SMALLEST_SUBNORMAL
    return number


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
