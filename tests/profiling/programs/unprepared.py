"""A program that knows nothing of profilers: SECONDS, and "child" to have one."""

import multiprocessing
import sys
import time

import numpy as np
from numba import njit, vectorize


@njit
def inner(seed):
    for _ in range(2_000_000):
        seed = seed * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return seed


@vectorize(["float64(float64)"])
def root(number):
    guess = number
    for _ in range(200):
        guess = 0.5 * (guess + number / guess)
    return guess


def work(seconds):
    numbers, end = np.arange(1.0, 2001.0), time.monotonic() + seconds
    while time.monotonic() < end:
        inner(np.uint64(1))
        root(numbers)


if __name__ == "__main__":
    work(0.1)
    if "child" in sys.argv:
        fork = multiprocessing.get_context("fork")
        fork.Process(target=work, args=(30,), daemon=True).start()
    print("running", flush=True)
    work(float(sys.argv[1]))
