"""What a call uses besides bytes: things of the library, and pointers that lie in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from membrane.calls.checked_call import CheckedCall, Computed, Touch
from membrane.calls.declared_sizes import computed_size
from membrane.calls.memory_cells import Cell, cells_of
from membrane.calls.regions import HeldRegions, Region
from membrane.declarations.function import Function
from membrane.declarations.words import Memory, pointer_to, resource, structure
from membrane.errors import (
    DoubleFreeError,
    ForeignFreeError,
    InvalidFreeError,
    NullPointerError,
    OutOfBoundsError,
    UnsafePointerError,
    UseAfterFreeError,
    WrongKindError,
)
from membrane.pipeline.bounded_pointer import BoundedPointer
from membrane.pipeline.lifetimes import Resource, lifetimes
from membrane.pipeline.pointer_argument import pointer_inside


class Ending(NamedTuple):
    """Something that the function ends.

    Attributes
    ----------
    name : str
    word : resource or Memory
    thing : Resource
    """

    name: str
    word: Any
    thing: Resource


class Uses:
    """The things and the inner pointers of one call.

    Parameters
    ----------
    checked : CheckedCall
    declaration : Function
    held : HeldRegions

    Attributes
    ----------
    cells : list of Cell
    things : dict of {str: Resource}
        By argument; what was not begun by a declared function is not there.
    endings : list of Ending
    """

    def __init__(self, checked: CheckedCall, declaration: Function, held: HeldRegions) -> None:
        self.checked = checked
        self.declaration = declaration
        self.held = held
        self.cells: list[Cell] = []
        self.things: dict[str, Resource] = {}
        self.endings: list[Ending] = []

    def check(self, counts: Mapping[int, int]) -> None:
        """Check everything; refuse the call where something must not be used.

        Parameters
        ----------
        counts : dict of {int: int}
            Bytes that the call will touch at its arguments, by position.
        """
        for position, (name, word) in enumerate(self.declaration.arguments.items()):
            region = self.checked.regions.get(position)
            if region is None:
                continue
            if isinstance(word, resource):
                self._use(name, word, region)
            else:
                self._use_structure(name, word, region)
                self._enter(name, word, region, counts[position], self.checked)
        self._check_loans()

    def _check_loans(self) -> None:
        """Whatever a thing was given to keep must be there, unless the function is to replace it.

        What the function ends is told about afterwards: it has to be ended all the same.
        """
        excepted = self.declaration.replaces | {ending.name for ending in self.endings}
        things = {name: thing for name, thing in self.things.items() if name not in excepted}
        things.update((name, lifetimes.named(name)) for name in self.declaration.uses)
        for thing in things.values():
            for fault in thing.faulty_loans():
                self.checked.refuse(fault)

    # --- pointers in memory -------------------------------------------------------------------

    def _enter(self, name: str, word: Any, region: Region, count: int, values: Any) -> None:
        for cell in cells_of(self.checked, name, word, region, count, values):
            self.cells.append(cell)
            target = cell.word
            if isinstance(target, Memory):
                self._admit(cell, target)
            elif isinstance(target, resource) and (target.ends or not target.begins):
                argument = pointer_inside(cell.container.pointer, cell.before)
                self._use(cell.name, target, self.held.add(argument, cell.name, False))
            elif isinstance(target, pointer_to) and cell.before:
                argument = pointer_inside(cell.container.pointer, cell.before)
                inner = self.held.add(argument, cell.name, True)
                size = self.checked.admit(Touch(-1, 8, True), inner)
                self._enter(cell.name, target, inner, size, cell.values)

    def _admit(self, cell: Cell, word: Memory) -> None:
        if cell.before == 0 and word.nullable:
            return
        argument = pointer_inside(cell.container.pointer, cell.before)
        cell.region = self.held.add(argument, cell.name, word.writes)
        touch = Touch(-1, computed_size(word.size), word.writes, word.nullable)
        cell.count = self.checked.admit(touch, cell.region, cell.values)
        self._enter(cell.name, word, cell.region, cell.count, cell.values)

    # --- things of the library ----------------------------------------------------------------

    def _use_structure(self, name: str, word: Any, region: Region) -> None:
        """A structure of the caller that must have been begun."""
        element = word.size if isinstance(word, Memory) else None
        if not isinstance(element, structure) or region.address == 0:
            return
        found = lifetimes.in_structure(region.address, element.name)
        if word.begins:
            return
        if found is None:
            if element.name in lifetimes.lifecycles:
                text = f"{name} ({region.address:#x}) is no {element.name} that was begun"
                self.checked.refuse(WrongKindError(text))
            return
        self._note(name, word, found)

    def _note(self, name: str, word: Any, found: Resource) -> None:
        if found.ended_by is not None:
            self._refuse_ended(name, word, found)
        self.things[name] = found
        if word.ends:
            self.endings.append(Ending(name, word, found))

    def _check_size(self, name: str, word: resource, found: Resource, values: Any) -> None:
        """What the caller says of memory that may be replaced."""
        if word.size is None or not word.begins or found.size is None:
            return
        size = computed_size(word.size)
        if isinstance(size, Computed):
            count = size.expression.evaluate(values) * size.scale
            if count > found.size:
                text = f"{name} ({found.address:#x}) has {found.size} of {count} bytes"
                self.checked.refuse(OutOfBoundsError(text), count)

    def _refuse_ended(self, name: str, word: Any, found: Resource) -> None:
        kind = DoubleFreeError if word.ends else UseAfterFreeError
        text = f"{name} ({found.address:#x}) points to {found.kind} that {found.ended_by} has ended"
        self.checked.refuse(kind(text))

    def _use(self, name: str, word: resource, region: Region) -> None:
        if region.address == 0:
            if not word.nullable:
                self.checked.refuse(NullPointerError(f"{name} is null"))
            return
        pointer = region.pointer.keeps
        found = pointer.resource if isinstance(pointer, BoundedPointer) else None
        found = found or lifetimes.at(region.address) or lifetimes.around(region.address)
        if found is None:
            self._use_unknown(name, word, region)
            return
        where = f"{name} ({region.address:#x})"
        if found.kind != word.kind:
            wrong = ForeignFreeError if word.ends else WrongKindError
            self.checked.refuse(wrong(f"{where} points to {found.kind}, not to {word.kind}"))
        if found.address != region.address:
            inside: type[UnsafePointerError] = InvalidFreeError if word.ends else WrongKindError
            self.checked.refuse(inside(f"{where} points into {found.kind}, not to its start"))
        self._note(name, word, found)
        self._check_size(name, word, found, self.checked)

    def _use_unknown(self, name: str, word: resource, region: Region) -> None:
        """What no declared function has made: it may come from elsewhere, but not from Python."""
        if region.fault is not None:
            self.checked.refuse(region.fault)
        memory = region.memory
        if region.in_block or (memory is not None and memory.is_owned):
            whose = "a block" if region.in_block else type(region.pointer.keeps).__name__
            wrong = ForeignFreeError if word.ends else WrongKindError
            text = f"{name} ({region.address:#x}) is memory of {whose}, no {word.kind}"
            self.checked.refuse(wrong(text))

    def thing_of(self, name: str) -> Resource:
        """What an argument, or a name that is none, stands for; noted if it was not known."""
        if name in self.things:
            return self.things[name]
        if name not in self.declaration.arguments:
            return lifetimes.named(name)
        position = self.declaration.position(name)
        word, region = self.declaration.arguments[name], self.checked.regions[position]
        if isinstance(word, resource):
            found = Resource(word.kind, region.address)
        else:
            found = self.in_structure(word, region)
        self.things[name] = lifetimes.begin(found)
        return found

    @staticmethod
    def in_structure(word: Memory, region: Region) -> Resource:
        """What begins in a structure of the caller, whose memory it holds."""
        keeps = region.pointer.keeps
        structure = region.address if keeps is None else keeps
        return Resource(word.size.name, region.address, structure=structure)

    def claim(self) -> None:
        """End what the function ends, before another thread can end it too."""
        for number, ending in enumerate(self.endings):
            if not lifetimes.claim(ending.thing, self.checked.session.function):
                for other in self.endings[:number]:
                    lifetimes.restore(other.thing)
                self._refuse_ended(ending.name, ending.word, ending.thing)

    def restore(self) -> None:
        """Undo `claim`: the function was not called."""
        for ending in self.endings:
            lifetimes.restore(ending.thing)
