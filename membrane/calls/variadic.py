"""Further arguments, as the format strings of `printf` and `scanf` announce them."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from membrane.calls.checked_call import CheckedCall, Touch
from membrane.calls.regions import HeldRegions
from membrane.declarations.function import Function
from membrane.declarations.sizes import Size, terminated
from membrane.declarations.words import printf, scanf
from membrane.pipeline.ctypes_kinds import DATA

_SIGNED = {
    "": ctypes.c_int,
    "hh": ctypes.c_byte,
    "h": ctypes.c_short,
    **dict.fromkeys(("l", "ll", "q", "j", "z", "t", "L"), ctypes.c_long),
}
_UNSIGNED = {
    "": ctypes.c_uint,
    "hh": ctypes.c_ubyte,
    "h": ctypes.c_ushort,
    **dict.fromkeys(("l", "ll", "q", "j", "z", "t", "L"), ctypes.c_ulong),
}
_LENGTH = r"(?P<length>hh|h|ll|l|q|j|z|t|L)?"
_PRINTF = re.compile(
    r"%(?P<flags>[-+ #0']*)(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d*))?"
    + _LENGTH
    + r"(?P<kind>[a-zA-Z%])"
)
_SCANF = re.compile(
    r"%(?P<skip>\*)?(?P<width>\d+)?(?P<allocates>m)?"
    + _LENGTH
    + r"(?P<kind>\[\^?\]?[^\]]*\]|[a-zA-Z%])"
)
_POINTER_BYTES = ctypes.sizeof(ctypes.c_void_p)


class Parameter(NamedTuple):
    """One argument that a format announces.

    Attributes
    ----------
    conversion : str
        The text that announces it.
    ctype : ctypes type or None
        Of a number; None: it is a pointer.
    size : Size
        Bytes behind a pointer.
    writing : bool
    """

    conversion: str
    ctype: Any
    size: Size = 0
    writing: bool = False


def printf_parameters(text: str) -> Iterator[Parameter]:
    """Arguments of a format string of `printf`.

    Examples
    --------
    >>> [parameter.conversion for parameter in printf_parameters("%5.*f%% %s")]
    ['*', '%5.*f', '%s']
    """
    for match in _PRINTF.finditer(text):
        kind, length, precision = match["kind"], match["length"] or "", match["precision"]
        for star in (match["width"], precision):
            if star == "*":
                yield Parameter("*", ctypes.c_int)
        conversion = match[0]
        if kind in "di":
            yield Parameter(conversion, _SIGNED[length])
        elif kind in "ouxX":
            yield Parameter(conversion, _UNSIGNED[length])
        elif kind == "c":
            yield Parameter(conversion, ctypes.c_int)
        elif kind in "eEfFgGaA":
            yield Parameter(conversion, ctypes.c_double if length != "L" else ctypes.c_longdouble)
        elif kind == "p":
            yield Parameter(conversion, ctypes.c_void_p)
        elif kind in "sS":
            wide = kind == "S" or length == "l"
            bounded = precision is not None and not wide
            size = _bounded_string(precision or "0") if bounded else terminated
            yield Parameter(conversion, None, terminated(ctypes.c_wchar) if wide else size)
        elif kind == "n":
            yield Parameter(conversion, None, ctypes.sizeof(_SIGNED[length]), True)
        elif kind not in "%m":
            raise TypeError(f"format {text!r}: {conversion!r} is no conversion")


class _AtMost(NamedTuple):
    """Size: up to a terminator, but no more than a precision; -1: that an argument gives."""

    characters: int


def _bounded_string(precision: str) -> Any:
    return _AtMost(-1 if precision == "*" else int(precision))


def scanf_parameters(text: str) -> Iterator[Parameter]:
    """Arguments of a format string of `scanf`: all of them are written.

    Raises
    ------
    TypeError
        A string has no width: nobody knows how much is written.
    """
    for match in _SCANF.finditer(text):
        kind, length, conversion = match["kind"], match["length"] or "", match[0]
        if kind == "%" or match["skip"]:
            continue
        if match["allocates"]:
            yield Parameter(conversion, None, _POINTER_BYTES, True)
        elif kind in ("s", "S", "c", "C") or kind.startswith("["):
            if match["width"] is None and kind not in "cC":
                raise TypeError(
                    f"format {text!r}: {conversion!r} writes without bound; give it a width"
                )
            width = ctypes.sizeof(ctypes.c_wchar) if length == "l" or kind in "SC" else 1
            characters = int(match["width"] or 1) + (kind not in "cC")
            yield Parameter(conversion, None, width * characters, True)
        elif kind in "eEfFgGaA":
            number: Any = {"l": ctypes.c_double, "L": ctypes.c_longdouble}.get(
                length, ctypes.c_float
            )
            yield Parameter(conversion, None, ctypes.sizeof(number), True)
        elif kind == "p":
            yield Parameter(conversion, None, _POINTER_BYTES, True)
        elif kind in "diouxXn":
            yield Parameter(conversion, None, ctypes.sizeof(_SIGNED[length]), True)
        else:
            raise TypeError(f"format {text!r}: {conversion!r} is no conversion")


def add_variadic_values(checked: CheckedCall, declaration: Function, held: HeldRegions) -> None:
    """Check and convert the arguments after the declared ones.

    Parameters
    ----------
    checked : CheckedCall
        Its values and regions are changed.
    declaration : Function
    held : HeldRegions
    """
    word = declaration.variadic
    if not isinstance(word, (printf, scanf)):
        return
    position = declaration.position(word.name)
    address = checked.regions[position].address
    text = ctypes.string_at(address).decode("latin-1")
    read = printf_parameters if isinstance(word, printf) else scanf_parameters
    first, values = len(declaration.names), checked.values
    parameters = list(read(text))
    if len(values) - first != len(parameters):
        raise TypeError(
            f"{checked.session.function}: the format {text!r} takes {len(parameters)} arguments,"
            f" got {len(values) - first}"
        )
    for place, parameter in enumerate(parameters, first):
        value = values[place]
        if parameter.ctype is not None:
            is_number = isinstance(value, DATA)
            values[place] = value if is_number else _number(checked, parameter, value)
            continue
        region = held.add(_variable(value), f"argument {place}", parameter.writing)
        checked.regions[place] = region
        size: Any = parameter.size
        if isinstance(size, _AtMost):
            limit = size.characters if size.characters >= 0 else _integer(values[place - 1])
            size = checked.string_bytes(region, False, limit if limit >= 0 else None)
            continue
        checked.admit(Touch(-1, size, parameter.writing), region)


def _variable(value: Any) -> Any:
    return ctypes.byref(value) if isinstance(value, DATA) and hasattr(value, "value") else value


def _integer(value: Any) -> int:
    return int(getattr(value, "value", value))


def _number(checked: CheckedCall, parameter: Parameter, value: Any) -> Any:
    try:
        return parameter.ctype(value)
    except TypeError:
        raise TypeError(
            f"{checked.session.function}: {parameter.conversion!r} takes"
            f" {parameter.ctype.__name__}, got {type(value).__name__}"
        ) from None
