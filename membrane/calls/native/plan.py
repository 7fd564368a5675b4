"""The plan of a guarded call: what one piece of machine code has to know of any guard."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from membrane.pipeline.ctypes_kinds import FUNCTION, is_pointer_type
from runtime_math.numerics.record_at import record_at

#: Most arguments and most regions of a call that machine code makes.
MOST_ARGUMENTS = 8
MOST_REGIONS = 8
# Kinds of arguments.
INTEGER, POINTER_READ, POINTER_WRITTEN = range(3)
# Kinds of results; the last is a pointer into an argument.
NOTHING, SIGNED, UNSIGNED, ADDRESS, INTO = range(5)
# Exact types of objects whose memory is known; of ctypes' arrays and numbers the type of the type.
BYTES, BYTEARRAY, ARRAY, HANDLE, CTYPES_ARRAYS, BY_REFERENCE, CTYPES_NUMBERS = range(7)
KNOWN_TYPE_COUNT = 7
# What tells how many items an extent has: there is one; the value of an argument; the number that
# an argument points to; a terminator.
CONSTANT, COUNTED, POINTED, TERMINATED = range(4)
# What tells how many items were written: nothing, the result, the number behind an argument.
NOT_SAID, RETURNED, SAID_BEHIND = range(3)
#: Beside what may have happened to a block: the function says that it wrote more than it could.
OVERSTATED = 3

ARGUMENT = np.dtype(
    [
        ("kind", np.int64),
        ("low", np.int64),
        ("span", np.uint64),
        ("element_type", np.uint64),  # a number of this type is passed by reference
    ],
    align=True,
)
EXTENT = np.dtype(
    [
        ("position", np.int64),
        ("measure", np.int64),
        ("argument", np.int64),  # whose value, or whose pointee, counts the items
        ("number_bits", np.int64),  # of the pointee
        ("is_signed", np.bool_),
        ("item_bytes", np.uint64),
        ("is_write", np.uint64),
        ("is_exclusive", np.bool_),  # must not overlap with others that are
        ("written", np.int64),
        ("written_argument", np.int64),
        ("written_bits", np.int64),
        ("written_unit", np.uint64),  # bytes of what is counted there
    ],
    align=True,
)
PLAN = np.dtype(
    [
        ("pipeline", np.uint64),  # address of its state
        ("function", np.uint64),  # address of the C function
        ("on_slow_path", np.uint64),  # Python objects
        ("on_return", np.uint64),
        ("on_into", np.uint64),
        ("asks_kernel", np.bool_),
        ("family", np.int64),
        ("types", np.uint64, (KNOWN_TYPE_COUNT,)),
        ("argument_count", np.int64),
        ("arguments", ARGUMENT, (MOST_ARGUMENTS,)),
        ("extent_count", np.int64),
        ("extents", EXTENT, (MOST_REGIONS,)),
        ("result_kind", np.int64),
        ("result_bits", np.int64),
        ("result_extent", np.int64),  # number of the extent that the result points into
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
    item_bytes : int
    is_write : bool
    measure : int
        `CONSTANT`, `COUNTED`, `POINTED` or `TERMINATED`.
    argument : int
        The argument that counts the items, by its value or by the number that it points to.
    number : ctypes type or None
        Of the number that the argument points to.
    is_exclusive : bool
        Whether it must not overlap with others that are.
    written : int
        `NOT_SAID`, `RETURNED` or `SAID_BEHIND`.
    written_argument : int
    written_number : ctypes type or None
        The argument that points to the number of items that were written, and its type.
    written_unit : int
        Bytes of one of them.
    """

    position: int
    item_bytes: int
    is_write: bool
    measure: int = CONSTANT
    argument: int = 0
    number: Any = None
    is_exclusive: bool = False
    written: int = NOT_SAID
    written_argument: int = 0
    written_number: Any = None
    written_unit: int = 1


class Shape(NamedTuple):
    """All that machine code has to know of the calls of a function.

    Attributes
    ----------
    extents : list of Extent
    elements : dict of {int: ctypes type}
        Positions where a number of the type is passed by reference.
    into : int or None
        Position of the argument that the result points into.
    """

    extents: list[Extent]
    elements: dict[int, Any]
    into: int | None = None


def plan_of(function: object, shape: Shape) -> np.ndarray | None:
    """Plan of the calls of a ctypes function, or None where machine code can not make them.

    It can where ctypes would do nothing but convert: a function of a `ctypes.CDLL` with
    ``argtypes`` of integers and pointers, without ``errcheck`` and ``use_errno``.

    Parameters
    ----------
    function : object
    shape : Shape

    Returns
    -------
    numpy.ndarray of dtype `PLAN`, shape (1,), or None
        All that concerns the function; the rest is zero.
    """
    extents, elements, into = shape
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
    for position, ctype in elements.items():
        plan["arguments"][position]["element_type"] = id(ctype)
    for row, extent in zip(plan["extents"], extents, strict=False):
        complete = complete and _fill_extent(row, extent, plan["arguments"])
    if into is not None:
        plan["result_kind"] = INTO
        plan["result_extent"] = [extent.position for extent in extents].index(into)
    return storage if complete else None


def _fill_extent(row: np.void, extent: Extent, arguments: np.void) -> bool:
    row["position"], row["measure"] = extent.position, extent.measure
    row["item_bytes"], row["is_write"] = extent.item_bytes, extent.is_write
    row["is_exclusive"] = extent.is_exclusive
    row["written"], row["written_unit"] = extent.written, extent.written_unit
    row["written_argument"] = extent.written_argument
    if extent.measure == COUNTED:
        row["argument"] = extent.argument
        return bool(arguments[extent.argument]["kind"] == INTEGER)
    if extent.measure == POINTED:
        row["argument"] = extent.argument
        row["number_bits"], row["is_signed"] = _bits_of(extent.number)
        if arguments[extent.argument]["kind"] == INTEGER or not row["number_bits"]:
            return False
    if extent.written == SAID_BEHIND:
        row["written_bits"], row["is_signed"] = _bits_of(extent.written_number)
        return bool(row["written_bits"])
    return True


def _bits_of(ctype: Any) -> tuple[int, bool]:
    """(bits of an integer type that machine code reads behind a pointer or 0, whether signed)."""
    if ctype not in _INTEGERS or ctypes.sizeof(ctype) < 4:
        return 0, False
    return 8 * ctypes.sizeof(ctype), ctype(-1).value < 0


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
