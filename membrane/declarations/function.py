"""The declaration of one C function: a word for every argument, and what holds between them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from membrane.declarations.expressions import (
    RETURN,
    Expression,
    Field,
    Operation,
    Pointee,
    StringLength,
    read_expression,
)
from membrane.declarations.sizes import bytecount, count, terminated_within
from membrane.declarations.spelling import spelled
from membrane.declarations.words import (
    Memory,
    borrowed,
    callback,
    conditions_of,
    field_type,
    into,
    is_ctype,
    pointer_to,
    printf,
    resource,
    scanf,
    structure,
)
from runtime_math.types import ApiFamily

_LIFETIME = re.compile(r"(\w+)(?:\[(\w+)\])?")


class Lifetime(NamedTuple):
    """Until when memory or a callback is kept.

    Attributes
    ----------
    name : str
        An argument, or anything else that functions use.
    key : str or None
        The argument that tells one piece of memory from another.
    """

    name: str
    key: str | None


def read_lifetime(text: str) -> Lifetime:
    """Read ``"name"`` or ``"name[index]"``.

    Examples
    --------
    >>> read_lifetime("statement[index]")
    Lifetime(name='statement', key='index')
    """
    match = _LIFETIME.fullmatch(text)
    if match is None:
        raise ValueError(f'lifetime must be "name" or "name[index]", got {text!r}')
    return Lifetime(*match.groups())


class Function:
    """What a C function does with its arguments.

    Parameters
    ----------
    returns : ctypes type, resource, borrowed, into or None, default None
        None: nothing.
    variadic : bool, printf or scanf, default False
        Whether further arguments may follow, and what says which.
    no_overlap : tuple of str, optional
        Arguments whose memory must not overlap.
    uses : tuple of str, optional
        Things that are no arguments, with the lifetime of which memory was given: it must still be
        there.
    invalidates : tuple of str, optional
        Arguments whose borrowed memory ends here.
    clears : tuple of str, optional
        Arguments that keep no memory any more, or none for an index: ``"statement[index]"``.
    family : ApiFamily, optional
        As which the kernel hears of the calls.
    **arguments : ctypes type or word
        In the order of the header, under its names.

    Raises
    ------
    TypeError
        What is no word stands for an argument.
    ValueError
        An expression mentions what the function does not have.

    Examples
    --------
    >>> from ctypes import c_size_t, c_void_p
    >>> from membrane.declarations import In, Out
    >>> Function(dest=Out(bytecount("n")), src=In(bytecount("n")), n=c_size_t, returns=into("dest"),
    ...          no_overlap=("dest", "src"))
    Function(
        dest=Out(bytecount("n")),
        src=In(bytecount("n")),
        n=c_ulong,
        returns=into("dest"),
        no_overlap=("dest", "src"),
    )
    """

    #: What is said beside the arguments, and what holds where it is not said.
    RELATIONS: Mapping[str, Any] = {
        "returns": None,
        "variadic": False,
        "no_overlap": (),
        "uses": (),
        "invalidates": (),
        "clears": (),
        "family": ApiFamily.STRING_MEMORY,
    }

    def __init__(
        self,
        *,
        returns: Any = None,
        variadic: Any = False,
        no_overlap: tuple[str, ...] = (),
        uses: tuple[str, ...] = (),
        invalidates: tuple[str, ...] = (),
        clears: tuple[str, ...] = (),
        family: ApiFamily = ApiFamily.STRING_MEMORY,
        **arguments: Any,
    ) -> None:
        self.arguments: Mapping[str, Any] = arguments
        self.names = tuple(arguments)
        self.returns = returns
        self.variadic = variadic
        self.no_overlap = no_overlap
        self.uses = uses
        self.invalidates = invalidates
        self.clears = clears
        self.family = family
        _Check(self).everything()

    def position(self, name: str) -> int:
        """Position of an argument, from 0."""
        return self.names.index(name)

    @property
    def argument_types(self) -> list[Any]:
        """Types of the arguments for ctypes: all pointers are addresses."""
        return [field_type(word) for word in self.arguments.values()]

    @property
    def result_type(self) -> Any:
        """Type of the result for ctypes."""
        return None if self.returns is None else field_type(self.returns)

    @property
    def lifecycles(self) -> set[str]:
        """Structures whose use begins or ends here."""
        return {
            word.size.name
            for word in self.arguments.values()
            if isinstance(word, Memory) and (word.begins or word.ends)
        }

    @functools.cached_property
    def replaces(self) -> set[str]:
        """Names of what is given other memory here, or none, for what it has been given."""
        words = [word for word in self.arguments.values() if isinstance(word, (Memory, callback))]
        texts = [word.lifetime for word in words if word.lifetime is not None]
        return {read_lifetime(text).name for text in (*texts, *self.clears)}

    def __repr__(self) -> str:
        lines = [f"    {name}={spelled(word)}," for name, word in self.arguments.items()]
        for name, default in self.RELATIONS.items():
            value = getattr(self, name)
            if value != default:
                text = value.name if isinstance(value, ApiFamily) else spelled(value)
                lines.append(f"    {name}={text},")
        return "\n".join(["Function(", *lines, ")"]) if lines else "Function()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


class _Check:
    """Whether all names in a declaration are names of something that fits."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.arguments = function.arguments

    def everything(self) -> None:
        """Raise what is wrong, with the argument it is wrong about."""
        for name, word in self.arguments.items():
            self.word(name, word)
        returns, variadic = self.function.returns, self.function.variadic
        if returns is not None:
            if not is_ctype(returns) and not isinstance(returns, (resource, borrowed, into)):
                raise TypeError(f"returns: {spelled(returns)} is no result")
            self.inner("returns", returns, ())
        if isinstance(variadic, (printf, scanf)):
            self.is_argument("variadic", variadic.name)
        elif not isinstance(variadic, bool):
            raise TypeError(f"variadic: {spelled(variadic)} is neither a bool, printf nor scanf")
        for relation in ("no_overlap", "uses", "invalidates", "clears"):
            names = getattr(self.function, relation)
            if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
                raise TypeError(f"{relation} must be a tuple of names, got {names!r}")
            for name in names if relation != "uses" else ():
                for part in read_lifetime(name) if relation == "clears" else (name,):
                    if part is not None:
                        self.is_argument(relation, part)
        if not isinstance(self.function.family, ApiFamily):
            raise TypeError(f"family must be an ApiFamily, got {self.function.family!r}")

    def word(self, name: str, word: Any) -> None:
        if isinstance(word, (into, borrowed)):
            raise TypeError(f"{name}: {spelled(word)} is a result, no argument")
        try:
            field_type(word)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        if isinstance(word, structure):
            raise TypeError(f"{name}: a structure is passed by a pointer: InOut({word.name})")
        self.inner(name, word, ())

    def inner(self, name: str, word: Any, siblings: tuple[str, ...]) -> None:
        if isinstance(word, pointer_to):
            self.inner(name, word.target, siblings)
            return
        if isinstance(word, into):
            self.is_argument(name, word.name)
        for expression in _sizes_of(word):
            self.expression(name, expression, siblings, allows_return=_is_result(word))
        for text in conditions_of(word):
            self.expression(name, read_expression(text), siblings, allows_return=True)
        if isinstance(word, (Memory, callback)) and word.lifetime is not None:
            lifetime = read_lifetime(word.lifetime)
            if lifetime.key is not None:
                self.is_argument(name, lifetime.key)
        if isinstance(word, (resource, borrowed)) and word.owner is not None:
            self.is_argument(name, word.owner)
        element = word.element if isinstance(word, Memory) else None
        if isinstance(element, structure):
            for field, inner in element.pointers.items():
                self.inner(f"{name}: {element.name}.{field}", inner, tuple(element.fields))
        elif element is not None and not is_ctype(element):
            self.inner(name, element, siblings)

    def is_argument(self, where: str, name: str) -> None:
        if name not in self.arguments:
            known = ", ".join(self.arguments) or "none"
            raise ValueError(f"{where}: {name!r} is no argument of the function ({known})")

    def expression(
        self, where: str, expression: Expression, siblings: tuple[str, ...], allows_return: bool
    ) -> None:
        for name in expression.names:
            if name == RETURN:
                if not allows_return:
                    raise ValueError(f"{where}: {expression.text!r} is not known before the call")
            elif name not in siblings:
                self.is_argument(where, name)
        for node in _nodes(expression.node):
            self.dereference(where, node)

    def dereference(self, where: str, node: Any) -> None:
        """What stands behind a star must point to a number, before an arrow to a structure."""
        if not isinstance(node, (Pointee, Field, StringLength)):
            return
        word = self.arguments.get(node.name)
        element = word.element if isinstance(word, Memory) else None
        if isinstance(node, Pointee) and not is_ctype(element):
            raise ValueError(f"{where}: *{node.name} needs {node.name} to point to a ctypes type")
        if isinstance(node, Field):
            if not isinstance(element, structure):
                raise ValueError(f"{where}: {node.name} points to no structure")
            if node.field not in element.fields:
                raise ValueError(f"{where}: {element.name} has no field {node.field!r}")
        if isinstance(node, StringLength) and not isinstance(word, Memory):
            raise ValueError(f"{where}: {node.name} is no string")


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    if isinstance(node, Operation):
        yield from _nodes(node.left)
        yield from _nodes(node.right)


def _sizes_of(word: Any) -> Iterator[Expression]:
    size = word.size if isinstance(word, (Memory, resource, borrowed)) else None
    if isinstance(size, (bytecount, count, terminated_within)):
        yield read_expression(str(size.expression))


def _is_result(word: Any) -> bool:
    return isinstance(word, (resource, borrowed)) and not getattr(word, "ends", False)
