"""A program whose machine code is mostly what Numba makes of parts of functions."""

import time

import numpy as np
from numba import guvectorize, njit, prange, stencil


@stencil
def blurred(image):
    return 0.25 * (image[-1, 0] + image[1, 0] + image[0, -1] + image[0, 1])


@njit
def blur(image):
    return blurred(image)


@guvectorize(["void(float64[:],float64[:])"], "(n)->(n)")
def smooth(values, out):
    for place in range(values.size):
        total = 0.0
        for step in range(200):
            total += values[place] * step / (step + 1.5)
        out[place] = total


@njit(parallel=True)
def two_loops(values):
    out = np.empty_like(values)
    for place in prange(values.size):
        total = 0.0
        for step in range(200):
            total += values[place] * step / (step + 1.5)
        out[place] = total
    for place in prange(1, values.size):
        total = 0.0
        for step in range(200):
            total += out[place] * step / (step + 2.5)
        values[place] = total
    return out.sum()


if __name__ == "__main__":
    image, rows = np.random.rand(800, 800), np.random.rand(500, 100)
    values = rows.ravel().copy()
    calls = (lambda: blur(image), lambda: smooth(rows), lambda: two_loops(values))
    for call in calls:
        call()
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            call()
