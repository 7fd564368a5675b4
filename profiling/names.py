"""Python names from the symbol names of compiled functions, and where those are defined.

Numba mangles ``package.module`` and ``Outer.<locals>.function`` in the style of C++ (Itanium ABI):
``_ZN7package6module5Outer12_3clocals_3e8functionB2v3...E...``. The boundary between module and
qualified name is lost on the way; the list of the program's modules restores it.
"""

import ast
import functools
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

# The only characters of a qualified name that are no identifier characters come in these words;
# decoding every "_hh" would garble names such as "scale_2d".
_BRACKETED = re.compile(r"_3c(locals|lambda|listcomp|setcomp|dictcomp|genexpr|module|dynamic)_3e")
_NON_ASCII = re.compile(r"(?:_[89a-f][0-9a-f]){2,}")
_LENGTH = re.compile(r"\d+")
# Makers of functions put a digest behind the name, which keeps their products apart in caches;
# Numba puts an underscore before a digit.
_DIGEST = re.compile(r"_?[0-9a-f]{12,}")

WRAPPER_NAMESPACES = {"cpython": "called from Python", "__gufunc__": "ufunc loop"}
_WRAPPER_PREFIXES = {
    "cfunc.": "C callback",
    "__gufunc__.": "ufunc loop",
    "__ufunc__.": "ufunc loop",
}


# Functions that Numba makes of a part of a function; their names hold an address, which is another
# in the next run, and a number that counts what was compiled.
_GENERATED = re.compile(r"__numba_(parfor_gufunc|stencil)_(0x[0-9a-f]+)\w*?B\d+v(\d+)")
_GENERATED_KINDS = {"parfor_gufunc": "parallel loop", "stencil": "stencil"}


class Generated(NamedTuple):
    """What Numba made of a part of a function.

    Attributes
    ----------
    kind : str
    key : str
        The same for the kernel and its wrappers, within one process.
    order : int
        Counts what was compiled.
    """

    kind: str
    key: str
    order: int


def generated(symbol: str) -> Generated | None:
    """Tell what a symbol was made of, if Numba made it of a part of a function.

    Examples
    --------
    >>> generated("_ZN13_3cdynamic_3e36__numba_parfor_gufunc_0x7fa890e2bc50B2v6B106c8tJTC")
    Generated(kind='parallel loop', key='0x7fa890e2bc50', order=6)
    >>> generated("_ZN5numba8stencils7stencil32__numba_stencil_0x7ff8d84e7850_0B2v3B24c8t").kind
    'stencil'
    """
    match = _GENERATED.search(symbol)
    if match is None:
        return None
    return Generated(_GENERATED_KINDS[match[1]], match[2], int(match[3]))


class SymbolName(NamedTuple):
    """A symbol taken apart: the dotted path, and what kind of wrapper it is ("" for none)."""

    path: str
    wrapper: str


def _decode(identifier: str) -> str:
    return _NON_ASCII.sub(_letters, _BRACKETED.sub(r"<\1>", identifier))


def _letters(match: re.Match[str]) -> str:
    """Decode escaped bytes, unless they are the beginning of a plain word, as in "in_detail"."""
    try:
        return bytes.fromhex(match[0].replace("_", "")).decode()
    except UnicodeDecodeError:
        return match[0]


def _identifiers(mangled: str, nested: bool) -> Iterator[str]:
    """Yield the identifiers of a mangled name up to its tags or template parameters."""
    position = 0
    while match := _LENGTH.match(mangled, position):
        # "38c8tJ" is the identifier of length 3 or 38: the longest that fits is meant.
        start = match.end()
        length = int(match[0])
        if start + length > len(mangled):
            return
        yield mangled[start : start + length]
        position = start + length
        if not nested:
            return


def demangle(symbol: str) -> SymbolName:
    """Take the symbol of a compiled function apart.

    Parameters
    ----------
    symbol : str
        Name in the symbol table of a code library.

    Returns
    -------
    SymbolName

    Examples
    --------
    >>> demangle("_ZN7package6module5outer12_3clocals_3e5innerB2v1Ex").path
    'package.module.outer.<locals>.inner'
    >>> demangle("_ZN7cpython8__main__4leafEx")
    SymbolName(path='__main__.leaf', wrapper='called from Python')
    >>> demangle("_ZN7package6decide12bd29386a96d0B2v1Ex").path
    'package.decide'
    >>> demangle("NRT_decref").path
    'NRT_decref'
    """
    wrapper = ""
    for prefix, meaning in _WRAPPER_PREFIXES.items():
        if symbol.startswith(prefix):
            symbol, wrapper = symbol[len(prefix) :], meaning
    if not symbol.startswith("_Z"):
        return SymbolName(symbol, wrapper)
    nested = symbol.startswith("_ZN")
    parts = [_decode(part) for part in _identifiers(symbol[3 if nested else 2 :], nested)]
    if len(parts) > 1 and parts[0] in WRAPPER_NAMESPACES:
        wrapper = WRAPPER_NAMESPACES[parts.pop(0)]
    if len(parts) > 1 and _DIGEST.fullmatch(parts[-1]):
        parts.pop()
    return SymbolName(".".join(parts) or symbol, wrapper)


def split_module(path: str, modules: Collection[str]) -> tuple[str, str]:
    """Split a dotted path into (module, qualified name), the module being the longest known one.

    Examples
    --------
    >>> split_module("package.module.Class.method", {"package", "package.module"})
    ('package.module', 'Class.method')
    >>> split_module("NRT_decref", set())
    ('', 'NRT_decref')
    """
    parts = path.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        if module in modules:
            return module, ".".join(parts[length:])
    return "", path


class _Definitions(ast.NodeVisitor):
    """Collects the first line of every function of a file under its qualified name."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self._scope: list[str] = []

    def _enter(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, is_function: bool
    ) -> None:
        name = ".".join([*self._scope, node.name])
        if is_function:
            self.lines.setdefault(name, node.lineno)
        inner = [node.name, "<locals>"] if is_function else [node.name]
        self._scope.extend(inner)
        self.generic_visit(node)
        del self._scope[-len(inner) :]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter(node, True)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter(node, True)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._enter(node, False)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.lines.setdefault(".".join([*self._scope, "<lambda>"]), node.lineno)
        self.generic_visit(node)


@functools.cache
def definition_lines(file: str) -> dict[str, int]:
    """Map the qualified names of a source file's functions to their lines ({} if unreadable)."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    visitor = _Definitions()
    visitor.visit(tree)
    return visitor.lines


def definition_line(file: str, qualified_name: str) -> int:
    """Return the line of a function's ``def``, or of the nearest enclosing one; 0 if unknown."""
    lines = definition_lines(file)
    while qualified_name:
        if qualified_name in lines:
            return lines[qualified_name]
        qualified_name = qualified_name.rpartition(".<locals>.")[0]
    return 0
