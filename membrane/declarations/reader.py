"""Declarations of a whole library in a TOML file.

```toml
[structures]
timespec = 'structure("timespec", tv_sec=c_long, tv_nsec=c_long)'

[functions.compress2]
dest = 'Out(bytecount("*destLen"), written="*destLen")'
destLen = 'InOut(c_ulong)'
source = 'In(bytecount("sourceLen"))'
sourceLen = 'c_ulong'
level = 'c_int'
returns = 'c_int'
```

The texts are the words of `membrane.declarations` as Python writes them; nothing else in them is
carried out. Other keys of a function are those of `Function`: ``returns``, ``no_overlap`` and so
on.
"""

from __future__ import annotations

import ast
import ctypes
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from membrane.declarations import sizes, words
from membrane.declarations.function import Function
from runtime_math.types import ApiFamily

SHIPPED = ("libc", "sqlite3", "zlib")
_VOCABULARY: dict[str, Any] = {
    "terminated": sizes.terminated,
    **{word.__name__: word for word in (sizes.bytecount, sizes.count, sizes.terminated_within)},
    **{
        word.__name__: word
        for word in (words.In, words.Out, words.InOut, words.resource, words.borrowed, words.into)
    },
    **{
        word.__name__: word
        for word in (words.pointer_to, words.callback, words.structure, words.printf, words.scanf)
    },
}
_CTYPE = re.compile(r"c_\w+")
_LINE_OF_SYNTAX = re.compile(r"\(at line (\d+), column (\d+)\)|\(at end of document\)")


class DeclarationError(ValueError):
    """A declarations file says something that is no declaration: file, line and what is wrong."""


class _Words(ast.NodeVisitor):
    """Evaluates a text that consists of words alone."""

    def __init__(self, structures: Mapping[str, Any]) -> None:
        self.structures = structures

    def generic_visit(self, node: ast.AST) -> Any:
        raise ValueError(f"{ast.unparse(node)!r} is no word of declarations")

    def visit_Expression(self, node: ast.Expression) -> Any:
        return self.visit(node.body)

    def visit_Constant(self, node: ast.Constant) -> Any:
        return node.value

    def visit_Tuple(self, node: ast.Tuple) -> Any:
        return tuple(self.visit(item) for item in node.elts)

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.structures:
            return self.structures[node.id]
        if node.id in _VOCABULARY:
            return _VOCABULARY[node.id]
        found = getattr(ctypes, node.id, None) if _CTYPE.fullmatch(node.id) else None
        if not words.is_ctype(found):
            raise ValueError(f"{node.id!r} is neither a word of declarations nor a ctypes type")
        return found

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        ctype, length = self.visit(node.left), self.visit(node.right)
        if not (isinstance(node.op, ast.Mult) and words.is_ctype(ctype) and type(length) is int):
            raise ValueError(f"{ast.unparse(node)!r} is no array type")
        return ctype * length

    def visit_Call(self, node: ast.Call) -> Any:
        function = self.visit(node.func)
        if not callable(function) or words.is_ctype(function):
            raise ValueError(f"{ast.unparse(node.func)!r} takes nothing in parentheses")
        arguments = [self.visit(item) for item in node.args]
        named = {str(item.arg): self.visit(item.value) for item in node.keywords}
        return function(*arguments, **named)


def read_word(text: str, structures: Mapping[str, Any] | None = None) -> Any:
    """Read one word as a declaration writes it.

    Parameters
    ----------
    text : str
    structures : dict of {str: structure}, optional
        Which may be mentioned by name.

    Raises
    ------
    ValueError, TypeError
        It is none; the text says what is wrong.

    Examples
    --------
    >>> read_word('In(bytecount("4 * n"), nullable=True)')
    In(bytecount("4 * n"), nullable=True)
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{text!r} is no declaration: {error.msg}") from None
    return _Words(structures or {}).visit(tree)


class _File:
    """One declarations file while it is read."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.structures: dict[str, Any] = {}

    def fail(self, path: tuple[str, ...], what: object) -> DeclarationError:
        where = ".".join(path)
        return DeclarationError(f"{self.name}:{self.line(path)}: {where}: {what}")

    def line(self, path: tuple[str, ...]) -> int:
        """The line that a key stands on: with those before it the file has it, without it not."""
        lines = self.text.splitlines(keepends=True)
        for number in range(1, len(lines) + 1):
            try:
                found: Any = tomllib.loads("".join(lines[:number]))
                for key in path:
                    found = found[key]
            except (tomllib.TOMLDecodeError, KeyError, TypeError):
                continue
            return number
        return len(lines)

    def tables(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        try:
            content = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            match = _LINE_OF_SYNTAX.search(str(error))
            line = match.group(1) if match else None
            line = line or len(self.text.splitlines())
            what = _LINE_OF_SYNTAX.sub("", str(error)).strip()
            raise DeclarationError(f"{self.name}:{line}: {what}") from None
        for key in content:
            if key not in ("structures", "functions"):
                raise self.fail((key,), "a file has the tables structures and functions")
            if not isinstance(content[key], dict):
                raise self.fail((key,), "must be a table")
        return content.get("structures", {}), content.get("functions", {})

    def word(self, path: tuple[str, ...], text: Any) -> Any:
        if not isinstance(text, str):
            raise self.fail(path, f"must be a text, got {text!r}")
        try:
            return read_word(text, self.structures)
        except (ValueError, TypeError) as error:
            raise self.fail(path, error) from None

    def relation(self, path: tuple[str, ...], value: Any) -> Any:
        key = path[-1]
        if key == "family":
            if value not in ApiFamily.__members__:
                raise self.fail(path, f"must be one of {', '.join(ApiFamily.__members__)}")
            return ApiFamily[value]
        if key in ("returns", "variadic"):
            return value if isinstance(value, bool) else self.word(path, value)
        if not isinstance(value, list):
            raise self.fail(path, f"must be a list of names, got {value!r}")
        return tuple(value)

    def function(self, name: str, table: Any) -> Function:
        path = ("functions", name)
        if not isinstance(table, dict):
            raise self.fail(path, f"must be a table, got {table!r}")
        said = {}
        for key, value in table.items():
            read = self.relation if key in Function.RELATIONS else self.word
            said[key] = read((*path, key), value)
        try:
            return Function(**said)
        except (ValueError, TypeError) as error:
            argument = str(error).partition(":")[0]
            raise self.fail((*path, argument) if argument in table else path, error) from None

    def read(self) -> dict[str, Function]:
        structures, functions = self.tables()
        for name, text in structures.items():
            found = self.word(("structures", name), text)
            if not isinstance(found, words.structure):
                raise self.fail(("structures", name), "must be a structure(...)")
            found.reference = name
            self.structures[name] = found
        return {name: self.function(name, table) for name, table in functions.items()}


def read_declarations(path: str | Path) -> dict[str, Function]:
    """Read a declarations file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of {str: Function}
        By name, in the order of the file.

    Raises
    ------
    DeclarationError
        With file, line and what is wrong there.
    OSError
        The file can not be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{path}: is no text in UTF-8 ({error.reason})") from None
    return _File(str(path), text).read()


def shipped_declarations(name: str) -> dict[str, Function]:
    """Read the declarations of a library that come with this package.

    Parameters
    ----------
    name : {"libc", "sqlite3", "zlib"}

    Returns
    -------
    dict of {str: Function}

    Examples
    --------
    >>> shipped_declarations("zlib")["crc32"]
    Function(
        crc=c_ulong,
        buf=In(bytecount("len"), nullable=True),
        len=c_uint,
        returns=c_ulong,
    )
    """
    if name not in SHIPPED:
        raise ValueError(f"name must be one of {', '.join(SHIPPED)}, got {name!r}")
    file = resources.files("membrane.declarations") / "files" / f"{name}.toml"
    return _File(f"{name}.toml", file.read_text(encoding="utf-8")).read()
