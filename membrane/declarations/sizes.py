"""How many bytes a C function touches at a pointer.

Declarations say it with names of arguments: `bytecount`, `count`, `terminated`,
`terminated_within`. The short form of a guard, dicts by position, says it with `argument` and
`pointee`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from membrane.declarations.expressions import read_expression
from membrane.declarations.spelling import Spelled, spelled


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
    scale : int, default 1
        Bytes per item.
    """

    position: int
    ctype: Any = ctypes.c_ulong
    clamp: bool = False
    scale: int = 1


@dataclass(frozen=True)
class _Terminated:
    """Size: up to and including a terminator."""

    character: Any = ctypes.c_char

    def __call__(self, character: Any) -> _Terminated:
        """Return the size of a string of such characters: ``terminated(c_wchar)``."""
        if character not in (ctypes.c_char, ctypes.c_wchar):
            raise ValueError(f"character must be c_char or c_wchar, got {spelled(character)}")
        return _Terminated(character)

    @property
    def wide(self) -> bool:
        """Whether the characters are `wchar_t`."""
        return self.character is ctypes.c_wchar

    def __repr__(self) -> str:
        return "terminated(c_wchar)" if self.wide else "terminated"


#: Size: up to and including the terminator of a string, a wide one where the argument is wide.
terminated = _Terminated()


@dataclass(frozen=True, repr=False)
class bytecount(Spelled):
    """Size: so many bytes.

    Parameters
    ----------
    expression : str or int
        See `membrane.declarations.expressions.read_expression`.
    negative : terminated, optional
        What a negative number means; without it, it is an error.

    Examples
    --------
    >>> bytecount("size * nmemb"), bytecount("nByte", negative=terminated)
    (bytecount("size * nmemb"), bytecount("nByte", negative=terminated))
    """

    expression: str | int
    negative: _Terminated | None = None

    def __post_init__(self) -> None:
        read_expression(str(self.expression))


@dataclass(frozen=True, repr=False)
class count(Spelled):
    """Size: so many elements.

    Parameters
    ----------
    expression : str or int
    element : ctypes type, structure, or the declaration of a pointer
        Elements that have pointers in them are checked one by one.

    Examples
    --------
    >>> count("nmatch", ctypes.c_long)
    count("nmatch", c_long)
    """

    positional: ClassVar[int] = 2
    expression: str | int
    element: Any

    def __post_init__(self) -> None:
        read_expression(str(self.expression))


@dataclass(frozen=True, repr=False)
class terminated_within(Spelled):
    """Size: up to a terminator, but no more than so many bytes, as `strnlen` and ``%.*s`` read.

    Parameters
    ----------
    expression : str or int
    """

    expression: str | int

    def __post_init__(self) -> None:
        read_expression(str(self.expression))


Size: TypeAlias = int | argument | pointee | _Terminated | terminated_within | Callable[..., int]
