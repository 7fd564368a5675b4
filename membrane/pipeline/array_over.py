"""Arrays over memory that belongs to a capsule, made by NumPy's C interface."""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

# Places in the table of NumPy's C interface.
_DESCRIPTOR_OF_TYPE, _NEW_ARRAY, _SET_BASE = 45, 94, 282
_UNSIGNED_BYTE = 2
#: Flags of an array of bytes in a row that may be written.
ROW_OF_BYTES = 0x1 | 0x2 | 0x100 | 0x400

pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
pointer_of.argtypes, pointer_of.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
#: The capsule that has NumPy's C interface.
capsule_table: Any = import_module("numpy._core._multiarray_umath")._ARRAY_API
_table = (ctypes.c_void_p * (_SET_BASE + 1)).from_address(pointer_of(capsule_table, None))
#: Addresses of the functions that make an array, and give it what it belongs to.
NEW_ARRAY, SET_BASE = int(_table[_NEW_ARRAY] or 0), int(_table[_SET_BASE] or 0)
BYTE_DESCRIPTOR: Any = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_int)(
    int(_table[_DESCRIPTOR_OF_TYPE] or 0)
)(_UNSIGNED_BYTE)
_object, _size, _address = ctypes.py_object, ctypes.c_ssize_t, ctypes.c_void_p
_new_array = ctypes.PYFUNCTYPE(
    _object, _object, _object, ctypes.c_int, ctypes.POINTER(_size), _address, _address,
    ctypes.c_int, _address,
)(NEW_ARRAY)  # fmt: skip
_set_base = ctypes.PYFUNCTYPE(ctypes.c_int, _object, _object)(SET_BASE)
_take = ctypes.pythonapi.Py_IncRef
_take.argtypes, _take.restype = [_object], None

Array = TypeVar("Array", bound="np.ndarray[Any, Any]")


def array_over(kind: type[Array], capsule: object, address: int, size: int) -> Array:
    """Make an array of bytes.

    Parameters
    ----------
    kind : type
        Derived from `numpy.ndarray`.
    capsule : object
        Lives as long as the array, as its ``base``.
    address : int
    size : int
        Bytes.
    """
    shape = ctypes.byref(_size(size))
    _take(BYTE_DESCRIPTOR)  # the array is given one reference to each
    array: Array = _new_array(kind, BYTE_DESCRIPTOR, 1, shape, None, address, ROW_OF_BYTES, None)
    _take(capsule)
    _set_base(array, capsule)
    return array
