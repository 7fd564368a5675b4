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


def is_pointer_type(ctype: object) -> bool:
    """Whether a ctypes type is a pointer to data.

    Examples
    --------
    >>> is_pointer_type(ctypes.c_char_p), is_pointer_type(ctypes.c_long)
    (True, False)
    """
    return isinstance(ctype, type) and issubclass(ctype, POINTERS)
