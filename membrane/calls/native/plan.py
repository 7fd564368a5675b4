"""The plan of a guarded call: what one piece of machine code has to know of any guard."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import numpy as np

from membrane.pipeline.ctypes_kinds import FUNCTION, is_pointer_type
from runtime_math.numerics.record_at import record_at

#: Most arguments and most regions of a call that machine code makes.
MOST_ARGUMENTS = 8
MOST_REGIONS = 8
# Kinds of arguments.
INTEGER, POINTER_READ, POINTER_WRITTEN = range(3)
# Kinds of results.
NOTHING, SIGNED, UNSIGNED, ADDRESS = range(4)
# Exact types of objects whose buffer is their memory; the last is the type of ctypes' array types.
BYTES, BYTEARRAY, ARRAY, HANDLE, CTYPES_ARRAYS = range(5)

ARGUMENT = np.dtype([("kind", np.int64), ("low", np.int64), ("span", np.uint64)], align=True)
EXTENT = np.dtype(
    [
        ("position", np.int64),
        ("argument", np.int64),  # whose value counts the items, or -1: one item
        ("item_bytes", np.uint64),
        ("is_write", np.uint64),
        ("is_exclusive", np.bool_),  # must not overlap with others that are
    ],
    align=True,
)
PLAN = np.dtype(
    [
        ("pipeline", np.uint64),  # address of its state
        ("function", np.uint64),  # address of the C function
        ("on_slow_path", np.uint64),  # Python objects
        ("on_return", np.uint64),
        ("asks_kernel", np.bool_),
        ("family", np.int64),
        ("types", np.uint64, (5,)),
        ("argument_count", np.int64),
        ("arguments", ARGUMENT, (MOST_ARGUMENTS,)),
        ("extent_count", np.int64),
        ("extents", EXTENT, (MOST_REGIONS,)),
        ("result_kind", np.int64),
        ("result_bits", np.int64),
    ],
    align=True,
)
plan_at = record_at(PLAN)

_INTEGERS = (
    ctypes.c_byte,
    ctypes.c_ubyte,
    ctypes.c_short,
    ctypes.c_ushort,
    ctypes.c_int,
    ctypes.c_uint,
    ctypes.c_long,
    ctypes.c_ulong,
    ctypes.c_longlong,
    ctypes.c_ulonglong,
)
_CDECL_ONLY = 1  # ctypes' flags of a function that neither keeps errno nor the interpreter lock


class Extent(NamedTuple):
    """Bytes that a call touches at an argument.

    Attributes
    ----------
    position : int
        Of the pointer.
    argument : int or None
        The argument that counts the items; None: there is one.
    item_bytes : int
    is_write : bool
    is_exclusive : bool
        Whether it must not overlap with others that are.
    """

    position: int
    argument: int | None
    item_bytes: int
    is_write: bool
    is_exclusive: bool = False


def plan_of(function: object, extents: list[Extent]) -> np.ndarray | None:
    """Plan of the calls of a ctypes function, or None where machine code can not make them.

    It can where ctypes would do nothing but convert: a function of a `ctypes.CDLL` with
    ``argtypes`` of integers and pointers, without ``errcheck`` and ``use_errno``.

    Parameters
    ----------
    function : object
    extents : list of Extent

    Returns
    -------
    numpy.ndarray of dtype `PLAN`, shape (1,), or None
        All that concerns the function; the rest is zero.
    """
    types = getattr(function, "argtypes", None)
    if not _is_plain(function) or types is None:
        return None
    if len(types) > MOST_ARGUMENTS or not 0 < len(extents) <= MOST_REGIONS:
        return None
    storage = np.zeros(1, PLAN)
    plan = storage[0]
    plan["function"] = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    plan["argument_count"], plan["extent_count"] = len(types), len(extents)
    written = {extent.position for extent in extents if extent.is_write}
    pointers = {extent.position for extent in extents}
    if any(position >= len(types) for position in pointers):
        return None
    complete = _fill_result(plan, function.restype)  # type: ignore[attr-defined]
    for position, ctype in enumerate(types):
        argument = plan["arguments"][position]
        if position in pointers:
            complete = complete and is_pointer_type(ctype)
            argument["kind"] = POINTER_WRITTEN if position in written else POINTER_READ
        else:
            complete = complete and _fill_integer(argument, ctype)
    for row, extent in zip(plan["extents"], extents, strict=False):
        counted = -1 if extent.argument is None else extent.argument
        complete = complete and (counted < 0 or plan["arguments"][counted]["kind"] == INTEGER)
        row["position"], row["argument"] = extent.position, counted
        row["item_bytes"], row["is_write"] = extent.item_bytes, extent.is_write
        row["is_exclusive"] = extent.is_exclusive
    return storage if complete else None


def _is_plain(function: object) -> bool:
    return (
        isinstance(function, FUNCTION)
        and type(function).__name__ == "_FuncPtr"  # made by a library: no prototype of its own
        and getattr(function, "_flags_", None) == _CDECL_ONLY
        and getattr(function, "errcheck", None) is None
    )


def _fill_integer(argument: np.void, ctype: object) -> bool:
    """Fill in the range of an integer argument; False for another type."""
    if is_pointer_type(ctype):  # one that the guard knows nothing of: an address, no object
        ctype = ctypes.c_ulong
    if ctype not in _INTEGERS:
        return False
    bits = 8 * ctypes.sizeof(ctype)
    signed = ctype(-1).value < 0
    argument["kind"] = INTEGER
    argument["low"] = -(1 << bits - 1) if signed else 0
    argument["span"] = (1 << bits) - 1
    return True


def _fill_result(plan: np.void, ctype: object) -> bool:
    if ctype is None:
        plan["result_kind"] = NOTHING
    elif ctype is ctypes.c_void_p:
        plan["result_kind"] = ADDRESS
    elif ctype in _INTEGERS:
        plan["result_kind"] = SIGNED if ctype(-1).value < 0 else UNSIGNED
        plan["result_bits"] = 8 * ctypes.sizeof(ctype)
    else:
        return False
    return True
