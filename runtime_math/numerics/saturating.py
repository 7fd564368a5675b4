"""Integer arithmetic with the overflow rules of the specification.

Numba follows NumPy's promotion: ``uint64`` with a signed integer becomes ``float64``. Quantities
that use all 64 bits therefore stay ``uint64`` from end to end, constants included.
"""

import numpy as np

from runtime_math.numerics.compilation import jitted

UINT64_MAX = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@jitted
def saturating_add_uint64(left, right):
    """Sum of two ``uint64``, at most 2^64 - 1."""
    total = left + right
    return UINT64_MAX if total < left else total


@jitted
def saturating_multiply_uint64(left, right):
    """Product of two ``uint64``, at most 2^64 - 1."""
    if left != np.uint64(0) and right > UINT64_MAX // left:
        return UINT64_MAX
    return left * right


@jitted
def round_half_away(value):
    """Nearest integer as a float, halves away from zero (0.49999999999999994 gives 0)."""
    magnitude = np.floor(abs(value))
    if abs(value) - magnitude >= 0.5:
        magnitude += 1.0
    return -magnitude if value < 0.0 else magnitude
