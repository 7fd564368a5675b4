"""How declarations are written: a word's representation is what one types to get it."""

from __future__ import annotations

import ctypes
from dataclasses import fields
from typing import Any, ClassVar


def spelled(value: Any) -> str:
    """Return a value as a declaration writes it.

    Parameters
    ----------
    value : object
        A word, a type of ctypes, a text, a number or a tuple of such.

    Examples
    --------
    >>> import ctypes
    >>> spelled(ctypes.c_int), spelled("*length"), spelled(("a", "b"))
    ('c_int', '"*length"', '("a", "b")')
    """
    if isinstance(value, type):
        if issubclass(value, ctypes.Array):
            return f"{spelled(value._type_)} * {value._length_}"
        return value.__name__
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        inner = ", ".join(spelled(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return getattr(value, "reference", None) or repr(value)


class Spelled:
    """Base of the words: dataclasses whose first fields are written without their names."""

    positional: ClassVar[int] = 1

    def __repr__(self) -> str:
        parts = []
        for place, field in enumerate(fields(self)):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if place < self.positional:
                parts.append(spelled(value))
            elif value != field.default:
                parts.append(f"{field.name}={spelled(value)}")
        return f"{type(self).__name__}({', '.join(parts)})"
