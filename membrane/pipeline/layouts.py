"""Where bytes, NumPy's arrays and ctypes' objects say where their memory is, and whose it is.

Machine code reads that itself: asking for a buffer costs more than the call it is for.
"""

import ctypes
import functools
import sys

import numpy as np

from runtime_math.numerics.builtins.emission import available

#: In a positive `int`: how many digits of 30 bits it has, shifted; where the first two are.
DIGIT_COUNT_AT, DIGITS_AT, DIGIT_BITS = 16, 24, 30
DIGIT_COUNT_SHIFT = 0 if sys.version_info < (3, 12) else 3
#: In `bytes`: their length; where the first is.
BYTES_LENGTH_AT, BYTES_AT = 16, 32
#: In a `numpy.ndarray`, as NumPy's C interface makes public: where its memory is, how many
#: dimensions it has, their lengths and strides, the object whose memory it shows, and the flags.
ARRAY_DATA_AT, ARRAY_DIMENSIONS_AT, ARRAY_SHAPE_AT, ARRAY_STRIDES_AT = 16, 24, 32, 40
ARRAY_BASE_AT, ARRAY_FLAGS_AT = 48, 64
IS_CONTIGUOUS, OWNS_DATA, IS_WRITEABLE = 0x1, 0x4, 0x400
#: In an object of ctypes: where its memory is, whether it frees it, how many bytes it has.
DATA_AT, DATA_OWNED_AT, DATA_SIZE_AT = 16, 24, 40
#: In what `ctypes.byref` makes: where it points, and the object that is there.
REFERS_TO_AT, REFERRED_AT = 32, 48


@functools.cache
def layouts_are_known() -> bool:
    """Whether this interpreter and this NumPy lay out their objects as machine code expects.

    Examples
    --------
    >>> isinstance(layouts_are_known(), bool)
    True
    """
    return (
        available()
        and _integers_are_known()
        and _bytes_are_known()
        and _arrays_are_known()
        and _data_are_known()
    )


def _integers_are_known() -> bool:
    first, second = 0x2BCD_EF01, 0x1234_5678
    small, large = first, first | second << DIGIT_BITS
    low, both = _word(small, DIGITS_AT) & 0xFFFF_FFFF, _word(large, DIGITS_AT)
    counts = [_word(each, DIGIT_COUNT_AT) for each in (small, large)]
    return (
        counts == [1 << DIGIT_COUNT_SHIFT, 2 << DIGIT_COUNT_SHIFT]
        and low == first
        and both == first | second << 32
    )


def _bytes_are_known() -> bool:
    text = b"where are these"
    found = ctypes.string_at(id(text) + BYTES_AT, len(text))
    return found == text and _word(text, BYTES_LENGTH_AT) == len(text)


def _arrays_are_known() -> bool:
    array = np.zeros(3)
    view = array[1:]
    view.flags.writeable = False
    flags = [_word(each, ARRAY_FLAGS_AT) & 0xFFFF_FFFF for each in (array, view)]
    return (
        flags == [array.flags.num, view.flags.num]
        and [flag & (IS_CONTIGUOUS | OWNS_DATA | IS_WRITEABLE) for flag in flags]
        == [IS_CONTIGUOUS | OWNS_DATA | IS_WRITEABLE, IS_CONTIGUOUS]
        and _word(view, ARRAY_BASE_AT) == id(array)
        and _word(array, ARRAY_BASE_AT) == 0
        and _word(view, ARRAY_DATA_AT) == view.ctypes.data
        and _word(view, ARRAY_DIMENSIONS_AT) & 0xFFFF_FFFF == 1
        and _number(_word(view, ARRAY_SHAPE_AT)) == 2
        and _number(_word(view, ARRAY_STRIDES_AT)) == array.itemsize
    )


def _data_are_known() -> bool:
    owned = ctypes.create_string_buffer(8)
    borrowed = (ctypes.c_char * 8).from_address(ctypes.addressof(owned))
    reference = ctypes.byref(owned, 3)
    return (
        _word(reference, REFERS_TO_AT) == ctypes.addressof(owned) + 3
        and _word(reference, REFERRED_AT) == id(owned)
        and [_word(each, DATA_OWNED_AT) & 0xFFFF_FFFF for each in (owned, borrowed)] == [1, 0]
        and _word(owned, DATA_AT) == ctypes.addressof(owned)
        and _word(owned, DATA_SIZE_AT) == ctypes.sizeof(owned)
    )


def _word(value: object, offset: int) -> int:
    return _number(id(value) + offset)


def _number(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value
