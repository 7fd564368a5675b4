"""Pointers, arrays and structures of cffi: where they point, and what they own."""

from __future__ import annotations

import sys
from typing import Any

from membrane.pipeline.known_memory import KnownMemory

_BACKEND = "_cffi_backend"
_OWNING = ("__CDataOwn", "__CDataOwnGC", "__CDataGCP", "__CDataFromBuf")
_ADDRESSED = ("pointer", "array", "function")


def is_cffi_data(value: object) -> bool:
    """Whether an object is a value of C as cffi has it."""
    backend = sys.modules.get(_BACKEND)
    return backend is not None and isinstance(value, backend.FFI.CData)


def is_cffi_function(value: object) -> bool:
    """Whether a function is one of cffi: a value of C, or of a compiled library."""
    return is_cffi_data(value) or type(getattr(value, "__self__", None)).__module__ == _BACKEND


def ctype_name(value: Any) -> str:
    """The type of a value of cffi as C writes it."""
    import _cffi_backend

    return str(_cffi_backend.typeof(value).cname)


def cffi_pointer(value: Any, name: str) -> tuple[int, KnownMemory | None]:
    """Return the address that a value of cffi stands for, and what it knows of the memory there.

    Parameters
    ----------
    value : cffi.FFI.CData
        A pointer, an array, a function, or a structure or union, which stands for itself.
    name : str
        For messages.

    Raises
    ------
    TypeError
        The value is a number.
    """
    import _cffi_backend

    kind = _cffi_backend.typeof(value).kind
    if kind in ("struct", "union"):
        return _address(_cffi_backend.FFI().addressof(value)), KnownMemory(
            _cffi_backend.sizeof(value)
        )
    if kind not in _ADDRESSED:
        raise TypeError(
            f"{name} is a {ctype_name(value)}, which is no pointer: pass one from ffi.new"
        )
    return _address(value), _memory(value, kind)


def _address(value: Any) -> int:
    import _cffi_backend

    return int(_cffi_backend.FFI().cast("uintptr_t", value))


def _memory(value: Any, kind: str) -> KnownMemory | None:
    import _cffi_backend

    if kind == "array":
        # cffi keeps, but does not tell, what a buffer is from; the immutable kind is in the text.
        return KnownMemory(
            _cffi_backend.sizeof(value),
            writable="from 'bytes' object" not in repr(value),
            is_owned=type(value).__name__ in _OWNING,
        )
    if kind == "pointer" and type(value).__name__ == "__CDataOwn":
        item = _cffi_backend.typeof(value).item
        # An object may be longer than its type: one that ends in an array of any length.
        whole = value[0] if item.kind in ("struct", "union") else item
        return KnownMemory(_cffi_backend.sizeof(whole))
    return None
