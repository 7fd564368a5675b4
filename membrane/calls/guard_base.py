"""A guarded foreign function: the steps of every call, in Python and as machine code."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from membrane.calls.checked_call import CheckedCall, NotMade, Touch
from membrane.calls.default_pipeline import default_pipeline
from membrane.calls.guarded_call import Call, CallSession
from membrane.calls.native.native_guard import load, native_guard
from membrane.calls.native.plan import (
    COUNTED,
    OVERSTATED,
    POINTED,
    TERMINATED,
    Extent,
    Shape,
)
from membrane.calls.passing import declared_type, passed, referenced
from membrane.calls.regions import AccessChecker, HeldRegions, Region
from membrane.declarations.sizes import Size, _Terminated, argument, pointee
from membrane.errors import CorruptionError, UseAfterFreeError
from membrane.pipeline.ctypes_kinds import is_number_type, is_wide
from membrane.pipeline.pins import FREED, OVERWRITTEN
from membrane.pipeline.validation_pipeline import ValidationPipeline
from membrane.stages.heal import Healing
from runtime_math.types import ApiFamily


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
        self._is_decided = False  # whether its calls are machine code or not
        load()
        touches = [Touch(*item, False) for item in reads.items()]
        touches += [Touch(*item, True) for item in writes.items()]
        # Those first whose size needs no memory to be read.
        self.touches = sorted(touches, key=lambda touch: isinstance(touch.size, pointee))
        pointed = [touch.size.position for touch in touches if isinstance(touch.size, pointee)]
        self._positions = list(dict.fromkeys([touch.position for touch in touches] + pointed))

    @functools.cached_property
    def pipeline(self) -> ValidationPipeline:
        """The pipeline that knows the blocks."""
        return default_pipeline() if self._pipeline is None else self._pipeline

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Validate, then call; returns what the function returns.

        In hardened mode a call that can not be made as it is returns None and is not made, unless
        the declaration allows a smaller size; `call` tells what was done.
        """
        if not self._is_decided:
            self._is_decided = True
            become_native(self)
        return self.call(*arguments, **named).value

    def call(self, *arguments: Any, **named: Any) -> Call[Any]:
        """Validate, then call; returns the value with the repair that was made, if any."""
        values = self._bound(arguments, named)
        with CallSession(self.pipeline, self.__name__, self.family) as session:
            held = HeldRegions(AccessChecker(self.pipeline), len(self._positions))
            try:
                return session.result(self._made(session, held, values))
            except NotMade:
                return session.result(None)
            finally:
                held.release()

    def _made(self, session: CallSession, held: HeldRegions, values: list[Any]) -> Any:
        """What the function returns when it is called as it may be."""
        regions = {position: self._region(held, position, values) for position in self._positions}
        checked = CheckedCall(session, AccessChecker(self.pipeline), self.function, values, regions)
        for touch in self.touches:
            checked.admit(touch, regions[touch.position])
        session.decide(*checked.largest)
        result = self.function(*passed(self.function, self.__name__, values, regions))
        self.tell_damage(session, *held.damage())
        return result

    def _bound(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> list[Any]:
        if named:
            raise TypeError(f"{self.__name__} has no argument {next(iter(named))!r}")
        return list(arguments)

    def _region(self, held: HeldRegions, position: int, values: list[Any]) -> Region:
        if position >= len(values):
            raise TypeError(f"{self.__name__} is guarded at argument {position}, which is missing")
        value = referenced(values[position], declared_type(self.function, position))
        return held.add(value, f"argument {position}", position in self.writes)

    def tell_damage(self, session: CallSession, region: Region | None, happened: int) -> None:
        """Fail where a call has freed a block that it was given, or written beside it."""
        where = "a block" if region is None else f"the block of {region.name}"
        if happened == FREED:
            session.fail(UseAfterFreeError(f"{where} was freed during the call"), Healing.NONE)
        elif happened == OVERWRITTEN and self.pipeline.repaired:
            session.fail(CorruptionError(f"the call wrote beside {where}"), Healing.NONE)
        elif happened == OVERSTATED:
            text = "it says that it wrote more than there was room for"
            session.fail(CorruptionError(text), Healing.NONE)

    def native_shape(self) -> Shape | None:
        """What machine code has to know of a call, if it can check all there is; else None."""
        extents = extents_of(self.touches)
        if extents is None:
            return None
        types = {extent.position: self._type_of(extent.position) for extent in extents}
        if any(is_wide(ctype) for ctype in types.values()):
            return None  # nobody knows which strings are wide before they are there
        elements = {position: getattr(ctype, "_type_", None) for position, ctype in types.items()}
        numbers = {at: kind for at, kind in elements.items() if is_number_type(kind)}
        return Shape(extents, numbers)

    def _type_of(self, position: int) -> Any:
        return declared_type(self.function, position)

    def pointer_into(self, result: int, given: Any, start: int, length: int) -> Any:
        """What a result is that points into an argument."""
        return result

    def __repr__(self) -> str:
        return f"<guarded {self.__name__} reads={self.reads} writes={self.writes}>"


def become_native(checked: Guard) -> None:
    """Let a guard's calls be machine code from now on, where that can make them.

    The guard gets a class of its own whose ``__call__`` is a builtin: Python's way to call an
    object leads through its class.
    """
    kind = type(checked)
    shape = checked.native_shape()
    if shape is None:
        return
    builtin = native_guard(
        checked.function,
        shape,
        checked.pipeline,
        checked.family,
        lambda *arguments, **named: checked.call(*arguments, **named).value,
        lambda happened: _tell_native_damage(checked, happened),
        checked.pointer_into,
    )
    if builtin is not None:
        checked.__class__ = type("Guard", (kind,), {"__call__": builtin, "__doc__": kind.__doc__})


def _tell_native_damage(checked: Guard, happened: int) -> None:
    checked.pipeline.resources.settle()  # a close may have waited for the call
    with CallSession(checked.pipeline, checked.__name__, checked.family) as session:
        checked.tell_damage(session, None, happened)


def extents_of(touches: Sequence[Touch]) -> list[Extent] | None:
    """What machine code can check by itself; None: not all."""
    found = []
    for position, size, writing, _ in touches:
        if isinstance(size, int) and size > 0:
            found.append(Extent(position, size, writing))
        elif isinstance(size, argument) and size.scale > 0:
            found.append(Extent(position, size.scale, writing, COUNTED, size.position))
        elif isinstance(size, pointee) and size.scale > 0:
            counter = size.position, size.ctype
            found.append(Extent(position, size.scale, writing, POINTED, *counter))
        elif isinstance(size, _Terminated) and not size.wide and not writing:
            found.append(Extent(position, 1, writing, TERMINATED))
        else:
            return None
    known = {extent.position for extent in found}
    counters = {each.argument: each.number for each in found if each.measure == POINTED}
    for position, number in counters.items():
        if position not in known:
            found.append(Extent(position, ctypes.sizeof(number), False))
    return found
