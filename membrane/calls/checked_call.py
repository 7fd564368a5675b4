"""The sizes of one guarded call against the memory behind its pointers."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from membrane.calls.guarded_call import CallSession
from membrane.calls.passing import declared_type
from membrane.calls.regions import AccessChecker, Region
from membrane.calls.strings import WIDE_BYTES, string_end
from membrane.declarations.expressions import RETURN, Expression, Values, read_expression
from membrane.declarations.sizes import (
    Size,
    _Terminated,
    argument,
    pointee,
    terminated_within,
)
from membrane.errors import (
    OutOfBoundsError,
    SizeOverflowError,
    UnsafePointerError,
    UnterminatedStringError,
)
from membrane.pipeline.ctypes_kinds import FUNCTION, is_wide
from membrane.stages.heal import Healing
from membrane.tables.words import SIZE_LIMIT


class NotMade(Exception):  # noqa: N818 - it is no error: the repair was made
    """Hardened mode has repaired a fault by not making the call."""


@dataclass(frozen=True)
class Computed:
    """Size: an expression of a declaration, times a number of bytes per element.

    Attributes
    ----------
    expression : Expression
    scale : int
    negative : terminated or None
        What a negative number means.
    """

    expression: Expression
    scale: int = 1
    negative: _Terminated | None = None


class Touch(NamedTuple):
    """One line of a declaration: bytes that the function touches at a pointer.

    Attributes
    ----------
    position : int
        Of the argument; -1: of a pointer that was found in memory.
    size : Size or Computed
    writing : bool
    nullable : bool
        Whether the function takes a null pointer and touches nothing.
    """

    position: int
    size: Size | Computed
    writing: bool
    nullable: bool = False


class Naming(NamedTuple):
    """What expressions need to know of the arguments.

    Attributes
    ----------
    names : tuple of str
        By position.
    types : dict of {str: ctypes type}
        What those point to that point to a number or a structure.
    nullable : frozenset of int
        Positions of the pointers that may be null; no number is behind one that is.
    """

    names: tuple[str, ...]
    types: Mapping[str, Any]
    nullable: frozenset[int]


NAMELESS = Naming((), {}, frozenset())


class CheckedCall:
    """One call while it is checked; finds the numbers that its sizes are made of.

    Parameters
    ----------
    session : CallSession
    checker : AccessChecker
    function : callable
    values : list
        What is passed; a repair changes it.
    regions : dict of {int: Region}
        By position.
    naming : Naming, optional
        Of a declaration by name.
    """

    def __init__(
        self,
        session: CallSession,
        checker: AccessChecker,
        function: Callable[..., Any],
        values: list[Any],
        regions: dict[int, Region],
        naming: Naming = NAMELESS,
    ) -> None:
        self.session = session
        self.checker = checker
        self.function = function
        self.values = values
        self.regions = regions
        self.naming = naming
        #: What the kernel hears of the call: (address, bytes, whether it writes).
        self.largest = (0, 0, False)
        #: What the function returned.
        self.returned: int = 0

    # --- faults -------------------------------------------------------------------------------

    def refuse(self, error: UnsafePointerError, requested: int = 0) -> None:
        """Do not make the call.

        Raises
        ------
        UnsafePointerError
            In strict mode.
        NotMade
            In hardened mode.
        """
        self.session.fail(error, Healing.RETURN_SAFE_DEFAULT, requested, 0)
        raise NotMade

    def admit(self, touch: Touch, region: Region, values: Values | None = None) -> int:
        """Check one line of the declaration; returns how many bytes will be touched.

        Parameters
        ----------
        touch : Touch
        region : Region
        values : Values, optional
            Where the names of its size are looked up first.
        """
        if touch.nullable and region.address == 0:
            return 0
        count, was_read = self._count(region, touch, values or self)
        if not 0 <= count < SIZE_LIMIT:
            self.refuse(SizeOverflowError(f"{count} bytes at {region.name}"))
        if count == 0:
            return 0
        if region.fault is not None:
            self.refuse(region.fault, count)
        if touch.writing and not region.writable:
            self.refuse(OutOfBoundsError(f"{region.name} may not be written"), count)
        if count > self.largest[1]:
            self.largest = (region.address, count, touch.writing)
        if touch.writing or not was_read:
            room = self.checker.reachable(region, count, touch.writing)
            if room < count:
                return self._shortened(region, touch.size, count, room)
        return count

    def _shortened(self, region: Region, size: Size | Computed, count: int, room: int) -> int:
        """Reduce a size that is too large, where the declaration allows that."""
        error = OutOfBoundsError(f"{region.name} ({region.address:#x}) has {room} of {count} bytes")
        if isinstance(size, argument) and size.clamp:
            self.session.fail(error, Healing.CLAMP_SIZE, count, room)
            self.values[size.position] = room // size.scale
            return room
        if isinstance(size, pointee) and size.clamp and self.regions[size.position].writable:
            self.session.fail(error, Healing.CLAMP_SIZE, count, room)
            address = self.regions[size.position].address
            size.ctype.from_address(address).value = room // size.scale
            return room
        self.refuse(error, count)
        return 0

    # --- sizes --------------------------------------------------------------------------------

    def _count(self, region: Region, touch: Touch, values: Values) -> tuple[int, bool]:
        """Return (bytes that the call will touch, whether reading them has told so)."""
        size = touch.size
        if isinstance(size, argument):
            return self._number(size.position) * size.scale, False
        if isinstance(size, pointee):
            return self._pointed(size.position, size.ctype) * size.scale, False
        if isinstance(size, Computed):
            number = size.expression.evaluate(values)
            if number < 0 and size.negative is not None:
                return self.string_bytes(region, size.negative.wide), True
            return number * size.scale, False
        if isinstance(size, _Terminated):
            wide = size.wide or self._is_wide(region, touch.position)
            return self.string_bytes(region, wide), True
        if isinstance(size, terminated_within):
            limit = read_expression(str(size.expression)).evaluate(values)
            return self.string_bytes(region, False, limit), True
        return int(size(*self.values)) if callable(size) else int(size), False

    def number(self, name: str) -> int:
        """Value of an argument by name; ``return``: what was returned."""
        return self.returned if name == RETURN else self._number(self.naming.names.index(name))

    def pointee(self, name: str) -> int:
        """The number that an argument points to."""
        return self._pointed(self.naming.names.index(name), self.naming.types[name])

    def field(self, name: str, field: str) -> int:
        """A field of the structure that an argument points to."""
        structure = self.naming.types[name]
        region = self.regions[self.naming.names.index(name)]
        self._needs(region, ctypes.sizeof(structure))
        return int(getattr(structure.from_address(region.address), field) or 0)

    def string_length(self, name: str, limit: int | None, wide: bool) -> int:
        """Characters of a string argument before its terminator, or before a limit."""
        region = self.regions[self.naming.names.index(name)]
        if region.fault is not None:
            self.refuse(region.fault)
        count = self.string_bytes(region, wide, limit) // (WIDE_BYTES if wide else 1)
        return count if limit is not None and count <= limit else count - 1

    def _number(self, position: int) -> int:
        """An integer argument as the function will get it."""
        if position >= len(self.values):
            name = self.session.function
            raise TypeError(f"{name} has its size in argument {position}, which is missing")
        if position in self.regions:
            return self.regions[position].address
        value = self.values[position]
        number = _as_number(value)
        ctype = declared_type(self.function, position)
        if ctype is not None and isinstance(value, int):
            arrives = getattr(_converted(ctype, value), "value", value)
            if arrives != number and number >= 0:
                text = f"argument {position} is {number}, which {ctype.__name__} can not hold"
                self.refuse(SizeOverflowError(text))
        return number

    def _needs(self, region: Region, width: int) -> None:
        if region.fault is not None:
            self.refuse(region.fault, width)
        room = self.checker.reachable(region, width)
        if room < width:
            text = f"{region.name} ({region.address:#x}) has {room} of {width} bytes"
            self.refuse(OutOfBoundsError(text), width)

    def _pointed(self, position: int, ctype: Any) -> int:
        region = self.regions[position]
        if region.address == 0 and position in self.naming.nullable:
            return 0
        self._needs(region, ctypes.sizeof(ctype))
        return int(ctype.from_address(region.address).value)

    def string_bytes(self, region: Region, wide: bool, limit: int | None = None) -> int:
        """Bytes of a string, its terminator included if that comes before the limit."""
        if region.fault is not None:
            return 0 if limit == 0 else 1
        length, is_terminated = string_end(self.checker, region, limit, wide)
        width = WIDE_BYTES if wide else 1
        if is_terminated:
            return (length + 1) * width
        if limit is not None and length >= limit:
            return length * width
        text = f"{region.name} has no terminator in {length * width} bytes"
        self.refuse(UnterminatedStringError(text), length)
        return 0

    def _is_wide(self, region: Region, position: int) -> bool:
        if position < 0:
            return False
        ctype = declared_type(self.function, position)
        if is_wide(ctype):
            return True
        value = self.values[position]
        of_wide = getattr(type(value), "_type_", None) in (ctypes.c_wchar, ctypes.c_wchar_p, "Z")
        return of_wide or (region.memory is not None and region.memory.wide)


def _as_number(value: Any) -> int:
    """An argument in an expression: a null pointer is 0, a function its address."""
    if isinstance(value, FUNCTION):
        return ctypes.cast(value, ctypes.c_void_p).value or 0
    return int(getattr(value, "value", value) or 0)


def _converted(ctype: Any, value: int) -> Any:
    try:
        return ctype(value)
    except (TypeError, ValueError, AttributeError):
        return value
