"""A program that goes wrong, or is unusual, in the way its argument says."""

import multiprocessing
import sys
import threading
import time

import numpy as np
from numba import njit


@njit(nogil=True)
def spin(rounds, seed):
    for _ in range(rounds):
        seed = seed * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return seed


def busy(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        spin(200_000, np.uint64(1))


def forks():
    busy(0.5)
    worker = multiprocessing.get_context("fork").Process(target=busy, args=(1.5,))
    worker.start()
    worker.join()


def threads():
    busy(0.2)
    others = [threading.Thread(target=busy, args=(1.5,)) for _ in range(2)]
    for each in others:
        each.start()
    for each in others:
        each.join()


def fails():
    busy(1.0)
    sys.exit(3)


def saves(path):
    """Ctrl-C has it save its work, which takes its time."""
    busy(0.2)
    print("running", flush=True)
    try:
        busy(60.0)
    except KeyboardInterrupt:
        time.sleep(2.0)
        with open(path, "w") as stream:
            stream.write("saved")


def waits():
    busy(0.2)
    print("running", flush=True)
    busy(60.0)


if __name__ == "__main__":
    spin(1, np.uint64(1))
    globals()[sys.argv[1]](*sys.argv[2:])
