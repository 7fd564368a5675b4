"""qsort: an array that is read and written, and a callback in Python."""

import ctypes

import numpy as np

from membrane import guard_library
from membrane.declarations import shipped_declarations


def ascending(first, second):
    """Compare the numbers at two addresses."""
    one, other = (ctypes.c_int32.from_address(address).value for address in (first, second))
    return (one > other) - (one < other)


libc = guard_library(ctypes.CDLL(None), shipped_declarations("libc"))
numbers = np.array([5, 3, 9, 1], dtype=np.int32)
libc.qsort(numbers, len(numbers), 4, ascending)
print(numbers)
