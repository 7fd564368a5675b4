"""The kinds of ctypes' objects, for `isinstance` and `issubclass`; some have no public name."""

import ctypes
from typing import Any

#: Everything that holds C data.
DATA: Any = ctypes.c_int.__mro__[2]
#: Numbers, characters and the pointers among them that have no type of target.
SIMPLE_DATA: Any = ctypes.c_int.__mro__[1]
FUNCTION: Any = type(ctypes.memmove).__mro__[1]
#: What `ctypes.byref` and `from_param` make.
BY_REFERENCE: Any = type(ctypes.byref(ctypes.c_int()))
SIMPLE_POINTERS: Any = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_wchar_p)
POINTERS: Any = (ctypes._Pointer, *SIMPLE_POINTERS)
#: The type of the types of arrays.
ARRAY_TYPE: Any = type(ctypes.Array)
#: The type of the types of numbers.
NUMBER_TYPE: Any = type(ctypes.c_int)


def is_pointer_type(ctype: object) -> bool:
    """Whether a ctypes type is a pointer to data.

    Examples
    --------
    >>> is_pointer_type(ctypes.c_char_p), is_pointer_type(ctypes.c_long)
    (True, False)
    """
    return isinstance(ctype, type) and issubclass(ctype, POINTERS)


def is_number_type(ctype: object) -> bool:
    """Whether a ctypes type is a number or a character.

    Examples
    --------
    >>> is_number_type(ctypes.c_long), is_number_type(ctypes.c_char_p)
    (True, False)
    """
    return isinstance(ctype, type) and issubclass(ctype, SIMPLE_DATA) and not is_pointer_type(ctype)


def is_wide(ctype: object) -> bool:
    """Whether a ctypes type points to wide characters.

    Examples
    --------
    >>> is_wide(ctypes.c_wchar_p), is_wide(ctypes.c_void_p)
    (True, False)
    """
    return ctype is ctypes.c_wchar_p or getattr(ctype, "_type_", None) is ctypes.c_wchar
