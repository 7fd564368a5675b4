"""Where does a string end, and does it end within its memory?"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from membrane.calls.regions import AccessChecker, Region

WIDE_BYTES = ctypes.sizeof(ctypes.c_wchar)
_FIRST_PART = 4096  # of foreign memory that is searched at once; it grows from there
_LARGEST_PART = 1 << 24
_library = ctypes.CDLL(None)
_strnlen, _wcsnlen = _library.strnlen, _library.wcsnlen
for _search in (_strnlen, _wcsnlen):
    _search.argtypes, _search.restype = [ctypes.c_void_p, ctypes.c_size_t], ctypes.c_size_t


class StringEnd(NamedTuple):
    """Where a string ends.

    Attributes
    ----------
    length : int
        Characters before the terminator, or before the end of the memory.
    terminated : bool
    """

    length: int
    terminated: bool


def string_end(
    checker: AccessChecker, region: Region, limit: int | None = None, wide: bool = False
) -> StringEnd:
    """Search the terminator of the string at a region, in no more memory than there is.

    Parameters
    ----------
    checker : AccessChecker
    region : Region
        Without a fault.
    limit : int, optional
        Characters to search at most.
    wide : bool, default False
        Whether the characters are `wchar_t`.
    """
    width = WIDE_BYTES if wide else 1
    ends_in_zero = not wide and region.memory is not None and region.memory.terminated
    length, part = 0, _FIRST_PART
    while limit is None or length < limit:
        wanted = part if limit is None else min(part, limit - length)
        room = _room(checker, region, length * width, wanted * width) // width
        search = _wcsnlen if wide else _strnlen
        found = int(search(region.address + length * width, room)) if room else 0
        length += found
        if found < room:
            return StringEnd(length, True)
        if room < wanted:
            return StringEnd(length, ends_in_zero)
        part = min(2 * part, _LARGEST_PART)
    return StringEnd(length, False)


def _room(checker: AccessChecker, region: Region, offset: int, size: int) -> int:
    """How many of `size` bytes at an offset into a region may be read."""
    if region.rest is None or not checker.pipeline.repaired:
        return checker.span(region.address + offset, size)
    return max(checker.reachable(region, offset + size) - offset, 0)
