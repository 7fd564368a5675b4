"""What a native call is called with: each argument as a word, each object's memory with its bounds.

Jitted code. Objects, and memory on the stack, are words. Whatever is not exactly of a known kind is
left to Python.
"""

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from membrane.calls.native.plan import (
    ARRAY,
    BY_REFERENCE,
    BYTEARRAY,
    BYTES,
    CTYPES_ARRAYS,
    CTYPES_NUMBERS,
    HANDLE,
    INTEGER,
    MOST_ARGUMENTS,
    MOST_REGIONS,
    POINTER_WRITTEN,
)
from membrane.pipeline import layouts
from membrane.stages.call_regions import REGION
from membrane.tables.memory import store_word
from membrane.tables.words import ONE, WORD_SIZE, ZERO
from runtime_math.numerics.builtins.emission import WORD, Emitter, c_function, load
from runtime_math.numerics.compilation import jitted

VIEW_BYTES = np.uint64(80)  # of a Py_buffer
VIEW_LENGTH_AT = np.uint64(16)
TYPE_AT = np.uint64(8)  # in an object
# Where `layouts_are_known` finds them to be.
_DIGIT_COUNT_AT, _DIGITS_AT = np.uint64(layouts.DIGIT_COUNT_AT), np.uint64(layouts.DIGITS_AT)
_DIGIT_BITS = np.uint64(layouts.DIGIT_BITS)
_ONE_DIGIT = np.uint64(1 << layouts.DIGIT_COUNT_SHIFT)
_TWO_DIGITS = np.uint64(2 << layouts.DIGIT_COUNT_SHIFT)
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
_REFERRED_AT, _REFERS_TO_AT = np.uint64(layouts.REFERRED_AT), np.uint64(layouts.REFERS_TO_AT)
_DATA_OWNED_AT, _LOW_HALF = np.uint64(layouts.DATA_OWNED_AT), np.uint64(2**32 - 1)
# What is known of an argument: nothing, that it is but an address, an object whose memory cannot
# move, or one whose buffer is held.
_UNSURE, _NUMBER, _FIXED, _HELD = range(4)
# On the stack: the arguments as words, the buffers that were taken, the regions.
VIEWS_AT = np.uint64(8 * MOST_ARGUMENTS)
REGIONS_AT = VIEWS_AT + VIEW_BYTES * np.uint64(MOST_ARGUMENTS)
_FRAME_BYTES = int(REGIONS_AT) + MOST_REGIONS * REGION.itemsize
_ALL_ONES = np.uint64(2**64 - 1)

_as_signed = c_function("PyLong_AsLongLong", types.int64, types.uintp)
_as_unsigned = c_function("PyLong_AsUnsignedLongLong", types.int64, types.uintp)
_error = c_function("PyErr_Occurred", types.uintp)
_clear_error = c_function("PyErr_Clear", types.void)
_get_buffer = c_function("PyObject_GetBuffer", types.int64, types.uintp, types.uintp, types.int64)
_release_buffer = c_function("PyBuffer_Release", types.void, types.uintp)


@intrinsic
def new_frame(typing_context):
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


@jitted
def _small_number(value):
    """The number of an exact `int` from 1 to 2^60 - 1; another is 0."""
    count = load(value + _DIGIT_COUNT_AT)
    digits = load(value + _DIGITS_AT)
    if count == _ONE_DIGIT:
        return digits & _LOW_HALF
    if count == _TWO_DIGITS:
        return (digits & _LOW_HALF) | (digits >> np.uint64(32)) << _DIGIT_BITS
    return ZERO


@jitted
def _take_integer(value, argument, place):
    """Store the number of an exact `int` in the range of a C integer."""
    if load(value + TYPE_AT) != _integer_type():
        return False
    small = _small_number(value)
    if small != ZERO:
        store_word(place, small)
        return np.uint64(np.int64(small) - argument.low) <= argument.span
    if argument.span == _ALL_ONES and argument.low == 0:
        number = _as_unsigned((value,))
    else:
        number = _as_signed((value,))
    if number == -1 and _error(()) != ZERO:
        _clear_error(())
        return False
    store_word(place, np.uint64(number))
    return np.uint64(number - argument.low) <= argument.span


@jitted
def _owns_its_memory(plan, value):
    """Whether an exact `numpy.ndarray`, or the one that it is a view of, owns its memory."""
    for _ in range(2):
        if load(value + _ARRAY_FLAGS_AT) & _OWNS_DATA:
            return True
        value = load(value + _ARRAY_BASE_AT)
        if value == ZERO or load(value + TYPE_AT) != plan.types[ARRAY]:
            return False
    return False


@jitted
def _referred_memory(plan, reference):
    """(where, bytes) behind what `byref` has made of a number or an array of its own memory."""
    target, data = load(reference + _REFERS_TO_AT), load(reference + _REFERRED_AT)
    if data == ZERO:
        return ZERO, ZERO
    kind = load(load(data + TYPE_AT) + TYPE_AT)
    if kind != plan.types[CTYPES_NUMBERS] and kind != plan.types[CTYPES_ARRAYS]:
        return ZERO, ZERO
    start, size = load(data + _DATA_AT), load(data + _DATA_SIZE_AT)
    is_owned = load(data + _DATA_OWNED_AT) & _LOW_HALF != ZERO
    if not is_owned or target < start or target - start >= size:
        return ZERO, ZERO
    return target, start + size - target


@jitted
def _fixed_memory(plan, argument, is_written, value, of_type):
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
    if of_type == known[BY_REFERENCE]:
        return _referred_memory(plan, value)
    if of_type != argument.element_type and load(of_type + TYPE_AT) != known[CTYPES_ARRAYS]:
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
def _take_pointer(plan, argument, is_written, value, place, view):
    """Store where an argument points, and into its view how many bytes there are."""
    of_type = load(value + TYPE_AT)
    if of_type == _integer_type():
        small = _small_number(value)
        if small != ZERO:
            store_word(place, small)
            return _NUMBER
        number = _as_unsigned((value,))
        if number == -1 and _error(()) != ZERO:
            _clear_error(())
            return _UNSURE
        store_word(place, np.uint64(number))
        return _NUMBER
    address, length = _fixed_memory(plan, argument, is_written, value, of_type)
    if length != ZERO:
        store_word(place, address)
        store_word(view + VIEW_LENGTH_AT, length)
        return _FIXED
    if not _has_a_buffer(plan, is_written, value, of_type):
        return _UNSURE
    if np.int32(_get_buffer((value, view, np.int64(is_written)))) != 0:
        _clear_error(())
        return _UNSURE
    store_word(place, load(view))
    return _HELD


@jitted
def take_all(plan, frame, arguments):
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
            view = frame + VIEWS_AT + np.uint64(position) * VIEW_BYTES
            is_written = argument.kind == POINTER_WRITTEN
            found = _take_pointer(plan, argument, is_written, value, frame + offset, view)
            if found == _UNSURE:
                return False, objects, buffers
            objects |= np.int64(found != _NUMBER) << position
            buffers |= np.int64(found == _HELD) << position
    return True, objects, buffers


@jitted
def give_back(frame, buffers):
    position = np.uint64(0)
    while buffers:
        if buffers & 1:
            _release_buffer((frame + VIEWS_AT + position * VIEW_BYTES,))
        buffers >>= 1
        position += np.uint64(1)
