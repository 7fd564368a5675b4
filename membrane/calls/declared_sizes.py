"""The sizes of a declaration as calls compute them."""

from __future__ import annotations

import ctypes
import operator
from typing import Any

from membrane.calls.checked_call import Computed, Naming, Touch
from membrane.declarations.expressions import Name, Number, Operation, Pointee, read_expression
from membrane.declarations.sizes import Size, argument, bytecount, count, pointee
from membrane.declarations.words import Memory, field_type, is_ctype, pointer_to, structure

POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)


def width_of(element: Any) -> int:
    """Bytes of one element: of a ctypes type, of a structure or of a pointer."""
    return ctypes.sizeof(field_type(element))


def unit_of(size: Any) -> int:
    """Bytes of what a size counts."""
    return width_of(size.element) if isinstance(size, count) else 1


def computed_size(size: Any) -> Size | Computed:
    """The size of a word, with all names in it unresolved."""
    if isinstance(size, (bytecount, count)):
        negative = size.negative if isinstance(size, bytecount) else None
        return Computed(read_expression(str(size.expression)), unit_of(size), negative)
    if is_ctype(size) or isinstance(size, structure):
        return width_of(size)
    found: Size = size
    return found


def touch_of(word: Memory | pointer_to, position: int, naming: Naming) -> Touch:
    """What a word says about the bytes at its argument."""
    if isinstance(word, pointer_to):
        return Touch(position, POINTER_BYTES, True, word.nullable)
    size = computed_size(word.size)
    if isinstance(size, Computed):
        size = _simplest(size, word.clamp, naming)
    return Touch(position, size, word.writes, word.nullable)


def _simplest(size: Computed, clamp: bool, naming: Naming) -> Size | Computed:
    """The size as machine code knows it, where it does."""
    node, width = size.expression.node, size.scale
    if isinstance(node, Operation) and node.apply is operator.mul:
        factor = node.right
        if isinstance(factor, Number):
            node, width = node.left, width * factor.value
    if isinstance(node, Number):
        return node.value * width
    if size.negative is None and isinstance(node, Name):
        return argument(naming.names.index(node.name), width, clamp)
    if size.negative is None and isinstance(node, Pointee):
        return pointee(naming.names.index(node.name), naming.types[node.name], clamp, width)
    return size
