"""A parallel loop: half of its processor time is that of threads which Python does not know."""

import sys
import time

import numpy as np
from numba import njit, prange


@njit(parallel=True)
def total(values):
    found = 0.0
    for place in prange(values.size):
        part = 0.0
        for step in range(3000):
            part += values[place] * step / (step + 1.5)
        found += part
    return found


if __name__ == "__main__":
    values = np.ones(20_000)
    total(values)
    end = time.monotonic() + float(sys.argv[1] if len(sys.argv) > 1 else 4)
    while time.monotonic() < end:
        total(values)
