"""What a builtin returns for the integer that its core returned."""

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from runtime_math.numerics.builtins.emission import (
    CORE,
    READY,
    RESOLVE,
    SLOW,
    boxed,
    bytes_address,
    call_one,
    false,
    give,
    load,
    none,
    take,
    true,
    tuple_item,
    vectorcall,
)

Made = TypeVar("Made")

_READY_BITS = 14
_READY_FACTOR = 0x9E3779B97F4A7C15  # spreads packed numbers over a table (Fibonacci hashing)

WORD_SIZE = np.uint64(8)
CORE_PLACE = np.uint64(8 * CORE)
SLOW_PLACE = np.uint64(8 * SLOW)
RESOLVE_PLACE = np.uint64(8 * RESOLVE)
READY_PLACE = np.uint64(8 * READY)
FACTOR = np.uint64(_READY_FACTOR)
SHIFT = np.uint64(64 - _READY_BITS)
PAIR = np.uint64(16)


class ReadyObjects(Generic[Made]):
    """Objects by number, found by machine code without a dictionary.

    Parameters
    ----------
    make : callable
        Takes a number from 1 to 2^63 - 1 and returns its object.
    """

    def __init__(self, make: Callable[[int], Made]) -> None:
        self._make = make
        self._table = np.zeros((1 << _READY_BITS, 2), np.uint64)
        self._kept: list[Made | None] = [None] * (1 << _READY_BITS)
        self.address = self._table.ctypes.data

    def __call__(self, number: int) -> Made:
        """Object of a number; the next builtin finds it by itself."""
        place = (number * _READY_FACTOR & 2**64 - 1) >> 64 - _READY_BITS
        made = self._make(number)
        # The key goes first and comes last, so that no moment shows a key with another's object.
        self._table[place, 0] = 0
        former, self._kept[place] = self._kept[place], made
        self._table[place] = number, id(made)
        del former
        return made


# The templates below are written once and copied for every builtin, with `unbox` and `call_core` of
# its own among its globals: closures would keep Numba's cache from recognising them.
# ruff: noqa: F821


def ready(self, arguments, count, names):
    """Builtin whose core returns a number, not negative, for which there is a ready object."""
    table = load(bytes_address((tuple_item((self, 0)),)))
    unboxed = unbox(table, arguments, count, names)
    if unboxed[0]:
        packed = call_core(load(table + CORE_PLACE), load(table), unboxed)
        if packed >= 0:
            key = np.uint64(packed)
            entry = load(table + READY_PLACE) + (key * FACTOR >> SHIFT) * PAIR
            if load(entry) == key:
                found = load(entry + WORD_SIZE)
                take((found,))
                return found
            number = boxed((packed,))
            found = call_one((load(table + RESOLVE_PLACE), number))
            give((number,))
            return found
    return vectorcall((load(table + SLOW_PLACE), arguments, np.uint64(count), names))


def nothing(self, arguments, count, names):
    """Builtin whose core returns 0, and Python gets None."""
    table = load(bytes_address((tuple_item((self, 0)),)))
    unboxed = unbox(table, arguments, count, names)
    if unboxed[0] and call_core(load(table + CORE_PLACE), load(table), unboxed) >= 0:
        return none()
    return vectorcall((load(table + SLOW_PLACE), arguments, np.uint64(count), names))


def truth(self, arguments, count, names):
    """Builtin whose core returns 0 or 1, and Python gets False or True."""
    table = load(bytes_address((tuple_item((self, 0)),)))
    unboxed = unbox(table, arguments, count, names)
    if unboxed[0]:
        answer = call_core(load(table + CORE_PLACE), load(table), unboxed)
        if answer >= 0:
            return true() if answer else false()
    return vectorcall((load(table + SLOW_PLACE), arguments, np.uint64(count), names))


TEMPLATES = {template.__name__: template for template in (ready, nothing, truth)}
