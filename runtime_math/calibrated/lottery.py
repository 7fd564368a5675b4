"""Uniform numbers that a replay draws again.

A 64-bit linear congruential generator with a fixed seed: the randomisation of conformal p-values
and of exploration is part of the state, so a copied or recorded kernel repeats it exactly.

References
----------
.. [1] P. L'Ecuyer, "Tables of linear congruential generators of different sizes and good lattice
       structure", Math. Comp. 68, 1999.
.. [2] D. E. Knuth, "The Art of Computer Programming", vol. 2, sec. 3.2.1 (the constants of MMIX).
"""

import numpy as np

from runtime_math.monitors.base import Monitor, operation, uint64
from runtime_math.numerics.compilation import jitted

MULTIPLIER = np.uint64(6364136223846793005)
INCREMENT = np.uint64(1442695040888963407)
MANTISSA_SHIFT = np.uint64(11)
RESOLUTION = 2.0**-53
DEFAULT_SEED = np.uint64(0x9E37_79B9_7F4A_7C15)

STATE = np.dtype([("word", np.uint64)], align=True)


@jitted
def init(state, seed):
    """Start from a seed."""
    state.word = seed


@jitted
def draw(state):
    """Return the next number, uniform on [0, 1)."""
    state.word = state.word * MULTIPLIER + INCREMENT
    return np.float64(state.word >> MANTISSA_SHIFT) * RESOLUTION


class Lottery(Monitor):
    """Replayable uniform numbers.

    Parameters
    ----------
    seed : int, default 0x9E3779B97F4A7C15
        Any 64-bit number.

    Examples
    --------
    >>> 0.0 <= Lottery().draw() < 1.0
    True
    >>> Lottery(seed=1).draw() == Lottery(seed=1).draw()
    True
    """

    STATE = STATE
    PARAMETERS = {"seed": (uint64, DEFAULT_SEED)}
    initialise = init
    draw = operation(draw)
