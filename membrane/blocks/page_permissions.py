"""May the bytes at an address be read, may they be written? The system knows, for whole pages.

Asked about foreign memory only: what our own blocks allow is known without the system. One ioctl
on the process's own map of memory answers (Linux 6.11 and later, below a microsecond); on older
systems the map is read as text, which takes some fifty microseconds.
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import NamedTuple

_PROCMAP_QUERY = 0xC0686611
_QUERY = struct.Struct("<13Q")
_READABLE, _WRITABLE = 1, 2
_MAPS = "/proc/self/maps"


class Mapping(NamedTuple):
    """A range of pages of one kind.

    Attributes
    ----------
    start, end : int
    readable, writable : bool
    """

    start: int
    end: int
    readable: bool
    writable: bool


class _MapFile:
    """The open map of this process; another one after a fork."""

    def __init__(self) -> None:
        self.descriptor = -1
        self.answers = True

    def forget(self) -> None:
        """Open the map anew at the next question: a child has another one."""
        self.descriptor = -1

    def query(self, address: int) -> Mapping | None:
        """The mapping around an address, or None; raises `OSError` without the ioctl."""
        answer = bytearray(_QUERY.pack(_QUERY.size, 0, address, *[0] * 10))
        try:
            fcntl.ioctl(self._opened(), _PROCMAP_QUERY, answer)
        except FileNotFoundError:
            return None
        except OSError:  # somebody has closed our descriptor, and perhaps opened another file as it
            self.forget()
            answer[:] = _QUERY.pack(_QUERY.size, 0, address, *[0] * 10)
            try:
                fcntl.ioctl(self._opened(), _PROCMAP_QUERY, answer)
            except FileNotFoundError:
                return None
        _, _, _, start, end, flags, *_ = _QUERY.unpack(answer)
        return Mapping(start, end, bool(flags & _READABLE), bool(flags & _WRITABLE))

    def _opened(self) -> int:
        if self.descriptor < 0:
            self.descriptor = os.open(_MAPS, os.O_RDONLY | os.O_CLOEXEC)
        return self.descriptor


_map_file = _MapFile()
os.register_at_fork(after_in_child=_map_file.forget)


def mapping_around(address: int) -> Mapping | None:
    """Return the mapping that an address lies in, or None where the process has no memory.

    Examples
    --------
    >>> mapping_around(0) is None
    True
    >>> mapping_around(id(None)).readable
    True
    """
    if _map_file.answers:
        try:
            return _map_file.query(address)
        except OSError:
            _map_file.answers = False
    return _read_mapping(address)


def _read_mapping(address: int) -> Mapping | None:
    with open(_MAPS, "rb") as lines:
        for line in lines:
            limits, permissions = line.split(b" ", 2)[:2]
            start, end = (int(limit, 16) for limit in limits.split(b"-"))
            if start <= address < end:
                return Mapping(start, end, permissions[:1] == b"r", permissions[1:2] == b"w")
            if start > address:
                break
    return None


def accessible_span(address: int, size: int, writing: bool = False) -> int:
    """Return how many of `size` bytes from an address on may be read, or written, without a gap.

    Parameters
    ----------
    address, size : int
        From 0 to 2^64 - 1.
    writing : bool, default False

    Returns
    -------
    int
        From 0 to `size`.
    """
    here, end = address, min(address + size, 2**64)
    while here < end:
        found = mapping_around(here)
        if found is None or not (found.writable if writing else found.readable):
            break
        here = found.end
    return min(here, end) - address
