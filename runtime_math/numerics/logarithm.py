"""Logarithm of small whole numbers, from a table of what the C library returns for them."""

import math

import numpy as np

from runtime_math.numerics.compilation import jitted

TABULATED = 4096
LOG1P = np.array([math.log1p(number) for number in range(TABULATED)])
TABLE_END = np.uint64(TABULATED)


@jitted
def log1p_of_count(count):
    """``log1p(count)`` of an unsigned integer, bit for bit.

    Examples
    --------
    >>> log1p_of_count(np.uint64(12)) == math.log1p(12.0)
    True
    """
    return LOG1P[count] if count < TABLE_END else math.log1p(float(count))
