"""How many bytes a foreign function touches at a pointer: what a guard's declaration says."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class argument:
    """Size: the value of an argument, times a number of bytes per item.

    Parameters
    ----------
    position : int
    scale : int, default 1
    clamp : bool, default False
        Whether hardened mode may call the function with a smaller value where the memory is too
        small. Only where less is still right: reading less of a file is, hashing less is not.
    """

    position: int
    scale: int = 1
    clamp: bool = False


@dataclass(frozen=True)
class pointee:
    """Size: the integer that an argument points to, as C functions take and return lengths.

    Parameters
    ----------
    position : int
    ctype : ctypes type, default `ctypes.c_ulong`
    clamp : bool, default False
        As of `argument`: the integer itself is changed.
    """

    position: int
    ctype: Any = ctypes.c_ulong
    clamp: bool = False


class _Terminated:
    def __repr__(self) -> str:
        return "terminated"


#: Size: up to and including the terminator of a string, a wide one where the argument is wide.
terminated = _Terminated()

Size: TypeAlias = int | argument | pointee | _Terminated | Callable[..., int]
