"""Addresses of Python's own buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Buffer

    Buffered: TypeAlias = Buffer | np.ndarray[Any, np.dtype[Any]]
    """An object with a contiguous buffer."""
    Address: TypeAlias = int | np.integer[Any]


def buffer_range(target: Buffered) -> tuple[int, int]:
    """Return (address, length in bytes) of an object with a contiguous buffer.

    Examples
    --------
    >>> data = bytearray(10)
    >>> buffer_range(memoryview(data)[4:])[0] - buffer_range(data)[0]
    4
    """
    try:
        view = memoryview(cast("Buffer", target))
    except TypeError:
        raise TypeError(
            f"expected an address or an object with a buffer, got {type(target).__name__}"
        ) from None
    with view:
        if not view.contiguous:
            raise ValueError("the buffer must be contiguous")
        if view.nbytes == 0:
            return np.asarray(target).ctypes.data, 0
        return np.frombuffer(view, np.uint8).ctypes.data, view.nbytes


def is_writable(target: Buffered) -> bool:
    """Whether the bytes of a buffer may be written through it."""
    with memoryview(cast("Buffer", target)) as view:
        return not view.readonly
