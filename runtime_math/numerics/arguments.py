"""Arguments of functions for other people's jitted code, converted to the type they are made for.

Jitted code passes whatever its arrays hold: signed costs, 32-bit codes, booleans. Left alone, each
combination would compile the kernel anew, and a signed cost would even be computed with as a
signed number. So the functions that users' jitted code calls take their arguments through these
converters. A value out of range raises `ValueError`, before any state changes; where the type
excludes it, nothing is left of the check. What is no integer is refused while the caller is being
compiled.
"""

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.extending import overload


def word(name, value):
    """Unsigned 64-bit number.

    Parameters
    ----------
    name : literal str
        Of the argument, for the message.
    value : integer or bool of any type

    Returns
    -------
    uint64

    Raises
    ------
    ValueError
        The value is negative.
    """
    raise NotImplementedError("for jitted code")


def below(name, value, limit):
    """Signed 64-bit number from 0 to `limit` - 1.

    Parameters
    ----------
    name : literal str
        Of the argument, for the message.
    value : integer or bool of any type
    limit : literal int

    Returns
    -------
    int64

    Raises
    ------
    ValueError
        The value is outside.
    """
    raise NotImplementedError("for jitted code")


def from_minus_one(name, value, limit):
    """Signed 64-bit number from -1, which stands for none or for all, to `limit` - 1.

    Parameters
    ----------
    name : literal str
        Of the argument, for the message.
    value : integer or bool of any type
    limit : literal int

    Returns
    -------
    int64

    Raises
    ------
    ValueError
        The value is outside; the largest unsigned number is not taken for -1.
    """
    raise NotImplementedError("for jitted code")


def flag(name, value):
    """Truth value: a bool, or an integer that is 0 or 1.

    Parameters
    ----------
    name : literal str
        Of the argument, for the message.
    value : integer or bool of any type

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        The value is neither 0 nor 1.
    """
    raise NotImplementedError("for jitted code")


def _checked_type(name, value):
    kind = types.unliteral(value)
    if not isinstance(kind, (types.Integer, types.Boolean, types.IntEnumMember)):
        # Numba tries once more with names that are no literals.
        argument = getattr(name, "literal_value", "the argument")
        raise TypingError(f"{argument} must be an integer, got {kind}")
    return kind


@overload(word, prefer_literal=True)
def _word(name, value):
    kind = _checked_type(name, value)
    if isinstance(kind, types.Boolean) or not getattr(kind, "signed", True):
        return lambda name, value: np.uint64(value)
    message = f"{name.literal_value} must be from 0 to 2^64 - 1, got a negative number"

    def converted(name, value):
        number = np.int64(value)
        if number < 0:
            raise ValueError(message)
        return np.uint64(number)

    return converted


def _bounded(name, value, limit, lowest):
    kind = _checked_type(name, value)
    may_be_minus_one = lowest < 0 and getattr(kind, "signed", True)
    bound = np.uint64(limit.literal_value)
    message = f"{name.literal_value} must be from {lowest} to {int(bound) - 1}"

    def converted(name, value, limit):
        # A negative number is a very large one, so that one comparison is mostly enough.
        if np.uint64(value) >= bound and not (may_be_minus_one and np.int64(value) == -1):
            raise ValueError(message)
        return np.int64(value)

    return converted


@overload(below, prefer_literal=True)
def _below(name, value, limit):
    return _bounded(name, value, limit, 0)


@overload(from_minus_one, prefer_literal=True)
def _from_minus_one(name, value, limit):
    return _bounded(name, value, limit, -1)


@overload(flag, prefer_literal=True)
def _flag(name, value):
    if isinstance(_checked_type(name, value), types.Boolean):
        return lambda name, value: bool(value)
    message = f"{name.literal_value} must be 0 or 1"

    def converted(name, value):
        if np.uint64(value) > np.uint64(1):
            raise ValueError(message)
        return value != 0

    return converted
