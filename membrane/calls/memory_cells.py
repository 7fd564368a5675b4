"""Pointers that a call finds in memory: behind a pointer, in structures, in arrays of them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from membrane.calls.checked_call import CheckedCall
from membrane.calls.declared_sizes import width_of
from membrane.calls.regions import Region
from membrane.declarations.expressions import Values
from membrane.declarations.words import Memory, is_ctype, pointer_to, structure


@dataclass
class Cell:
    """A pointer in memory.

    Attributes
    ----------
    name : str
        As C writes it.
    place : int
        Address of the pointer.
    word : object
        What the declaration says of it.
    values : Values
        Where the names of its size are looked up.
    container : Region
        The memory it lies in.
    before : int
        Where it points before the call.
    region : Region or None
        What it points to, once that was admitted.
    count : int
        Bytes that the call will touch there.
    """

    name: str
    place: int
    word: Any
    values: Values
    container: Region
    before: int
    region: Region | None = None
    count: int = 0

    @property
    def now(self) -> int:
        """Where it points."""
        return ctypes.c_void_p.from_address(self.place).value or 0


class FieldValues:
    """Numbers among the fields of a structure, and after these of the call.

    Parameters
    ----------
    checked : CheckedCall
    record : ctypes.Structure
    """

    def __init__(self, checked: CheckedCall, record: ctypes.Structure) -> None:
        self._checked = checked
        self._record = record

    def number(self, name: str) -> int:
        """Value of a field, or of an argument."""
        if hasattr(self._record, name):
            return int(getattr(self._record, name) or 0)
        return self._checked.number(name)

    def pointee(self, name: str) -> int:
        """The number that an argument points to."""
        return self._checked.pointee(name)

    def field(self, name: str, field: str) -> int:
        """A field of the structure that an argument points to."""
        return self._checked.field(name, field)

    def string_length(self, name: str, limit: int | None, wide: bool) -> int:
        """Characters of a string argument before its terminator."""
        return self._checked.string_length(name, limit, wide)


def cells_of(
    checked: CheckedCall, name: str, word: Any, region: Region, count: int, values: Values
) -> Iterator[Cell]:
    """Find the pointers in the memory that a word describes.

    Parameters
    ----------
    checked : CheckedCall
    name : str
    word : object
    region : Region
        Was admitted.
    count : int
        Bytes of it.
    values : Values
    """
    if region.address == 0 or count == 0:
        return
    if isinstance(word, pointer_to):
        yield _cell(f"*{name}", region.address, word.target, values, region)
        return
    element = word.element if isinstance(word, Memory) else None
    if element is None or is_ctype(element):
        return
    width = width_of(element)
    is_array = not isinstance(word.size, structure)
    for index in range(count // width):
        address = region.address + index * width
        item = f"{name}[{index}]" if is_array else name
        if not isinstance(element, structure):
            yield _cell(item, address, element, values, region)
            continue
        record = element.ctype.from_address(address)
        inner = FieldValues(checked, record)
        for field, pointer in element.pointers.items():
            place = address + getattr(element.ctype, field).offset
            dot = "." if is_array else "->"
            yield _cell(f"{item}{dot}{field}", place, pointer, inner, region)


def _cell(name: str, place: int, word: Any, values: Values, container: Region) -> Cell:
    before = ctypes.c_void_p.from_address(place).value or 0
    return Cell(name, place, word, values, container, before)
