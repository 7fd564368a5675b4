"""Where blocks come from: the C library's allocator, or any other, a scripted one included.

Jitted code sees a source as four addresses of C functions. An address of 0 means the C library
(for allocating and releasing) or plain memory (for loading and storing), reached without a call
through Python. A source written in Python subclasses `MemorySource`; `RegionSource` is one that
hands out pieces of a NumPy array, so that even an overflow stays inside memory that is ours.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from membrane.tables.memory import (
    c_allocate_aligned,
    c_free,
    call_function,
    load_word,
    store_word,
)
from membrane.tables.words import LARGEST_BLOCK, ZERO
from runtime_math.numerics.compilation import jitted

_LARGEST = np.uint64(LARGEST_BLOCK)

SOURCE = np.dtype(
    [
        ("allocate", np.uint64),
        ("release", np.uint64),
        ("load", np.uint64),
        ("store", np.uint64),
    ],
    align=True,
)


@jitted
def allocate(source, total, align):
    """Return the address of `total` new bytes, a multiple of `align`, or 0."""
    if source.allocate != ZERO:
        return call_function(source.allocate, total, align, ZERO)
    # An overcommitting system would grant sizes whose page counters alone fill the memory.
    return c_allocate_aligned(align, total) if total <= _LARGEST else ZERO


@jitted
def release(source, raw, total, align):
    """Give a block back."""
    if source.release != ZERO:
        call_function(source.release, raw, total, align)
    elif source.allocate == ZERO:
        c_free(raw)


@jitted
def load(source, address):
    """Read a word."""
    if source.load != ZERO:
        return call_function(source.load, address, ZERO, ZERO)
    return load_word(address)


@jitted
def store(source, address, word):
    """Write a word."""
    if source.store != ZERO:
        call_function(source.store, address, word, ZERO)
    else:
        store_word(address, word)


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)


class MemorySource:
    """A source of memory written in Python.

    Subclasses define `allocate` and `release`; a source of memory that only exists on paper also
    defines `load_word` and `store_word`. An exception in any of them is kept
    and raised again by the call that led to it; the call itself sees a failed allocation.
    """

    def __init__(self) -> None:
        self._error: Exception | None = None
        self._callbacks = {
            "allocate": self._callback(lambda total, align, _: self.allocate(total, align)),
            "release": self._callback(self.release),
        }
        if type(self).load_word is not MemorySource.load_word:
            self._callbacks["load"] = self._callback(lambda at, _, __: self.load_word(at))
            self._callbacks["store"] = self._callback(lambda at, word, _: self.store_word(at, word))

    def allocate(self, total: int, align: int) -> int | None:
        """Return the address of `total` new bytes, a multiple of `align`, or None."""
        raise NotImplementedError

    def release(self, raw: int, total: int, align: int) -> None:
        """Take back what `allocate` returned."""
        raise NotImplementedError

    def load_word(self, address: int) -> int:
        """Read 8 bytes. Not called unless a subclass defines it."""
        raise NotImplementedError

    def store_word(self, address: int, word: int) -> None:
        """Write 8 bytes. Not called unless a subclass defines `load_word`."""
        raise NotImplementedError

    def _callback(self, function: Callable[[int, int, int], int | None]) -> Any:
        def guarded(*arguments: int) -> int:
            try:
                return function(*arguments) or 0
            except Exception as error:
                self._error = error
                return 0

        return _CALLBACK(guarded)

    def raise_pending(self) -> None:
        """Raise the exception that a callback ended with, if one did."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def connect(self, record: np.void) -> None:
        """Write the addresses of the callbacks into a record of dtype `SOURCE`."""
        for name, callback in self._callbacks.items():
            record[name] = ctypes.cast(callback, ctypes.c_void_p).value or 0


class RegionSource(MemorySource):
    """Pieces of one array, next to each other; a released piece is reused first.

    Parameters
    ----------
    size : int
        Bytes of the array.
    margin : int, default 0
        Bytes at both ends that are never handed out.
    align : int, default 16
        What the first address is a multiple of.

    Examples
    --------
    >>> source = RegionSource(4096)
    >>> first = source.allocate(100, 16)
    >>> source.allocate(100, 16) - first
    112
    >>> source.release(first, 100, 16)
    >>> source.allocate(100, 16) == first
    True
    >>> source.allocate(8192, 16) is None
    True
    """

    def __init__(self, size: int, margin: int = 0, align: int = 16) -> None:
        super().__init__()
        memory = np.zeros(size + align, np.uint8)
        skipped = -memory.ctypes.data % align
        self.memory = memory[skipped : skipped + size]
        start = self.memory.ctypes.data
        self._free = [(start + margin, start + size - margin)]
        self.outstanding: dict[int, tuple[int, int]] = {}

    def allocate(self, total: int, align: int) -> int | None:
        """Return the address of the lowest free piece that is large enough, or None."""
        for index, (start, stop) in enumerate(self._free):
            raw = -(-start // align) * align
            if raw + total <= stop:
                end = -(-(raw + total) // 16) * 16
                pieces = [(start, raw), (min(end, stop), stop)]
                self._free[index : index + 1] = [piece for piece in pieces if piece[0] < piece[1]]
                self.outstanding[raw] = (total, align)
                return raw
        return None

    def release(self, raw: int, total: int, align: int) -> None:
        """Take a piece back; raises for anything that was not handed out exactly so."""
        if self.outstanding.pop(raw, None) != (total, align):
            raise ValueError(f"release of {total} bytes at {raw:#x}, which were not handed out")
        self._free.append((raw, -(-(raw + total) // 16) * 16))
        self._free.sort()
        merged: list[tuple[int, int]] = []
        for start, stop in self._free:
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], stop)
            else:
                merged.append((start, stop))
        self._free = merged
