"""Where NumPy's arrays and ctypes' objects say whether their memory is their own."""

import ctypes

import numpy as np

#: In a `numpy.ndarray`: the object whose memory it shows, and the flags, which NumPy's C interface
#: makes public.
ARRAY_BASE_AT, ARRAY_FLAGS_AT, OWNS_DATA = 48, 64, 4
#: In an object of ctypes: whether it frees its memory.
DATA_OWNED_AT = 24


def layouts_are_known() -> bool:
    """Whether this interpreter and this NumPy lay out their objects as machine code expects.

    Examples
    --------
    >>> isinstance(layouts_are_known(), bool)
    True
    """
    array = np.zeros(3)
    view, owned = array[1:], ctypes.create_string_buffer(8)
    borrowed = (ctypes.c_char * 8).from_address(ctypes.addressof(owned))
    flags = [_word(each, ARRAY_FLAGS_AT) & 0xFFFF_FFFF for each in (array, view)]
    return (
        flags == [array.flags.num, view.flags.num]
        and flags[0] & OWNS_DATA == OWNS_DATA
        and flags[1] & OWNS_DATA == 0
        and _word(view, ARRAY_BASE_AT) == id(array)
        and _word(array, ARRAY_BASE_AT) == 0
        and [_word(each, DATA_OWNED_AT) & 0xFFFF_FFFF for each in (owned, borrowed)] == [1, 0]
    )


def _word(value: object, offset: int) -> int:
    return ctypes.c_uint64.from_address(id(value) + offset).value
