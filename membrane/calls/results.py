"""What a declared call has done: lengths, results, and what begins, ends or is kept with it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from membrane.calls.checked_call import CheckedCall, NotMade, Touch
from membrane.calls.declared_sizes import computed_size, unit_of
from membrane.calls.loans import KeptCallback, KeptMemory
from membrane.calls.memory_cells import Cell
from membrane.calls.regions import Region
from membrane.calls.uses import Uses
from membrane.declarations.expressions import RETURN, Values, read_expression
from membrane.declarations.function import Function, read_lifetime
from membrane.declarations.sizes import _Terminated
from membrane.declarations.words import (
    Condition,
    Memory,
    borrowed,
    callback,
    into,
    is_ctype,
    resource,
)
from membrane.errors import CorruptionError, OutOfBoundsError
from membrane.pipeline.bounded_pointer import BoundedPointer
from membrane.pipeline.cffi_pointer import cffi_pointer, is_cffi_data
from membrane.pipeline.ctypes_kinds import SIMPLE_DATA
from membrane.pipeline.known_memory import KnownMemory
from membrane.pipeline.lifetimes import Loaned, Resource, lifetimes
from membrane.pipeline.pointer_argument import PointerArgument
from membrane.stages.heal import Healing


class Aftermath:
    """The end of one call.

    Parameters
    ----------
    checked : CheckedCall
    declaration : Function
    uses : Uses
    counts : dict of {int: int}
        Bytes that the call was to touch at its arguments, by position.
    callbacks : dict of {str: object}
        Functions that were passed, by argument.
    """

    def __init__(
        self,
        checked: CheckedCall,
        declaration: Function,
        uses: Uses,
        counts: Mapping[int, int],
        callbacks: Mapping[str, Any],
    ) -> None:
        self.checked = checked
        self.declaration = declaration
        self.uses = uses
        self.counts = counts
        self.callbacks = callbacks
        self.function = checked.session.function

    def concluded(self, result: Any) -> Any:
        """Note what the call has done; returns what it returned, as the declaration says it."""
        self.checked.returned = _as_number(result)
        self._end()
        for text in self.declaration.clears:
            name, index = read_lifetime(text)
            thing = self.uses.thing_of(name)
            thing.end_loans() if index is None else thing.end_loans(self._index(index))
        returned = self._returned(result)
        for position, (name, word) in enumerate(self.declaration.arguments.items()):
            self._argument(name, word, position)
        for cell in self.uses.cells:
            self._cell(cell)
        for name in self.declaration.invalidates:
            lifetimes.invalidate(self.uses.thing_of(name), self.function)
        return returned

    def _tell(self, error: OutOfBoundsError | CorruptionError) -> None:
        """What can not be undone any more."""
        self.checked.session.fail(error, Healing.NONE)

    def _holds(self, condition: Condition | None, values: Values | None = None) -> bool:
        if isinstance(condition, str):
            return read_expression(condition).evaluate(values or self.checked) != 0
        return bool(condition)

    def _end(self) -> None:
        for _, word, thing in self.uses.endings:
            if self._holds(word.ends):
                faults = list(thing.faulty_loans())
                lifetimes.settle(thing)
                for fault in faults:
                    self.checked.session.fail(fault, Healing.NONE)
            else:
                lifetimes.restore(thing)

    def _argument(self, name: str, word: Any, position: int) -> None:
        if isinstance(word, callback):
            self._keep(name, word, KeptCallback(self.callbacks.get(name)))
        if not isinstance(word, Memory):
            return
        region = self.checked.regions[position]
        if region.address == 0:
            return
        self._check_written(name, word, self.counts[position], self.checked)
        if self._holds(word.begins):
            lifetimes.begin(self.uses.in_structure(word, region))
        if word.lifetime is not None:
            self._keep_memory(name, word, region)

    def _check_written(self, name: str, word: Memory, count: int, values: Values) -> None:
        if word.written is None:
            return
        written = read_expression(word.written).evaluate(values) * unit_of(word.size)
        if written > count:
            text = f"it says that it wrote {written} bytes at {name}, which had room for {count}"
            self._tell(CorruptionError(text))

    # --- what is kept -------------------------------------------------------------------------

    def _keep_memory(self, name: str, word: Memory, region: Region) -> None:
        what = f"{name} of {self.function}, given for as long as {word.lifetime} lives"
        self._keep(name, word, KeptMemory(self.checked.checker, region, what))

    def _keep(self, name: str, word: Any, loan: KeptMemory | KeptCallback) -> None:
        if word.lifetime is None or not self._holds(word.lifetime_if or True):
            loan.release()
            return
        lifetime = read_lifetime(word.lifetime)
        if lifetime.name == RETURN and RETURN not in self.uses.things:
            loan.release()  # nothing was made that could keep it
            return
        index = None if lifetime.key is None else self._index(lifetime.key)
        self.uses.thing_of(lifetime.name).lend(Loaned(self.function, name, index), loan)

    def _index(self, name: str) -> int | bytes:
        """What tells one piece of memory that is kept from another: a number, or a text."""
        position = self.declaration.position(name)
        region, word = self.checked.regions.get(position), self.declaration.arguments[name]
        if region is not None and isinstance(word, Memory) and isinstance(word.size, _Terminated):
            return ctypes.string_at(region.address, self.counts[position])
        return self.checked.number(name)

    # --- pointers -----------------------------------------------------------------------------

    def _cell(self, cell: Cell) -> None:
        word, now = cell.word, cell.now
        if isinstance(word, Memory) and cell.region is not None:
            self._check_written(cell.name, word, cell.count, cell.values)
            start = cell.region.address
            if now and not start <= now <= start + cell.count:
                text = f"{cell.name} points to {now:#x}, outside of its {cell.count} bytes"
                self._tell(OutOfBoundsError(text))
        elif isinstance(word, into) and now:
            self._pointer_into(cell.name, word, now)
        elif isinstance(word, resource) and now and self._holds(word.begins):
            self._begin(word, now)
        elif isinstance(word, borrowed) and now:
            self._lent(word, now)

    def _size(self, word: Any, address: int) -> int | None:
        """Bytes of new memory of the library."""
        if word.size is None:
            return None
        region = self.checked.checker.region_of_library("the result", PointerArgument(address))
        try:
            return self.checked.admit(Touch(-1, computed_size(word.size), False), region)
        except NotMade:
            return None

    def _owner(self, word: Any) -> Resource | None:
        return None if word.owner is None else self.uses.thing_of(word.owner)

    def _begin(self, word: resource, address: int) -> Resource:
        size = self._size(word, address)
        return lifetimes.begin(Resource(word.kind, address, size, self._owner(word)))

    def _lent(self, word: borrowed, address: int) -> Resource:
        owner = self.uses.thing_of(word.owner)
        known = lifetimes.at(address)
        if known is not None and known.ended_by is None and known is owner.borrowed.get(address):
            return known
        made = Resource(f"memory of {owner.kind}", address, self._size(word, address))
        owner.borrowed[address] = made
        return lifetimes.begin(made)

    def _pointer_into(self, name: str, word: into, address: int) -> BoundedPointer:
        position = self.declaration.position(word.name)
        region = self.checked.regions[position]
        end = region.address + max(self.counts.get(position, 0), region.rest or 0)
        if not region.address <= address <= end:
            text = f"{name} ({address:#x}) is outside of {word.name} ({region.address:#x})"
            self._tell(OutOfBoundsError(text))
        keeps = region.pointer.keeps
        known = region.memory
        if region.rest is None and known is None:
            return BoundedPointer(address, None, keeps)
        rest = max(end - address, 0)
        memory = known._replace(length=rest) if known else KnownMemory(rest, is_owned=False)
        held = memoryview(keeps) if isinstance(keeps, bytearray) else keeps
        of = keeps.resource if isinstance(keeps, BoundedPointer) else None
        return BoundedPointer(address, memory, held, of)

    def _returned(self, result: Any) -> Any:
        word, address = self.declaration.returns, self.checked.returned
        if word is None or is_ctype(word):
            return result
        pointer = None if address == 0 else self._pointer(word, address)
        return result if is_cffi_data(result) else pointer

    def _pointer(self, word: Any, address: int) -> BoundedPointer:
        """What is known of a pointer that was returned."""
        if isinstance(word, into):
            return self._pointer_into("the result", word, address)
        if isinstance(word, borrowed):
            thing: Resource | None = self._lent(word, address)
        elif self._holds(word.begins):
            thing = self._begin(word, address)
        else:
            thing = lifetimes.at(address)
        if thing is not None:
            self.uses.things[RETURN] = thing
        memory = None
        if thing is not None and thing.size is not None:
            memory = KnownMemory(thing.size, writable=not isinstance(word, borrowed))
        return BoundedPointer(address, memory, None, thing)


def _as_number(result: Any) -> int:
    """What a result is in an expression: a pointer is its address, a string is not null."""
    if isinstance(result, SIMPLE_DATA):
        result = result.value
    if isinstance(result, (int, float)):
        return int(result)
    if result is None:
        return 0
    if is_cffi_data(result):
        return cffi_pointer(result, "the result")[0]
    return ctypes.addressof(result) if isinstance(result, ctypes.Structure) else 1
