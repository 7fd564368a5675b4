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
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from membrane.calls.default_pipeline import default_pipeline
from membrane.calls.guarded_call import Call, CallSession
from membrane.calls.native.native_guard import load, native_guard
from membrane.calls.native.plan import Extent
from membrane.calls.passing import declared_type, passed, referenced
from membrane.calls.regions import AccessChecker, Region
from membrane.calls.sizes import Size, _Terminated, argument, pointee
from membrane.calls.strings import WIDE_BYTES, string_end
from membrane.errors import (
    CorruptionError,
    OutOfBoundsError,
    SizeOverflowError,
    UnsafePointerError,
    UnterminatedStringError,
    UseAfterFreeError,
)
from membrane.pipeline.cffi_pointer import ctype_name, is_cffi_data
from membrane.pipeline.pins import FREED, OVERWRITTEN, CallPins
from membrane.pipeline.validation_pipeline import ValidationPipeline
from membrane.stages.heal import Healing
from membrane.tables.words import SIZE_LIMIT
from runtime_math.types import ApiFamily


class Touch(NamedTuple):
    """One line of a declaration: bytes that the function touches at an argument."""

    position: int
    size: Size
    writing: bool


class Guard:
    """A foreign function whose pointers are validated before each call; see `guard`.

    Attributes
    ----------
    function : callable
        What is guarded.
    reads, writes : dict of {int: size}
    family : ApiFamily
    """

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
        load()
        touches = [Touch(*item, False) for item in reads.items()]
        touches += [Touch(*item, True) for item in writes.items()]
        # Those first whose size needs no memory to be read.
        self._touches = sorted(touches, key=lambda touch: isinstance(touch.size, pointee))
        pointed = [touch.size.position for touch in touches if isinstance(touch.size, pointee)]
        self._positions = list(dict.fromkeys([touch.position for touch in touches] + pointed))

    @functools.cached_property
    def pipeline(self) -> ValidationPipeline:
        """The pipeline that knows the blocks."""
        return default_pipeline() if self._pipeline is None else self._pipeline

    def __call__(self, *arguments: Any) -> Any:
        """Validate, then call; returns what the function returns.

        In hardened mode a call that can not be made as it is returns None and is not made, unless
        the declaration allows a smaller size; `call` tells what was done.
        """
        become_native(self)
        return self.call(*arguments).value

    def call(self, *arguments: Any) -> Call[Any]:
        """Validate, then call; returns the value with the repair that was made, if any."""
        values = list(arguments)
        with CallSession(self.pipeline, self.__name__, self.family) as session:
            pins, regions = CallPins(len(self._positions)), dict[int, Region]()
            try:
                checker = AccessChecker(self.pipeline)
                for number, position in enumerate(self._positions):
                    regions[position] = self._region(checker, pins, number, values)
                checked = _CheckedCall(session, checker, self.function, values, regions)
                if not all(checked.admits(touch) for touch in self._touches):
                    return session.result(None)
                session.decide(*checked.largest)
                result = self.function(*passed(self.function, self.__name__, values, regions))
                self._tell_damage(session, *pins.damage())
            finally:
                pins.release()
                for region in regions.values():
                    region.pointer.release()
            return session.result(result)

    def _region(
        self, checker: AccessChecker, pins: CallPins, number: int, values: list[Any]
    ) -> Region:
        position = self._positions[number]
        if position >= len(values):
            raise TypeError(f"{self.__name__} is guarded at argument {position}, which is missing")
        value = referenced(values[position], declared_type(self.function, position))
        writing = position in self.writes
        return checker.region(pins, number, value, f"argument {position}", writing)

    def _tell_damage(self, session: CallSession, number: int, happened: int) -> None:
        """Fail where a call has freed a block that it was given, or written beside it."""
        where = f"the block of argument {self._positions[number]}" if number >= 0 else "a block"
        if happened == FREED:
            session.fail(UseAfterFreeError(f"{where} was freed during the call"), Healing.NONE)
        elif happened == OVERWRITTEN and self.pipeline.repaired:
            session.fail(CorruptionError(f"the call wrote beside {where}"), Healing.NONE)

    def __repr__(self) -> str:
        return f"<guarded {self.__name__} reads={self.reads} writes={self.writes}>"


class _CheckedCall:
    """The sizes of one call against its regions."""

    def __init__(
        self,
        session: CallSession,
        checker: AccessChecker,
        function: Callable[..., Any],
        values: list[Any],
        regions: Mapping[int, Region],
    ) -> None:
        self.session = session
        self.checker = checker
        self.function = function
        self.values = values
        self.regions = regions
        #: What the kernel hears of the call: (address, bytes, whether it writes).
        self.largest = (0, 0, False)

    def admits(self, touch: Touch) -> bool:
        """Check one line of the declaration; False when the call must not be made."""
        region = self.regions[touch.position]
        count = self._count(region, touch)
        if count is None:
            return False
        if not 0 <= count < SIZE_LIMIT:
            return self._refuse(SizeOverflowError(f"{count} bytes at {region.name}"), 0)
        if count == 0:
            return True
        if region.fault is not None:
            return self._refuse(region.fault, count)
        if touch.writing and not region.writable:
            return self._refuse(OutOfBoundsError(f"{region.name} may not be written"), count)
        if count > self.largest[1]:
            self.largest = (region.address, count, touch.writing)
        if isinstance(touch.size, _Terminated) and not touch.writing:
            return True  # its end was found by reading what may be read
        room = self.checker.reachable(region, count, touch.writing)
        return room >= count or self._shortened(region, touch.size, count, room)

    def _refuse(self, error: UnsafePointerError, requested: int) -> bool:
        self.session.fail(error, Healing.RETURN_SAFE_DEFAULT, requested, 0)
        return False

    def _count(self, region: Region, touch: Touch) -> int | None:
        """Bytes that the call will touch at a region, or None after a fault."""
        size = touch.size
        if callable(size):
            size = size(*self.values)
        if isinstance(size, argument):
            return self._number(size.position) * size.scale
        if isinstance(size, pointee):
            return self._pointed(size)
        if isinstance(size, _Terminated):
            return self._string_bytes(region, touch.position)
        return int(size)

    def _number(self, position: int) -> int:
        """An integer argument as the function will get it."""
        if position >= len(self.values):
            name = self.session.function
            raise TypeError(f"{name} has its size in argument {position}, which is missing")
        value = self.values[position]
        number = int(getattr(value, "value", value))
        ctype = declared_type(self.function, position)
        if ctype is not None and isinstance(value, int):
            arrives = getattr(_converted(ctype, value), "value", value)
            if arrives != number and number >= 0:
                text = f"argument {position} is {number}, which {ctype.__name__} can not hold"
                self.session.fail(SizeOverflowError(text))
                return -1
        return number

    def _pointed(self, size: pointee) -> int | None:
        counter = self.regions[size.position]
        width = ctypes.sizeof(size.ctype)
        if counter.fault is not None:
            self._refuse(counter.fault, width)
            return None
        room = self.checker.reachable(counter, width)
        if room < width:
            text = f"{counter.name} ({counter.address:#x}) has {room} of {width} bytes"
            self._refuse(OutOfBoundsError(text), width)
            return None
        return int(size.ctype.from_address(counter.address).value)

    def _string_bytes(self, region: Region, position: int) -> int | None:
        if region.fault is not None:
            return 1
        wide = self._is_wide(region, position)
        length, is_terminated = string_end(self.checker, region, None, wide)
        width = WIDE_BYTES if wide else 1
        if is_terminated:
            return (length + 1) * width
        error = UnterminatedStringError(
            f"{region.name} has no terminator in {length * width} bytes"
        )
        self.session.fail(error, Healing.RETURN_SAFE_DEFAULT, length, 0)
        return None

    def _is_wide(self, region: Region, position: int) -> bool:
        ctype = declared_type(self.function, position)
        if ctype is ctypes.c_wchar_p or getattr(ctype, "_type_", None) is ctypes.c_wchar:
            return True
        value = self.values[position]
        of_wide = getattr(type(value), "_type_", None) in (ctypes.c_wchar, ctypes.c_wchar_p, "Z")
        return of_wide or (region.memory is not None and region.memory.wide)

    def _shortened(self, region: Region, size: Size, count: int, room: int) -> bool:
        """Reduce a size that is too large, where the declaration allows that."""
        error = OutOfBoundsError(f"{region.name} ({region.address:#x}) has {room} of {count} bytes")
        if isinstance(size, argument) and size.clamp:
            self.session.fail(error, Healing.CLAMP_SIZE, count, room)
            self.values[size.position] = room // size.scale
            return True
        if isinstance(size, pointee) and size.clamp and self.regions[size.position].writable:
            self.session.fail(error, Healing.CLAMP_SIZE, count, room)
            size.ctype.from_address(self.regions[size.position].address).value = room
            return True
        return self._refuse(error, count)


def _converted(ctype: Any, value: int) -> Any:
    try:
        return ctype(value)
    except (TypeError, ValueError, AttributeError):
        return value


def become_native(checked: Guard) -> None:
    """Let a guard's calls be machine code from now on, where that can make them.

    The guard gets a class of its own whose ``__call__`` is a builtin: Python's way to call an
    object leads through its class.
    """
    extents = _extents(checked.reads, False) + _extents(checked.writes, True)
    if type(checked) is not Guard or len(extents) != len(checked.reads) + len(checked.writes):
        return
    builtin = native_guard(
        checked.function,
        extents,
        checked.pipeline,
        checked.family,
        lambda *arguments: checked.call(*arguments).value,
        lambda happened: _tell_native_damage(checked, happened),
    )
    if builtin is not None:
        checked.__class__ = type("Guard", (Guard,), {"__call__": builtin, "__doc__": Guard.__doc__})


def _tell_native_damage(checked: Guard, happened: int) -> None:
    checked.pipeline.resources.settle()  # a close may have waited for the call
    with CallSession(checked.pipeline, checked.__name__, checked.family) as session:
        checked._tell_damage(session, -1, happened)


def _extents(sizes: Mapping[int, Size], is_write: bool) -> list[Extent]:
    """What machine code can check by itself: numbers, and numbers of items."""
    found = []
    for position, size in sizes.items():
        if isinstance(size, int) and size > 0:
            found.append(Extent(position, None, size, is_write))
        elif isinstance(size, argument) and size.scale > 0:
            found.append(Extent(position, size.position, size.scale, is_write))
    return found


def _name(function: Callable[..., Any]) -> str:
    if is_cffi_data(function):
        return ctype_name(function)
    return str(getattr(function, "__name__", type(function).__name__))


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
        A function of a ctypes library (or of a cffi one, or any Python callable). Its ``argtypes``
        are read at the first call.
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
        Called like the function. Pointers may be whatever stands for one: addresses, handles,
        buffers, arrays, and all that ctypes and cffi pass as pointers.
    """
    name = name or _name(function)
    for sizes in (reads or {}, writes or {}):
        for position in sizes:
            if not isinstance(position, int) or position < 0:
                raise TypeError(f"argument positions must be integers from 0, got {position!r}")
    return Guard(function, reads or {}, writes or {}, pipeline, family, name)
