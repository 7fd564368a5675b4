"""Sizes and conditions as C writes them: ``"size * nmemb"``, ``"*destLen"``, ``"return == 0"``.

>>> read_expression("*length + 4 * count").names
('length', 'count')
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

RETURN = "return"


class Values(Protocol):
    """Where an expression finds the numbers of one call."""

    def number(self, name: str) -> int:
        """Value of an argument, of a field, or of what was returned."""

    def pointee(self, name: str) -> int:
        """The number that an argument points to."""

    def field(self, name: str, field: str) -> int:
        """A field of the structure that an argument points to."""

    def string_length(self, name: str, limit: int | None, wide: bool) -> int:
        """Characters of a string before its terminator, or before a limit."""


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: int

    def evaluate(self, values: Values) -> int:
        """Return the constant."""
        return self.value


@dataclass(frozen=True)
class Name:
    """The value of an argument or of a field; `return`: of the function."""

    name: str

    def evaluate(self, values: Values) -> int:
        """Return the value."""
        return values.number(self.name)


@dataclass(frozen=True)
class Pointee:
    """``*name``."""

    name: str

    def evaluate(self, values: Values) -> int:
        """Return the number behind the pointer."""
        return values.pointee(self.name)


@dataclass(frozen=True)
class Field:
    """``name->field``."""

    name: str
    field: str

    def evaluate(self, values: Values) -> int:
        """Return the number in the field."""
        return values.field(self.name, self.field)


@dataclass(frozen=True)
class StringLength:
    """``strlen(name)``, ``wcslen(name)``, ``strnlen(name, limit)``."""

    name: str
    limit: Node | None = None
    wide: bool = False

    def evaluate(self, values: Values) -> int:
        """Return the length."""
        limit = None if self.limit is None else self.limit.evaluate(values)
        return values.string_length(self.name, limit, self.wide)


@dataclass(frozen=True)
class Operation:
    """Of two expressions."""

    apply: Callable[[int, int], int]
    left: Node
    right: Node

    def evaluate(self, values: Values) -> int:
        """Return the result; both sides are evaluated."""
        return int(self.apply(self.left.evaluate(values), self.right.evaluate(values)))


Node: TypeAlias = Number | Name | Pointee | Field | StringLength | Operation


def _quotient(left: int, right: int) -> int:
    """Towards zero, as in C; by zero it is zero."""
    size = abs(left) // abs(right) if right else 0
    return size if (left < 0) == (right < 0) else -size


def _remainder(left: int, right: int) -> int:
    return left - right * _quotient(left, right) if right else 0


# By how tightly they bind, loosest first.
_OPERATORS: tuple[dict[str, Callable[[int, int], int]], ...] = (
    {"||": lambda left, right: left != 0 or right != 0},
    {"&&": lambda left, right: left != 0 and right != 0},
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<=": operator.le,
        ">=": operator.ge,
        "<": operator.lt,
        ">": operator.gt,
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _quotient, "%": _remainder},
)
_FUNCTIONS: dict[str, Callable[[int, int], int]] = {"min": min, "max": max}
_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_]\w*)|(->|\|\||&&|[=!<>]=|[-+*/%<>().,]))")


@dataclass(frozen=True)
class Expression:
    """An expression that was read; its text is its representation.

    Attributes
    ----------
    text : str
    node : Node
    names : tuple of str
        Arguments and fields that it mentions, each once.
    """

    text: str
    node: Node
    names: tuple[str, ...]

    def evaluate(self, values: Values) -> int:
        """Return its value in one call."""
        return self.node.evaluate(values)

    @property
    def needs_return(self) -> bool:
        """Whether it can be evaluated only after the call."""
        return RETURN in self.names

    def __repr__(self) -> str:
        return f'"{self.text}"'


class _Reader:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_tokens(text))
        self.place = 0
        self.names: dict[str, None] = {}

    @property
    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self) -> str:
        token = self.next
        self.place += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise self.error(f"{token!r} is missing")

    def error(self, what: str) -> ValueError:
        return ValueError(f"expression {self.text!r}: {what}")

    def name(self) -> str:
        name = self.take()
        if not name.isidentifier():
            raise self.error(f"a name is missing before {name!r}" if name else "it ends too early")
        self.names[name] = None
        return name

    def level(self, number: int = 0) -> Node:
        if number == len(_OPERATORS):
            return self.primary()
        left = self.level(number + 1)
        while self.next in _OPERATORS[number]:
            apply = _OPERATORS[number][self.take()]
            left = Operation(apply, left, self.level(number + 1))
        return left

    def primary(self) -> Node:
        if self.next == "*":
            self.take()
            return Pointee(self.name())
        if self.next == "-":
            self.take()
            return Operation(operator.sub, Number(0), self.primary())
        if self.next == "(":
            self.take()
            inner = self.level()
            self.expect(")")
            return inner
        if self.next.isdigit():
            return Number(int(self.take()))
        if self.place + 1 < len(self.tokens) and self.tokens[self.place + 1] == "(":
            return self.call(self.take())
        name = self.name()
        if self.next in ("->", "."):
            self.take()
            field = self.take()
            if not field.isidentifier():
                raise self.error(f"{field!r} is no field")
            return Field(name, field)
        return Name(name)

    def call(self, function: str) -> Node:
        self.expect("(")
        if function in ("strlen", "wcslen"):
            found: Node = StringLength(self.name(), wide=function == "wcslen")
        elif function == "strnlen":
            name = self.name()
            self.expect(",")
            found = StringLength(name, self.level())
        elif function in _FUNCTIONS:
            left = self.level()
            self.expect(",")
            found = Operation(_FUNCTIONS[function], left, self.level())
        else:
            known = ", ".join(("strlen", "strnlen", "wcslen", *_FUNCTIONS))
            raise self.error(f"{function} is none of {known}")
        self.expect(")")
        return found


def _tokens(text: str) -> Iterator[str]:
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"expression {text!r}: {text[place:].strip()[0]!r} is no part of one")
        yield next(filter(None, match.groups()))
        place = match.end()


@functools.lru_cache(maxsize=4096)
def read_expression(text: str) -> Expression:
    """Read an expression.

    Parameters
    ----------
    text : str
        Whole numbers, names of arguments, ``*name``, ``name->field``, ``strlen(name)``,
        ``strnlen(name, limit)``, ``wcslen(name)``, ``min(a, b)``, ``max(a, b)``, ``return``,
        parentheses, ``+ - * / %``, comparisons, ``&&`` and ``||``, binding as in C; a division by
        zero is zero.

    Returns
    -------
    Expression

    Raises
    ------
    ValueError
        It is none; the text says what is wrong.
    """
    reader = _Reader(text)
    node = reader.level()
    if reader.next:
        raise reader.error(f"{reader.next!r} comes after its end")
    return Expression(text, node, tuple(reader.names))
