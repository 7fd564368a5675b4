"""The round of SipHash, which its variants repeat (J.-P. Aumasson, D. J. Bernstein, 2012)."""

import numpy as np

from runtime_math.numerics.compilation import jitted


@jitted
def rotated(word, left):
    """Rotate a word (``uint64``) to the left by a constant number of bits."""
    return (word << np.uint64(left)) | (word >> np.uint64(64 - left))


@jitted
def siphash_round(v0, v1, v2, v3):
    """Mix the four words (``uint64``) of a SipHash state once; returns them."""
    v0 += v1
    v1 = rotated(v1, 13) ^ v0
    v0 = rotated(v0, 32)
    v2 += v3
    v3 = rotated(v3, 16) ^ v2
    v0 += v3
    v3 = rotated(v3, 21) ^ v0
    v2 += v1
    v1 = rotated(v1, 17) ^ v2
    v2 = rotated(v2, 32)
    return v0, v1, v2, v3
