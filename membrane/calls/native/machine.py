"""The builtin of all native calls: jitted code over Python's public C interface.

It follows a plan (see `membrane.calls.native.plan`). Objects, and memory on the stack, are words.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from membrane.calls.native.plan import (
    ADDRESS,
    ARRAY,
    BYTEARRAY,
    BYTES,
    CTYPES_ARRAYS,
    HANDLE,
    INTEGER,
    MOST_ARGUMENTS,
    MOST_REGIONS,
    NOTHING,
    POINTER_WRITTEN,
    SIGNED,
    plan_at,
)
from membrane.pipeline import layouts
from membrane.stages import kernel_link
from membrane.stages.call_regions import (
    INTACT,
    REGION,
    REGION_SIZE,
    admit,
    damage,
    region_at,
    state_at,
    unpin_regions,
)
from membrane.tables.words import ONE, WORD_SIZE, ZERO
from runtime_math.decision import profile_of
from runtime_math.numerics.builtins.emission import (
    OBJECT,
    WORD,
    Emitter,
    boxed,
    bytes_address,
    c_function,
    call_one,
    give,
    load,
    none,
    tuple_item,
    vectorcall,
)
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.entry_point import EntryPoint

_VIEW_BYTES = np.uint64(80)  # of a Py_buffer
_VIEW_LENGTH_AT = np.uint64(16)
_TYPE_AT = np.uint64(8)  # in an object
# Where `layouts_are_known` finds them to be.
_BYTES_LENGTH_AT, _BYTES_AT = np.uint64(layouts.BYTES_LENGTH_AT), np.uint64(layouts.BYTES_AT)
_ARRAY_DATA_AT = np.uint64(layouts.ARRAY_DATA_AT)
_ARRAY_DIMENSIONS_AT = np.uint64(layouts.ARRAY_DIMENSIONS_AT)
_ARRAY_SHAPE_AT = np.uint64(layouts.ARRAY_SHAPE_AT)
_ARRAY_STRIDES_AT = np.uint64(layouts.ARRAY_STRIDES_AT)
_ARRAY_BASE_AT = np.uint64(layouts.ARRAY_BASE_AT)
_ARRAY_FLAGS_AT = np.uint64(layouts.ARRAY_FLAGS_AT)
_IS_CONTIGUOUS, _IS_WRITEABLE = np.uint64(layouts.IS_CONTIGUOUS), np.uint64(layouts.IS_WRITEABLE)
_OWNS_DATA = np.uint64(layouts.OWNS_DATA)
_DATA_AT, _DATA_SIZE_AT = np.uint64(layouts.DATA_AT), np.uint64(layouts.DATA_SIZE_AT)
_DATA_OWNED_AT, _LOW_HALF = np.uint64(layouts.DATA_OWNED_AT), np.uint64(2**32 - 1)
# What is known of an argument: nothing, that it is but an address, an object whose memory cannot
# move, or one whose buffer is held.
_UNSURE, _NUMBER, _FIXED, _HELD = range(4)
# On the stack: the arguments as words, the buffers that were taken, the regions.
_VIEWS_AT = np.uint64(8 * MOST_ARGUMENTS)
_REGIONS_AT = _VIEWS_AT + _VIEW_BYTES * np.uint64(MOST_ARGUMENTS)
_FRAME_BYTES = int(_REGIONS_AT) + MOST_REGIONS * REGION.itemsize
_LARGEST_SIGNED = np.uint64(2**63 - 1)
_ALL_ONES = np.uint64(2**64 - 1)
CALL_COST_NS = np.uint64(10)

_as_signed = c_function("PyLong_AsLongLong", types.int64, types.uintp)
_as_unsigned = c_function("PyLong_AsUnsignedLongLong", types.int64, types.uintp)
_error = c_function("PyErr_Occurred", types.uintp)
_clear_error = c_function("PyErr_Clear", types.void)
_get_buffer = c_function("PyObject_GetBuffer", types.int64, types.uintp, types.uintp, types.int64)
_release_buffer = c_function("PyBuffer_Release", types.void, types.uintp)
_boxed_unsigned = c_function("PyLong_FromUnsignedLongLong", types.uintp, types.int64)


@intrinsic
def _stack(typing_context):
    """Memory for one call, on the stack of the builtin."""

    def emit(context, builder, signature, arguments):
        words = cgutils.alloca_once(builder, WORD, _FRAME_BYTES // 8)
        return builder.ptrtoint(words, WORD)

    return types.uintp(), emit


@intrinsic
def _integer_type(typing_context):
    def emit(context, builder, signature, arguments):
        return Emitter(builder).symbol("PyLong_Type")

    return types.uintp(), emit


@intrinsic
def _store(typing_context, address, value):
    def emit(context, builder, signature, arguments):
        address, value = arguments
        builder.store(value, builder.inttoptr(address, WORD.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.uintp, types.uintp), emit


@intrinsic
def _call_function(typing_context, function, frame):
    """Call a C function with all the words of a frame, the interpreter lock released.

    A C function takes as many as it has parameters and leaves the others alone.
    """

    def emit(context, builder, signature, arguments):
        function, frame = arguments
        emitter = Emitter(builder)
        words = [emitter.load(frame, 8 * place) for place in range(MOST_ARGUMENTS)]
        thread = emitter.call("PyEval_SaveThread", OBJECT)
        shape = ir.FunctionType(WORD, [WORD] * MOST_ARGUMENTS).as_pointer()
        result = builder.call(builder.inttoptr(function, shape), words)
        emitter.call("PyEval_RestoreThread", ir.VoidType(), thread)
        return result

    return types.uint64(types.uintp, types.uintp), emit


@jitted
def _take_integer(value, argument, place):
    """Store the number of an exact `int` in the range of a C integer."""
    if load(value + _TYPE_AT) != _integer_type():
        return False
    if argument.span == _ALL_ONES and argument.low == 0:
        number = _as_unsigned((value,))
    else:
        number = _as_signed((value,))
    if number == -1 and _error(()) != ZERO:
        _clear_error(())
        return False
    _store(place, np.uint64(number))
    return np.uint64(number - argument.low) <= argument.span


@jitted
def _owns_its_memory(plan, value):
    """Whether an exact `numpy.ndarray`, or the one that it is a view of, owns its memory."""
    for _ in range(2):
        if load(value + _ARRAY_FLAGS_AT) & _OWNS_DATA:
            return True
        value = load(value + _ARRAY_BASE_AT)
        if value == ZERO or load(value + _TYPE_AT) != plan.types[ARRAY]:
            return False
    return False


@jitted
def _fixed_memory(plan, is_written, value, of_type):
    """(where, bytes) of an object's own memory that can not move; without bytes: not known."""
    known = plan.types
    if of_type == known[BYTES] and not is_written:
        return value + _BYTES_AT, load(value + _BYTES_LENGTH_AT)
    if of_type == known[HANDLE] or (of_type == known[ARRAY] and _owns_its_memory(plan, value)):
        flags = load(value + _ARRAY_FLAGS_AT)
        is_row = load(value + _ARRAY_DIMENSIONS_AT) & _LOW_HALF == ONE
        if not is_row or not flags & _IS_CONTIGUOUS or (is_written and not flags & _IS_WRITEABLE):
            return ZERO, ZERO
        length = load(load(value + _ARRAY_SHAPE_AT))
        # The stride of a single item may be anything.
        item = load(load(value + _ARRAY_STRIDES_AT)) if length != ONE else ZERO
        return load(value + _ARRAY_DATA_AT), length * item
    if load(of_type + _TYPE_AT) != known[CTYPES_ARRAYS]:
        return ZERO, ZERO
    if load(value + _DATA_OWNED_AT) & _LOW_HALF == ZERO:  # another object's memory
        return ZERO, ZERO
    return load(value + _DATA_AT), load(value + _DATA_SIZE_AT)


@jitted
def _has_a_buffer(plan, is_written, value, of_type):
    """Whether the buffer of an object is what a pointer to it points to, and its own."""
    known = plan.types
    if of_type == known[ARRAY]:
        return _owns_its_memory(plan, value)
    return of_type == known[BYTEARRAY] or (of_type == known[BYTES] and not is_written)


@jitted
def _take_pointer(plan, is_written, value, place, view):
    """Store where an argument points, and into its view how many bytes there are."""
    of_type = load(value + _TYPE_AT)
    if of_type == _integer_type():
        number = _as_unsigned((value,))
        if number == -1 and _error(()) != ZERO:
            _clear_error(())
            return _UNSURE
        _store(place, np.uint64(number))
        return _NUMBER
    address, length = _fixed_memory(plan, is_written, value, of_type)
    if length != ZERO:
        _store(place, address)
        _store(view + _VIEW_LENGTH_AT, length)
        return _FIXED
    if not _has_a_buffer(plan, is_written, value, of_type):
        return _UNSURE
    if np.int32(_get_buffer((value, view, np.int64(is_written)))) != 0:
        _clear_error(())
        return _UNSURE
    _store(place, load(view))
    return _HELD


@jitted
def _take(plan, frame, arguments):
    """Take all arguments; returns (sure, which are objects, whose buffers are held), as bits."""
    objects, buffers = np.int64(0), np.int64(0)
    for position in range(plan.argument_count):
        argument = plan.arguments[position]
        offset = np.uint64(position) * WORD_SIZE
        value = load(arguments + offset)
        if argument.kind == INTEGER:
            if not _take_integer(value, argument, frame + offset):
                return False, objects, buffers
        else:
            view = frame + _VIEWS_AT + np.uint64(position) * _VIEW_BYTES
            is_written = argument.kind == POINTER_WRITTEN
            found = _take_pointer(plan, is_written, value, frame + offset, view)
            if found == _UNSURE:
                return False, objects, buffers
            objects |= np.int64(found != _NUMBER) << position
            buffers |= np.int64(found == _HELD) << position
    return True, objects, buffers


@jitted
def _give_back(frame, buffers):
    position = np.uint64(0)
    while buffers:
        if buffers & 1:
            _release_buffer((frame + _VIEWS_AT + position * _VIEW_BYTES,))
        buffers >>= 1
        position += np.uint64(1)


@jitted
def _measure(plan, frame, arguments, objects):
    """Fill the records of the regions; a call of no bytes, or of too many, is left to Python."""
    for index in range(plan.extent_count):
        extent = plan.extents[index]
        count = np.uint64(1)
        if extent.argument >= 0:
            count = load(frame + np.uint64(extent.argument) * WORD_SIZE)
        if count == ZERO or count > _LARGEST_SIGNED // extent.item_bytes:
            return False
        region = region_at(frame + _REGIONS_AT + np.uint64(index) * REGION_SIZE)
        region.address = load(frame + np.uint64(extent.position) * WORD_SIZE)
        region.needed = count * extent.item_bytes
        region.is_write = extent.is_write
        region.is_object = np.uint64((objects >> extent.position) & 1)
        value = load(arguments + np.uint64(extent.position) * WORD_SIZE)
        region.is_handle = np.uint64(load(value + _TYPE_AT) == plan.types[HANDLE])
        view = frame + _VIEWS_AT + np.uint64(extent.position) * _VIEW_BYTES
        region.length = load(view + _VIEW_LENGTH_AT) if region.is_object != ZERO else ZERO
    return not _overlap(plan, frame + _REGIONS_AT)


@jitted
def _overlap(plan, regions):
    """Whether two regions overlap that must not."""
    for index in range(plan.extent_count):
        if not plan.extents[index].is_exclusive:
            continue
        one = region_at(regions + np.uint64(index) * REGION_SIZE)
        for before in range(index):
            other = region_at(regions + np.uint64(before) * REGION_SIZE)
            if plan.extents[before].is_exclusive and (
                one.address < other.address + other.needed
                and other.address < one.address + one.needed
            ):
                return True
    return False


@jitted
def _boxed(plan, result):
    """The result as a Python object."""
    if plan.result_kind == NOTHING or (plan.result_kind == ADDRESS and result == ZERO):
        return none()
    if plan.result_kind == ADDRESS:
        return _boxed_unsigned((np.int64(result),))
    unused = np.int64(64) - plan.result_bits
    if plan.result_kind == SIGNED:
        return boxed((np.int64(result) << unused >> unused,))
    return _boxed_unsigned((np.int64(result << np.uint64(unused) >> np.uint64(unused)),))


@EntryPoint(types.uintp, types.uintp, types.int64, types.uintp)
def native_call(self, arguments, count, names):
    """Builtin of a guard: makes the call, or has Python make it."""
    plan = plan_at(load(bytes_address((tuple_item((self, 0)),))))
    frame, buffers = _stack(), np.int64(0)
    regions = frame + _REGIONS_AT
    if names == ZERO and count == plan.argument_count:
        sure, objects, buffers = _take(plan, frame, arguments)
        if (
            sure
            and _measure(plan, frame, arguments, objects)
            and admit(plan.pipeline, regions, plan.extent_count)
        ):
            link = state_at(plan.pipeline).link
            first = region_at(regions)
            packed = np.int64(0)
            if plan.asks_kernel:
                packed = kernel_link.decide_on_call(
                    link,
                    state_at(plan.pipeline).mode,
                    plan.family,
                    first.address,
                    first.needed,
                    first.is_write != ZERO,
                )
            result = _call_function(plan.function, frame)
            if plan.asks_kernel:
                kernel_link.observe_call(link, plan.family, profile_of(packed), CALL_COST_NS, False)
            happened = damage(regions, plan.extent_count)[1]
            waited_for = unpin_regions(regions, plan.extent_count)
            _give_back(frame, buffers)
            made = _boxed(plan, result)
            if happened == INTACT and not waited_for:
                return made
            number = boxed((np.int64(happened),))
            told = call_one((plan.on_return, number))
            give((number,))
            if told == ZERO:
                give((made,))
                return told
            give((told,))
            return made
    _give_back(frame, buffers)
    return vectorcall((plan.on_slow_path, arguments, np.uint64(count), names))
