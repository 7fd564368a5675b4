"""Pointer validation in front of any C function that is called through ctypes or cffi.

>>> import ctypes
>>> from membrane import ValidationPipeline, argument, guard
>>> from runtime_math import SafetyLevel
>>> memmove = ctypes.CDLL(None).memmove
>>> memmove.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
>>> pipeline = ValidationPipeline(SafetyLevel.STRICT)
>>> safe = guard(memmove, reads={1: argument(2)}, writes={0: argument(2)}, pipeline=pipeline)
>>> block = pipeline.allocate(4)
>>> _ = safe(block, b"abcd", 4)
>>> bytes(block)
b'abcd'
>>> safe(block, b"abcdefgh", 8)  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
membrane.errors.OutOfBoundsError: memmove: argument 0 (...) has 4 of 8 bytes
>>> _ = block.free()
"""

from __future__ import annotations

import ctypes
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from membrane.calls.default_pipeline import default_pipeline
from membrane.calls.guarded_call import CallSession
from membrane.calls.regions import AccessChecker, Region
from membrane.errors import (
    CorruptionError,
    OutOfBoundsError,
    SizeOverflowError,
    UnterminatedStringError,
)
from membrane.pipeline.handle import Handle
from membrane.pipeline.validation_pipeline import ValidationPipeline
from membrane.stages.heal import Healing
from membrane.stages.outcomes import Outcome
from membrane.tables.words import SIZE_LIMIT
from runtime_math.types import ApiFamily

_POINTER_TYPES = (ctypes._Pointer, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_wchar_p)
_SIMPLE_POINTERS = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_wchar_p)


@dataclass(frozen=True)
class argument:
    """Size: the value of an argument, times a number of bytes per item.

    Parameters
    ----------
    position : int
    scale : int, default 1
    """

    position: int
    scale: int = 1


@dataclass(frozen=True)
class pointee:
    """Size: the integer that an argument points to, as C functions take and return lengths.

    Parameters
    ----------
    position : int
    ctype : ctypes type, default `ctypes.c_ulong`
    """

    position: int
    ctype: Any = ctypes.c_ulong


class _Terminated:
    def __repr__(self) -> str:
        return "terminated"


#: Size: up to and including the terminator of a string.
terminated = _Terminated()

Size: TypeAlias = int | argument | pointee | _Terminated | Callable[..., int]


class Guard:
    """A foreign function whose pointers are validated before each call; see `guard`."""

    def __init__(
        self,
        function: Callable[..., Any],
        reads: Mapping[int, Size],
        writes: Mapping[int, Size],
        pipeline: ValidationPipeline | None,
        family: ApiFamily,
        name: str,
    ) -> None:
        self.function = function
        self.reads = dict(reads)
        self.writes = dict(writes)
        self.family = family
        self.__name__ = name
        self._pipeline = pipeline

    @functools.cached_property
    def pipeline(self) -> ValidationPipeline:
        """The pipeline that knows the blocks."""
        return default_pipeline() if self._pipeline is None else self._pipeline

    def __call__(self, *arguments: Any) -> Any:
        """Validate, then call; returns what the function returns.

        In hardened mode a size that is too large for its memory is reduced in the arguments; a
        call that can not be repaired is not made, and the result is None.
        """
        values = list(arguments)
        with CallSession(self.pipeline, self.__name__, self.family) as session:
            checker = AccessChecker(self.pipeline)
            regions = {
                position: self._region(checker, values, position)
                for position in {**self.reads, **self.writes}
            }
            with checker.pinned(*regions.values()):
                for sizes, writing in ((self.reads, False), (self.writes, True)):
                    for position in self._lengths_first(sizes):
                        region, size = regions[position], sizes[position]
                        if not self._admit(session, checker, values, region, size, writing):
                            return None
                result = self.function(*self._converted(values))
                self._check_guards(session, regions)
        return result

    @staticmethod
    def _lengths_first(sizes: Mapping[int, Size]) -> Iterable[int]:
        """Positions, those first whose size needs no memory to be read."""
        return sorted(sizes, key=lambda position: isinstance(sizes[position], pointee))

    def _region(self, checker: AccessChecker, values: list[Any], position: int) -> Region:
        if position >= len(values):
            raise TypeError(f"{self.__name__} is guarded at argument {position}, which is missing")
        return checker.region(_pointer(values[position]), f"argument {position}")

    def _size(
        self,
        session: CallSession,
        checker: AccessChecker,
        values: list[Any],
        region: Region,
        size: Size,
    ) -> int | None:
        """Bytes that the call will touch at a region, or None after a fault."""
        if callable(size):
            size = size(*values)
        if isinstance(size, argument):
            return _number(values[size.position]) * size.scale
        if isinstance(size, pointee):
            width = ctypes.sizeof(size.ctype)
            counter = self._region(checker, values, size.position)
            if not self._admit(session, checker, values, counter, width, False):
                return None
            return int(size.ctype.from_address(counter.address).value)
        if isinstance(size, _Terminated):
            return self._string_size(session, checker, region)
        return size

    def _string_size(
        self, session: CallSession, checker: AccessChecker, region: Region
    ) -> int | None:
        if region.fault is not None:
            return 1
        length = 0
        while checker.reachable(region, length + 1) > length:
            if ctypes.string_at(region.address + length, 1) == b"\0":
                return length + 1
            length += 1
        error = UnterminatedStringError(f"{region.name} has no terminator in {length} bytes")
        session.fail(error, Healing.RETURN_SAFE_DEFAULT, length, 0)
        return None

    def _admit(
        self,
        session: CallSession,
        checker: AccessChecker,
        values: list[Any],
        region: Region,
        size: Size,
        writing: bool,
    ) -> bool:
        """Check one pointer; False when the call must not be made."""
        count = self._size(session, checker, values, region, size)
        if count is None:
            return False
        if not 0 <= count < SIZE_LIMIT:
            session.fail(SizeOverflowError(f"{count} bytes at {region.name}"))
            return False
        if count == 0:
            return True
        if region.fault is not None:
            session.fail(region.fault, requested=count)
            return False
        if writing and not region.writable:
            session.fail(OutOfBoundsError(f"{region.name} may not be written"), requested=count)
            return False
        if not session.decide(region.address, count, writing):
            return False
        room = checker.reachable(region, count)
        return room >= count or self._shorten(session, values, region, size, count, room)

    def _shorten(
        self,
        session: CallSession,
        values: list[Any],
        region: Region,
        size: Size,
        count: int,
        room: int,
    ) -> bool:
        """Repair a size that is too large, where the arguments say it; False otherwise."""
        error = OutOfBoundsError(f"{region.name} ({region.address:#x}) has {room} of {count} bytes")
        if isinstance(size, argument):
            session.fail(error, Healing.CLAMP_SIZE, count, room)
            values[size.position] = room // size.scale
            return True
        if isinstance(size, pointee):
            session.fail(error, Healing.CLAMP_SIZE, count, room)
            size.ctype.from_address(
                AccessChecker(self.pipeline).region_address(_pointer(values[size.position]))
            ).value = room
            return True
        session.fail(error, Healing.RETURN_SAFE_DEFAULT, count, 0)
        return False

    def _check_guards(self, session: CallSession, regions: Mapping[int, Region]) -> None:
        """Find out whether the function wrote beyond what it was said to write."""
        if not self.pipeline.repaired:
            return
        for position in self.writes:
            region = regions[position]
            if region.outcome in (Outcome.VALIDATED, Outcome.CACHED_VALID):
                found = self.pipeline.validate(region.address)
                if found.outcome == Outcome.CORRUPTED:
                    error = CorruptionError(f"the call wrote beside the block of {region.name}")
                    session.fail(error, Healing.NONE)

    def _converted(self, values: list[Any]) -> list[Any]:
        """Arguments as ctypes takes them: handles and buffers become pointers."""
        types = getattr(self.function, "argtypes", None) or ()
        converted = []
        for position, value in enumerate(values):
            if isinstance(value, (Handle, np.ndarray, bytearray, memoryview)):
                kind = types[position] if position < len(types) else ctypes.c_void_p
                address = ctypes.c_void_p(AccessChecker(self.pipeline).region_address(value))
                value = ctypes.cast(address, kind) if _is_pointer(kind) else address
            converted.append(value)
        return converted

    def __repr__(self) -> str:
        return f"<guarded {self.__name__} reads={self.reads} writes={self.writes}>"


def guard(
    function: Callable[..., Any],
    reads: Mapping[int, Size] | None = None,
    writes: Mapping[int, Size] | None = None,
    pipeline: ValidationPipeline | None = None,
    family: ApiFamily = ApiFamily.STRING_MEMORY,
    name: str | None = None,
) -> Guard:
    """Wrap a foreign function so that its pointer arguments are validated before each call.

    Parameters
    ----------
    function : callable
        A function of a ctypes library (or of a cffi one, or any Python callable).
    reads, writes : dict of {int: size}, optional
        Which arguments point to memory that the function reads or writes, by position, and how
        many bytes: an `int`; ``argument(k)``, the value of argument k; ``pointee(k)``, the integer
        that argument k points to; `terminated`, a string; or a function of all arguments.
    pipeline : ValidationPipeline, optional
        By default one of the process, shared with `membrane.libc`.
    family : ApiFamily, optional
        As which the kernel hears of the calls.
    name : str, optional
        For messages; by default the function's own.

    Returns
    -------
    Guard
        Called like the function. Pointers may be addresses, handles, buffers, arrays, and what
        ctypes and cffi pass as pointers.
    """
    name = name or str(getattr(function, "__name__", type(function).__name__))
    for sizes in (reads or {}, writes or {}):
        for position in sizes:
            if not isinstance(position, int) or position < 0:
                raise TypeError(f"argument positions must be integers from 0, got {position!r}")
    return Guard(function, reads or {}, writes or {}, pipeline, family, name)


def _is_pointer(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, _POINTER_TYPES)


def _pointer(value: Any) -> Any:
    """Turn what ctypes or cffi pass as a pointer into an address or an object with a buffer."""
    if value is None or isinstance(value, (int, np.integer, Handle)):
        return value
    if isinstance(value, _SIMPLE_POINTERS):
        return ctypes.cast(value, ctypes.c_void_p).value
    if isinstance(value, ctypes._Pointer):
        return ctypes.cast(value, ctypes.c_void_p).value
    if type(value).__name__ == "CArgObject":
        return value._obj
    if type(value).__module__ == "_cffi_backend":
        import _cffi_backend

        return int(_cffi_backend.FFI().cast("uintptr_t", value))
    return value


def _number(value: Any) -> int:
    """Value of an integer argument, as a Python or ctypes integer."""
    return int(getattr(value, "value", value))
