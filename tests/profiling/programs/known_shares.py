"""A program whose functions take known shares of its time; it prints them as JSON.

Every function is one chain of dependent multiplications, so its time is its number of rounds;
the clock is read around each, and the parts of `combined` are timed on their own.
"""

import json
import sys
import time

import numpy as np
from numba import njit

FACTOR, OFFSET = np.uint64(6364136223846793005), np.uint64(1442695040888963407)


@njit
def large(rounds, seed):
    for _ in range(12 * rounds):
        seed = seed * FACTOR + OFFSET
    return seed


@njit
def medium(rounds, seed):
    for _ in range(6 * rounds):
        seed = seed * FACTOR + OFFSET
    return seed


@njit
def first_part(rounds, seed):
    for _ in range(7 * rounds):
        seed = seed * FACTOR + OFFSET
    return seed


@njit
def second_part(rounds, seed):
    for _ in range(3 * rounds):
        seed = seed * FACTOR ^ OFFSET
    return seed


@njit
def combined(rounds, seed):
    return second_part(rounds, first_part(rounds, seed))


def clocked(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def main(seconds):
    rounds, seed = 100_000, np.uint64(1)
    functions = (large, medium, combined)
    for function in (*functions, first_part, second_part):
        function(1, seed)
    parts = {
        function.__name__: min(clocked(function, rounds, seed) for _ in range(20))
        for function in (first_part, second_part)
    }
    spent = dict.fromkeys((function.__name__ for function in functions), 0.0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for function in functions:
            spent[function.__name__] += clocked(function, rounds, seed)
    whole = sum(spent.values())
    shares = {name: each / whole for name, each in spent.items()}
    for name, each in parts.items():
        shares[name] = shares["combined"] * each / sum(parts.values())
    print(json.dumps(shares))


if __name__ == "__main__":
    main(float(sys.argv[1]))
