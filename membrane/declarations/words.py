"""The words of a declaration: what an argument, a field or a result is."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from membrane.declarations.expressions import read_expression
from membrane.declarations.sizes import _Terminated, bytecount, count, terminated_within
from membrane.declarations.spelling import Spelled, spelled
from membrane.pipeline.ctypes_kinds import DATA

Condition: TypeAlias = "bool | str"


def is_ctype(value: object) -> bool:
    """Whether a value is a type of ctypes.

    Examples
    --------
    >>> is_ctype(ctypes.c_int), is_ctype(int)
    (True, False)
    """
    return isinstance(value, type) and issubclass(value, DATA)


def conditions_of(word: Any) -> Iterator[str]:
    """Expressions of a word that say when something is the case."""
    for name in ("begins", "ends", "lifetime_if", "written"):
        condition = getattr(word, name, None)
        if isinstance(condition, str):
            yield condition


def _check_conditions(word: Any) -> None:
    for condition in conditions_of(word):
        read_expression(condition)


@dataclass(frozen=True, repr=False)
class Memory(Spelled):
    """Base of `In`, `Out` and `InOut`: a pointer to memory that the function touches.

    Parameters
    ----------
    size : size, ctypes type or structure
        `bytecount`, `count`, `terminated`, `terminated_within`; a type: one of it.
    written : str, optional
        How many bytes (or elements, of a `count`) the function says it has written, once it has
        returned; more than there was room for is an error.
    nullable : bool, default False
    clamp : bool, default False
        Whether hardened mode may call the function with a smaller size.
    lifetime : str, optional
        Until when the memory must stay: the name of a resource or structure among the arguments
        (while it lives), or of anything else that functions ``use``; with an index
        (``"statement[index]"``) until the next memory is given for the same index. Without it the
        function does not keep the pointer.
    lifetime_if : str, optional
        When it is kept at all.
    begins, ends : bool or str, default False
        Of a structure that is usable only between two functions: whether, or under which condition
        on ``return``, its use begins or ends here.
    """

    reads: ClassVar[bool]
    writes: ClassVar[bool]
    size: Any
    written: str | None = None
    nullable: bool = False
    clamp: bool = False
    lifetime: str | None = None
    lifetime_if: str | None = None
    begins: Condition = False
    ends: Condition = False

    def __post_init__(self) -> None:
        known = (bytecount, count, _Terminated, terminated_within, structure)
        if not isinstance(self.size, known) and not is_ctype(self.size):
            raise TypeError(
                f"{type(self).__name__} takes bytecount(...), count(...), terminated,"
                f" terminated_within(...), a ctypes type or a structure, got {spelled(self.size)}"
            )
        if self.written is not None and not self.writes:
            raise ValueError(f"{type(self).__name__} is not written: written={self.written!r}")
        if (self.begins or self.ends) and not isinstance(self.size, structure):
            raise ValueError("begins and ends are said of structures and resources")
        _check_conditions(self)

    @property
    def element(self) -> Any:
        """Type of what lies there: a ctypes type, a structure, a pointer's declaration or None."""
        if isinstance(self.size, count):
            return self.size.element
        return self.size if isinstance(self.size, structure) or is_ctype(self.size) else None


class In(Memory):
    """Memory that the function reads; see `Memory`."""

    reads, writes = True, False


class Out(Memory):
    """Memory that the function writes; see `Memory`."""

    reads, writes = False, True


class InOut(Memory):
    """Memory that the function reads and writes; see `Memory`."""

    reads, writes = True, True


@dataclass(frozen=True, repr=False)
class resource(Spelled):
    """A pointer to something that the library made and only the library looks into.

    Parameters
    ----------
    kind : str
        Its type in C: ``"FILE"``, ``"sqlite3_stmt"``; ``"malloc"`` for memory that `free` releases.
    size : size, optional
        Of memory that the caller may use.
    nullable : bool, default False
    begins : bool or str, default False
        As a result, or behind a `pointer_to`: it is new.
    ends : bool or str, default False
        As an argument: it must not be used afterwards. Of what is behind a `pointer_to`, and begins
        there too: it may have been replaced.
    owner : str, optional
        The argument with which it ends at the latest.

    Examples
    --------
    >>> resource("FILE", ends=True)
    resource("FILE", ends=True)
    """

    kind: str
    size: Any = None
    nullable: bool = False
    begins: Condition = False
    ends: Condition = False
    owner: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str) or not self.kind:
            raise ValueError(f"kind must be the name of a type, got {self.kind!r}")
        _check_conditions(self)


@dataclass(frozen=True, repr=False)
class borrowed(Spelled):
    """Result: memory of a resource, valid until the next function that invalidates it.

    Parameters
    ----------
    size : size or None
        None: not known.
    owner : str
        The argument whose memory it is.
    nullable : bool, default True
    """

    size: Any
    owner: str
    nullable: bool = True


@dataclass(frozen=True, repr=False)
class into(Spelled):
    """Result: a pointer into the memory of an argument, or to its end.

    Parameters
    ----------
    name : str
        The argument.
    nullable : bool, default True

    Examples
    --------
    >>> into("s")
    into("s")
    """

    name: str
    nullable: bool = True


@dataclass(frozen=True, repr=False)
class pointer_to(Spelled):
    """A pointer to a pointer, which the function may move on or replace.

    Parameters
    ----------
    target : In, Out, InOut, resource, borrowed or into
        What the inner pointer is.
    nullable : bool, default False

    Examples
    --------
    >>> pointer_to(In(bytecount("*inbytesleft"), nullable=True), nullable=True)
    pointer_to(In(bytecount("*inbytesleft"), nullable=True), nullable=True)
    """

    target: Any
    nullable: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.target, (Memory, resource, borrowed, into)):
            raise TypeError(f"pointer_to takes no {spelled(self.target)}")


@dataclass(frozen=True, init=False)
class callback:
    """A function that the library calls.

    Parameters
    ----------
    result : ctypes type or None
    *arguments : ctypes types
    nullable : bool, default False
    lifetime, lifetime_if : str, optional
        Until when it may be called, as of `Memory`; without, until the function returns.

    Examples
    --------
    >>> from ctypes import c_int, c_void_p
    >>> callback(c_int, c_void_p, c_void_p)
    callback(c_int, c_void_p, c_void_p)
    """

    result: Any
    arguments: tuple[Any, ...]
    nullable: bool
    lifetime: str | None
    lifetime_if: str | None

    def __init__(
        self,
        result: Any,
        *arguments: Any,
        nullable: bool = False,
        lifetime: str | None = None,
        lifetime_if: str | None = None,
    ) -> None:
        object.__setattr__(self, "result", result)
        object.__setattr__(self, "arguments", arguments)
        object.__setattr__(self, "nullable", nullable)
        object.__setattr__(self, "lifetime", lifetime)
        object.__setattr__(self, "lifetime_if", lifetime_if)
        for ctype in arguments if result is None else (result, *arguments):
            if not is_ctype(ctype):
                raise TypeError(f"callback takes types of ctypes, got {spelled(ctype)}")
        _check_conditions(self)

    @property
    def prototype(self) -> Any:
        """Type of the function for ctypes."""
        return ctypes.CFUNCTYPE(self.result, *self.arguments)

    def __repr__(self) -> str:
        parts = [spelled(item) for item in (self.result, *self.arguments)]
        for name, default in (("nullable", False), ("lifetime", None), ("lifetime_if", None)):
            if getattr(self, name) != default:
                parts.append(f"{name}={spelled(getattr(self, name))}")
        return f"callback({', '.join(parts)})"


class structure:
    """A structure in memory, some of whose fields may be pointers.

    Parameters
    ----------
    name : str
    **fields : ctypes type or declaration of a pointer
        In their order. Sizes are said with the names of other fields, or of arguments.

    Examples
    --------
    >>> from ctypes import c_ulong
    >>> iovec = structure("iovec", iov_base=Out(bytecount("iov_len")), iov_len=c_ulong)
    >>> iovec
    structure("iovec", iov_base=Out(bytecount("iov_len")), iov_len=c_ulong)
    >>> In(count("iovcnt", iovec))
    In(count("iovcnt", iovec))
    """

    def __init__(self, name: str, /, **fields: Any) -> None:
        if not fields:
            raise ValueError(f"structure {name!r} has no fields")
        self.name = self.reference = name
        self.fields: Mapping[str, Any] = fields
        layout = [(field, field_type(word)) for field, word in fields.items()]
        self.ctype: Any = type(name, (ctypes.Structure,), {"_fields_": layout})

    @property
    def pointers(self) -> dict[str, Any]:
        """The fields that are pointers which are checked."""
        return {name: word for name, word in self.fields.items() if not is_ctype(word)}

    def __repr__(self) -> str:
        parts = [spelled(self.name)]
        parts += [f"{name}={spelled(word)}" for name, word in self.fields.items()]
        return f"structure({', '.join(parts)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, structure) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def field_type(word: Any) -> Any:
    """Type of a word for ctypes: all pointers are addresses.

    Raises
    ------
    TypeError
        It is no word of a declaration.
    """
    if is_ctype(word):
        return word
    if isinstance(word, (structure, *POINTER_WORDS)):
        return word.ctype if isinstance(word, structure) else ctypes.c_void_p
    raise TypeError(f"{spelled(word)} is neither a ctypes type nor a word of declarations")


@dataclass(frozen=True, repr=False)
class printf(Spelled):
    """Further arguments as a format string of `printf` says.

    Parameters
    ----------
    name : str
        The argument that is the format string.
    """

    name: str


@dataclass(frozen=True, repr=False)
class scanf(Spelled):
    """Further arguments as a format string of `scanf` says: pointers that are written.

    Parameters
    ----------
    name : str
    """

    name: str


POINTER_WORDS = (Memory, resource, pointer_to, callback, into, borrowed)
