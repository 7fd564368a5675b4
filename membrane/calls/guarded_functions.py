"""A whole library behind guards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from membrane.calls.declared_guard import DeclaredGuard
from membrane.declarations.function import Function
from membrane.declarations.reader import read_declarations
from membrane.declarations.words import Memory, structure
from membrane.pipeline.lifetimes import Resource, lifetimes
from membrane.pipeline.validation_pipeline import ValidationPipeline


class GuardedFunctions:
    """The functions of a library that were declared, each behind a guard; see `guard_library`.

    Attributes
    ----------
    structures : dict of {str: ctypes.Structure type}
        The structures that the declarations mention, by their names in C, for use with ctypes.
    """

    structures: Mapping[str, Any]

    def __init__(
        self,
        library: Any,
        declarations: Mapping[str, Function],
        pipeline: ValidationPipeline | None,
    ) -> None:
        self._library = library
        self._declarations = dict(declarations)
        self._pipeline = pipeline
        for declaration in declarations.values():
            lifetimes.lifecycles.update(declaration.lifecycles)
        self.structures = {
            word.element.name: word.element.ctype
            for declaration in declarations.values()
            for word in declaration.arguments.values()
            if isinstance(word, Memory) and isinstance(word.element, structure)
        }

    def __getattr__(self, name: str) -> DeclaredGuard:
        if name.startswith("__") or name not in self._declarations:
            raise AttributeError(f"no declaration of {name!r} was given")
        try:
            function = self._library[name]
        except TypeError:  # a library of cffi has attributes only
            function = getattr(self._library, name)
        made = DeclaredGuard(function, self._declarations[name], self._pipeline, name)
        setattr(self, name, made)
        return made

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._declarations})

    def __repr__(self) -> str:
        return f"<{len(self._declarations)} guarded functions of {self._library!r}>"


def guard_library(
    library: Any,
    declarations: Mapping[str, Function] | str | Path,
    pipeline: ValidationPipeline | None = None,
) -> GuardedFunctions:
    """Put a guard in front of every function of a library that is declared.

    Parameters
    ----------
    library : ctypes.CDLL or a library of cffi
    declarations : dict of {str: Function}, str or Path
        By name; or the path of a declarations file (see `membrane.declarations.reader`).
    pipeline : ValidationPipeline, optional
        By default one of the process, shared with `membrane.libc`.

    Returns
    -------
    GuardedFunctions
        With the functions as attributes.

    Raises
    ------
    DeclarationError
        The file says something that is no declaration.

    Examples
    --------
    >>> import ctypes
    >>> from membrane.declarations import shipped_declarations
    >>> libc = guard_library(ctypes.CDLL(None), shipped_declarations("libc"))
    >>> libc.strlen(b"hello")
    5
    >>> copy = libc.strdup(b"hello")
    >>> copy.memory.length
    6
    >>> libc.free(copy)
    >>> libc.strlen(copy)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    membrane.errors.UseAfterFreeError: strlen: the pointer ... points to malloc that free has ended
    """
    if isinstance(declarations, (str, Path)):
        declarations = read_declarations(declarations)
    for name, declaration in declarations.items():
        if not isinstance(declaration, Function):
            raise TypeError(f"declaration of {name} must be a Function, got {declaration!r}")
    return GuardedFunctions(library, declarations, pipeline)


def unreleased(kind: str | None = None) -> list[Resource]:
    """What declared functions have begun and not ended: what a program has forgotten to free.

    Parameters
    ----------
    kind : str, optional
        ``"FILE"`` for instance; by default everything.

    Returns
    -------
    list of Resource
        With `kind`, `address` and `size`.

    Examples
    --------
    >>> unreleased("no such kind")
    []
    """
    return lifetimes.alive(kind)
