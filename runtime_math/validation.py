"""Validation of what comes from Python: exact types, closed ranges, errors that name the argument.

A validator is a function ``validator(name, value)`` that returns the value in the form that
jitted code takes, or raises `TypeError` or `ValueError` with the argument's name, its value and
what is allowed. Validation comes first, so a refused call changes nothing.
"""

import math
import operator
from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Validator: TypeAlias = Callable[[str, Any], Any]


def flag(name: str, value: Any) -> bool:
    """Validate a truth value: `bool` or `numpy.bool_`, nothing that merely looks like one."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name} must be a bool, got {value!r} ({type(value).__name__})")


def _exact_integer(name: str, value: Any, allowed: str) -> int:
    if isinstance(value, (bool, np.bool_)) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{name} must be {allowed}, got {value!r} ({type(value).__name__})")
    return operator.index(value)


def integer(low: int, high: int, convert: Callable[[int], Any] = int) -> Validator:
    """Make a validator for integers of a closed range.

    Parameters
    ----------
    low, high : int
        Smallest and largest value allowed.
    convert : callable, optional
        Applied to the valid number; `numpy.uint64` for quantities that use all 64 bits.

    Returns
    -------
    callable
        ``validator(name, value)``; raises `TypeError` for a non-integer (bools and floats
        included) and `ValueError` outside the range.

    Examples
    --------
    >>> integer(0, 9)("digit", 7)
    7
    >>> integer(0, 9)("digit", 12)
    Traceback (most recent call last):
        ...
    ValueError: digit must be an integer from 0 to 9, got 12
    """
    allowed = f"an integer from {low} to {high}"

    def validate(name: str, value: Any) -> Any:
        number = value if value.__class__ is int else _exact_integer(name, value, allowed)
        if not low <= number <= high:
            raise ValueError(f"{name} must be {allowed}, got {number}")
        return convert(number)

    return validate


uint8 = integer(0, 2**8 - 1)
uint16 = integer(0, 2**16 - 1)
uint32 = integer(0, 2**32 - 1)
uint64 = integer(0, 2**64 - 1, np.uint64)


def real(name: str, value: Any) -> float:
    """Validate a real number (NaN and infinities included: the pages define what they do)."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating)
    ):
        raise TypeError(f"{name} must be a real number, got {value!r} ({type(value).__name__})")
    return float(value)


def finite(name: str, value: Any) -> float:
    """Validate a finite real number."""
    number = real(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {number}")
    return number


def member(enumeration: type[IntEnum]) -> Validator:
    """Make a validator for members of an `enum.IntEnum`, or their codes; gives the code."""

    exact = frozenset(map(int, enumeration))

    def validate(name: str, value: Any) -> int:
        if value.__class__ is int and value in exact:
            return value
        if value.__class__ is enumeration:
            return int(value)
        allowed = f"a member of {enumeration.__name__} or its code"
        code = _exact_integer(name, value, allowed)
        try:
            return int(enumeration(code))
        except ValueError:
            codes = ", ".join(f"{item.value} {item.name}" for item in enumeration)
            raise ValueError(f"{name} must be {allowed} ({codes}), got {value!r}") from None

    return validate


def text(name: str, value: Any) -> str:
    """Validate a string that fits in one field of a CSV row."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, got {value!r} ({type(value).__name__})")
    if not value.isascii() or not value.isprintable() or set(value) & set(',"'):
        raise ValueError(f"{name} must be printable ASCII without commas and quotes, got {value!r}")
    return value


def vector(
    length: int | None,
    dtype: npt.DTypeLike = np.float64,
    low: float | None = None,
    high: float | None = None,
) -> Validator:
    """Make a validator for one-dimensional arrays of a fixed length (None: any length).

    Integer dtypes refuse floats and bools; `low` and `high` bound every entry. The result is a
    contiguous array of `dtype` that shares nothing with the argument.
    """
    dtype = np.dtype(dtype)

    def validate(name: str, value: Any) -> npt.NDArray[Any]:
        array = np.asarray(value)
        shape = "a one-dimensional array" if length is None else f"an array of shape ({length},)"
        if array.ndim != 1 or (length is not None and array.shape[0] != length):
            raise ValueError(f"{name} must be {shape}, got shape {array.shape}")
        kinds = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}[dtype.kind]
        if array.size and array.dtype.kind not in kinds:
            raise TypeError(f"{name} must hold {dtype.name} values, got {array.dtype.name}")
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        smallest = low if low is not None else (limits.min if limits else None)
        largest = high if high is not None else (limits.max if limits else None)
        for index, entry in enumerate(array.tolist()):
            if (smallest is not None and entry < smallest) or (
                largest is not None and entry > largest
            ):
                raise ValueError(
                    f"{name}[{index}] must be from {smallest} to {largest}, got {entry}"
                )
        return np.array(array, dtype=dtype, order="C")

    return validate
