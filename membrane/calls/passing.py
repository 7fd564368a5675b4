"""What a guarded function is called with: the very addresses that were validated.

ctypes passes an integer without declared type as a C int of 32 bits, and a variable in place of
its target; so a guard makes the pointers itself.
"""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from membrane.calls.regions import Region
from membrane.errors import UseAfterFreeError
from membrane.pipeline.cffi_pointer import is_cffi_data, is_cffi_function
from membrane.pipeline.ctypes_kinds import FUNCTION, SIMPLE_DATA, is_pointer_type
from membrane.pipeline.handle import Handle
from membrane.pipeline.pointer_argument import pointer_argument

_MEMORY = (Handle, np.ndarray, bytearray, memoryview)
_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)


def declared_type(function: Callable[..., Any], position: int) -> Any:
    """The type that ctypes was told of an argument, or None."""
    types = getattr(function, "argtypes", None) if isinstance(function, FUNCTION) else None
    return types[position] if types is not None and position < len(types) else None


def referenced(value: Any, ctype: Any) -> Any:
    """What ctypes passes by reference where a pointer to its type is declared."""
    is_pointer_to = isinstance(ctype, type) and issubclass(ctype, ctypes._Pointer)
    if is_pointer_to and isinstance(value, SIMPLE_DATA) and isinstance(value, ctype._type_):
        return ctypes.byref(value)
    return value


def passed(
    function: Callable[..., Any], name: str, values: list[Any], regions: Mapping[int, Region]
) -> list[Any]:
    """Return the arguments of a call whose regions were validated.

    Parameters
    ----------
    function : callable
        Of ctypes or cffi; a Python function gets what was passed.
    name : str
        For messages.
    values : list
        As they were passed.
    regions : dict of {int: Region}
        By position.

    Raises
    ------
    UseAfterFreeError
        Any argument is the handle of a block that was freed.
    TypeError
        What was validated can not be passed as the function is declared.
    """
    for position, value in enumerate(values):
        if isinstance(value, Handle) and value.freed:
            raise UseAfterFreeError(f"{name}: argument {position} is a handle that was freed")
    if isinstance(function, FUNCTION):
        return [
            _for_ctypes(name, position, value, regions.get(position), function)
            for position, value in enumerate(values)
        ]
    if is_cffi_function(function):
        return [
            _for_cffi(position, value, regions.get(position), function)
            for position, value in enumerate(values)
        ]
    return values


def _for_ctypes(
    name: str, position: int, value: Any, region: Region | None, function: Callable[..., Any]
) -> Any:
    ctype = declared_type(function, position)
    if region is not None:
        address = region.address
    elif isinstance(value, _MEMORY) and _takes_pointers(ctype):
        address = pointer_argument(value, f"argument {position}").address
    else:
        if ctype is None and isinstance(value, int) and not -(2**31) <= value < 2**32:
            raise TypeError(
                f"{name}: argument {position} is {value}, which without a declared type is passed"
                f" as a C int of 32 bits: set the function's argtypes"
            )
        return value
    if ctype is None:
        return ctypes.c_void_p(address)
    if inspect.ismethod(ctype.from_param):
        return _for_converter(name, position, value, address, ctype)
    if is_pointer_type(ctype):
        return ctypes.cast(ctypes.c_void_p(address), ctype)
    if isinstance(ctype, type) and issubclass(ctype, SIMPLE_DATA):
        if ctypes.sizeof(ctype) < _POINTER_BYTES:
            raise TypeError(
                f"{name}: argument {position} is a pointer, but argtypes declare it"
                f" {ctype.__name__}, which has no room for an address"
            )
        return address
    return _for_converter(name, position, value, address, ctype)


def _for_converter(name: str, position: int, value: Any, address: int, ctype: Any) -> Any:
    """What a converter of the user's own, or of NumPy, expects: it makes the pointer itself."""
    converted = pointer_argument(ctype.from_param(value), f"argument {position}")
    converted.release()
    if converted.address != address:
        raise TypeError(
            f"{name}: argument {position} is validated at {address:#x}, but"
            f" {getattr(ctype, '__name__', ctype)}.from_param makes {converted.address:#x} of it"
        )
    return value


def _takes_pointers(ctype: Any) -> bool:
    return ctype is None or is_pointer_type(ctype)


def _for_cffi(
    position: int, value: Any, region: Region | None, function: Callable[..., Any]
) -> Any:
    import _cffi_backend

    if is_cffi_data(value) or isinstance(value, bytes) or (region is None and value is None):
        return value
    if region is None and not isinstance(value, _MEMORY):
        return value
    if region is None:
        address = pointer_argument(value, f"argument {position}").address
    else:
        address = region.address
    pointer: Any = "void *"
    if is_cffi_data(function):
        types = _cffi_backend.typeof(function).args
        pointer = types[position] if position < len(types) else pointer
    return _cffi_backend.FFI().cast(pointer, address)
