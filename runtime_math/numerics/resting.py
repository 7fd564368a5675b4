"""Where averages come to rest among the subnormal numbers, as bit patterns.

An exponential average of zeros ends at a few units of the smallest subnormal number and stays
there. Operations on such numbers, comparisons included, hold up other arithmetic in the pipeline.
The bit pattern of a non-negative number is an integer that grows with the number, so jitted code
tells by `runtime_math.numerics.bits.float64_bits` that an update would change nothing, or compares
with a threshold. The update has to be stored within the branch that the test guards: a mere choice
between two values is compiled to computing both.
"""

import numpy as np

SMALLEST_SUBNORMAL = 2.0**-1074


def ordered_bits(number):
    """Bit pattern of a non-negative number, to compare with `float64_bits` of another.

    Examples
    --------
    >>> bool(ordered_bits(0.25) < ordered_bits(0.5))
    True
    """
    return np.float64(number).view(np.uint64)


def resting_bits(leaves_alone):
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
