"""A guard that follows a declaration: every word of it before, during and after the call."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from membrane.calls.checked_call import CheckedCall, Naming
from membrane.calls.declared_sizes import touch_of, unit_of
from membrane.calls.guard_base import Guard, extents_of
from membrane.calls.guarded_call import CallSession
from membrane.calls.native.plan import RETURNED, SAID_BEHIND, Shape
from membrane.calls.passing import passed, referenced
from membrane.calls.regions import AccessChecker, HeldRegions, Region
from membrane.calls.results import Aftermath
from membrane.calls.uses import Uses
from membrane.calls.variadic import add_variadic_values
from membrane.declarations.expressions import RETURN, Name, Pointee, read_expression
from membrane.declarations.function import Function
from membrane.declarations.words import (
    Memory,
    callback,
    into,
    is_ctype,
    pointer_to,
    resource,
    structure,
)
from membrane.errors import OutOfBoundsError, OverlapError
from membrane.pipeline.bounded_pointer import BoundedPointer
from membrane.pipeline.cffi_pointer import is_cffi_function
from membrane.pipeline.ctypes_kinds import DATA, FUNCTION, POINTERS, is_number_type
from membrane.pipeline.known_memory import KnownMemory
from membrane.pipeline.lifetimes import lifetimes
from membrane.pipeline.pointer_argument import pointer_argument
from membrane.pipeline.validation_pipeline import ValidationPipeline
from membrane.stages.heal import Healing


class _Writeable:
    writeable = True


_WRITEABLE = _Writeable()


class DeclaredGuard(Guard):
    """A guarded function with a declaration; see `guard`.

    Attributes
    ----------
    function : callable
        What is guarded, with the declared types.
    declaration : Function
    """

    def __init__(
        self,
        function: Callable[..., Any],
        declaration: Function,
        pipeline: ValidationPipeline | None,
        name: str,
    ) -> None:
        self.declaration = declaration
        super().__init__(typed(function, declaration), {}, {}, pipeline, declaration.family, name)
        lifetimes.lifecycles.update(declaration.lifecycles)
        words = list(enumerate(declaration.arguments.values()))
        checked = (Memory, pointer_to, resource)
        self._positions = [position for position, word in words if isinstance(word, checked)]
        self._naming = Naming(
            declaration.names,
            {
                name: pointed_type(word)
                for name, word in declaration.arguments.items()
                if isinstance(word, Memory)
            },
            frozenset(at for at, word in words if getattr(word, "nullable", False)),
        )
        self.touches = [
            touch_of(word, position, self._naming)
            for position, word in words
            if isinstance(word, (Memory, pointer_to))
        ]

    def _bound(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> list[Any]:
        values, names = list(arguments), self.declaration.names
        for name in names[len(values) :]:
            if name not in named:
                break
            values.append(named[name])
        missing = names[len(values) :]
        if missing:
            raise TypeError(f"{self.__name__} misses its argument {missing[0]!r}")
        bound = names[len(arguments) :]
        for name in named:
            if name not in bound:
                known = "twice" if name in names else f"but has {', '.join(names)}"
                raise TypeError(f"{self.__name__} got an argument {name!r} {known}")
        if len(values) > len(names) and self.declaration.variadic is False:
            raise TypeError(f"{self.__name__} takes {len(names)} arguments, got {len(values)}")
        return values

    def _region(self, held: HeldRegions, position: int, values: list[Any]) -> Region:
        name = self.declaration.names[position]
        word = self.declaration.arguments[name]
        writing = isinstance(word, pointer_to) or (isinstance(word, Memory) and word.writes)
        if isinstance(values[position], (str, bytes)) and isinstance(word, Memory):
            self._refuse_other_text(name, word, values[position])
        if isinstance(word, resource):
            return self._thing(held, name, values[position])
        return held.add(_by_reference(values[position], word), name, writing)

    @staticmethod
    def _thing(held: HeldRegions, name: str, value: Any) -> Region:
        """What is behind a pointer to something of a library, which knows what it has made."""
        argument = pointer_argument(value, name)
        found = lifetimes.at(argument.address)
        if found is None or found.ended_by is not None or argument.fault is not None:
            return held.add(argument, name, False)
        return held.of_library(argument, name)

    def _refuse_other_text(self, name: str, word: Memory, value: str | bytes) -> None:
        """Wide characters are no bytes: Python's texts fit only where they are declared."""
        wide = word.element is ctypes.c_wchar or getattr(word.size, "wide", False)
        if isinstance(value, str) != wide and (wide or isinstance(value, str)):
            takes, got = ("str", "bytes") if wide else ("bytes", "str")
            raise TypeError(f"{self.__name__}: {name} takes {takes}, got {got}")

    def _made(self, session: CallSession, held: HeldRegions, values: list[Any]) -> Any:
        regions = {position: self._region(held, position, values) for position in self._positions}
        checker = AccessChecker(self.pipeline)
        checked = CheckedCall(session, checker, self.function, values, regions, self._naming)
        uses = Uses(checked, self.declaration, held)
        counts = {}
        for touch in self.touches:
            counts[touch.position] = checked.admit(touch, regions[touch.position])
        self._refuse_overlap(checked, counts)
        uses.check(counts)
        add_variadic_values(checked, self.declaration, held)
        callbacks = self._callbacks(values)
        session.decide(*checked.largest)
        arguments = passed(self.function, self.__name__, values, regions)
        uses.claim()
        try:
            result = self.function(*arguments)
        except ctypes.ArgumentError:  # it was not called
            uses.restore()
            raise
        self.tell_damage(session, *held.damage())
        return Aftermath(checked, self.declaration, uses, counts, callbacks).concluded(result)

    def _callbacks(self, values: list[Any]) -> dict[str, Any]:
        """Functions of C in the place of Python's; by argument."""
        made = {}
        for position, (name, word) in enumerate(self.declaration.arguments.items()):
            if not isinstance(word, callback):
                continue
            value = values[position]
            if value is None and not word.nullable:
                raise TypeError(f"{self.__name__}: {name} must be a function, got None")
            is_python = callable(value) and not isinstance(value, (FUNCTION, DATA))
            if is_python and not is_cffi_function(self.function):
                values[position] = word.prototype(value)
            made[name] = values[position]
        return made

    def _refuse_overlap(self, checked: CheckedCall, counts: Mapping[int, int]) -> None:
        positions = [self.declaration.position(name) for name in self.declaration.no_overlap]
        for first, second in itertools.combinations(positions, 2):
            one, other = checked.regions[first], checked.regions[second]
            start = max(one.address, other.address)
            if start < min(one.address + counts[first], other.address + counts[second]):
                checked.refuse(OverlapError(f"{one.name} and {other.name} overlap"))

    def native_shape(self) -> Shape | None:
        """What machine code has to know of a call, if it can check all there is; else None."""
        declaration = self.declaration
        words = dict(enumerate(declaration.arguments.values()))
        returns = declaration.returns
        if declaration.variadic or declaration.uses or not all(map(_is_plain, words.values())):
            return None
        if not (returns is None or is_ctype(returns) or isinstance(returns, into)):
            return None
        extents = extents_of(self.touches)
        if not extents:
            return None
        exclusive = {declaration.position(name) for name in declaration.no_overlap}
        made = []
        for extent in extents:
            written = self._written(words[extent.position])
            if written is None:
                return None
            made.append(extent._replace(is_exclusive=extent.position in exclusive, **written))
        elements = {at: getattr(word, "element", None) for at, word in words.items()}
        numbers = {at: kind for at, kind in elements.items() if is_number_type(kind)}
        target = declaration.position(returns.name) if isinstance(returns, into) else None
        if target is not None and target not in {extent.position for extent in made}:
            return None
        return Shape(made, numbers, target)

    def _written(self, word: Memory) -> dict[str, Any] | None:
        """How machine code learns how much was written; None where it can not."""
        if word.written is None:
            return {}
        node, unit = read_expression(word.written).node, unit_of(word.size)
        if isinstance(node, Name) and node.name == RETURN:
            return {"written": RETURNED, "written_unit": unit}
        if isinstance(node, Pointee):
            number, position = self._naming.types[node.name], self.declaration.position(node.name)
            return {
                "written": SAID_BEHIND,
                "written_argument": position,
                "written_number": number,
                "written_unit": unit,
            }
        return None

    def pointer_into(self, result: int, given: Any, start: int, length: int) -> BoundedPointer:
        """What a result is that points into an argument; called by machine code."""
        if isinstance(given, int):
            return BoundedPointer(result)  # what is there is looked up whenever it is used
        end = start + length
        if not start <= result <= end:
            with CallSession(self.pipeline, self.__name__, self.family) as session:
                name = self.declaration.returns.name
                text = f"the result ({result:#x}) is outside of {name} ({start:#x})"
                session.fail(OutOfBoundsError(text), Healing.NONE)
        writable = not isinstance(given, bytes) and getattr(given, "flags", _WRITEABLE).writeable
        memory = KnownMemory(max(end - result, 0), writable)
        held = memoryview(given) if isinstance(given, bytearray) else given
        return BoundedPointer(result, memory, held)

    def __repr__(self) -> str:
        return f"<guarded {self.__name__} {self.declaration}>"


def typed(function: Callable[..., Any], declaration: Function) -> Callable[..., Any]:
    """Another object for the same C function, with the declared types; others are left alone."""
    if not isinstance(function, FUNCTION):
        return function
    address = ctypes.cast(function, ctypes.c_void_p).value
    made: Any = type(function)(address)
    made.argtypes = declaration.argument_types
    made.restype = declaration.result_type
    if getattr(function, "errcheck", None) is not None:
        made.errcheck = function.errcheck
    made.__name__ = getattr(function, "__name__", "function")
    made.original = function  # whose library must stay
    return made  # type: ignore[no-any-return]


def pointed_type(word: Memory) -> Any:
    """The ctypes type of what an argument points to, for expressions that look there."""
    element = word.element
    return element.ctype if isinstance(element, structure) else element


def _is_plain(word: Any) -> bool:
    """Whether nothing but bytes has to be checked of an argument."""
    if is_ctype(word):
        return True
    if not isinstance(word, Memory) or not (word.element is None or is_ctype(word.element)):
        return False
    plain = {name: getattr(word, name) for name in ("nullable", "clamp", "written")}
    return word == type(word)(word.size, **plain)


def _by_reference(value: Any, word: Any) -> Any:
    """What ctypes passes by reference: a number where a pointer to one is declared, and so on."""
    if isinstance(word, pointer_to):
        target = getattr(type(value), "_type_", None)
        to_pointer = isinstance(target, type) and issubclass(target, POINTERS)
        return ctypes.byref(value) if isinstance(value, POINTERS) and not to_pointer else value
    element = word.element if isinstance(word, Memory) else None
    return referenced(value, ctypes.POINTER(element)) if is_ctype(element) else value
