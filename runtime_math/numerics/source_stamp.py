"""Which source files does the jitted code of a module depend on, and what do they hold now?

The answer comes from the import statements alone, read as text: what a process happens to have
imported before, and in which order, changes nothing. ``from X import a`` leads to the file of
``X.a`` where there is one, otherwise to that of ``X``.

Statements inside functions do not count: jitted code refers to names of its module.
"""

import ast
import functools
import hashlib
import importlib.util
import re
import sys
from pathlib import Path

# Packages whose jitted code is compiled by the rules of this project name it somewhere.
PROJECT = __name__.partition(".")[0]

_IMPORT = re.compile(
    rb"^(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]*))",
    re.MULTILINE,
)
_BLOCK = re.compile(rb"^(?:if|try|with|for|while)\b[^\n]*:", re.MULTILINE)
_COMMENT = re.compile(rb"#[^\n]*|\\\\\r?\n|;[^\n]*")


@functools.cache
def _source(path):
    return path.read_bytes()


@functools.cache
def _package_folders(root):
    """Folders in which the submodules of a top-level package are looked for."""
    module = sys.modules.get(root)
    try:
        spec = module.__spec__ if module is not None else importlib.util.find_spec(root)
    except (ImportError, ValueError, AttributeError):
        return ()
    return tuple(map(Path, getattr(spec, "submodule_search_locations", None) or ()))


@functools.cache
def module_file(name):
    """Source file of a module, found by its name without importing it.

    Parameters
    ----------
    name : str
        Dotted name.

    Returns
    -------
    pathlib.Path or None
        None where there is no such module, or none with a source file.

    Examples
    --------
    >>> module_file("runtime_math.numerics.source_stamp").name
    'source_stamp.py'
    >>> module_file("runtime_math.numerics.nowhere") is None
    True
    """
    root, *parts = name.split(".")
    for folder in _package_folders(root):
        place = folder.joinpath(*parts)
        for path in (place / "__init__.py", place.with_suffix(".py") if parts else None):
            if path is not None and path.is_file():
                return path
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded is not None and loaded.endswith(".py") and Path(loaded).is_file():
        return Path(loaded)
    return None


def _import_statements(source):
    """Yield (module, names) of the imports that run with a module; names None: ``import module``.

    Parsing a hundred files takes a sixth of a second at every start, a pattern a twentieth of that.
    It sees statements that are not indented, so a file with a block at the top level is parsed.
    """
    if _BLOCK.search(source):
        yield from _parsed_import_statements(ast.parse(source))
        return
    for module, names, plain in _IMPORT.findall(source):
        if plain:
            for part in _COMMENT.sub(b"", plain).split(b","):
                yield part.split()[0].decode(), None
        else:
            parts = _COMMENT.sub(b"", names).strip(b"( )\r\n").split(b",")
            yield module.decode(), [part.split()[0].decode() for part in parts if part.strip()]


def _parsed_import_statements(tree):
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((item.name, None) for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), [item.name for item in node.names]
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.expr)):
            pending.extend(ast.iter_child_nodes(node))


def _absolute(module, importer, path):
    """Full name of a module that a statement may name relative to its own."""
    relative = module.lstrip(".")
    level = len(module) - len(relative)
    if not level:
        return module
    package = importer.split(".")
    package = package[: len(package) - level + (path.name == "__init__.py")]
    return ".".join([*package, *([relative] if relative else [])])


def _imported(name, path):
    """Yield the names of the modules that a module's import statements refer to."""
    for module, names in _import_statements(_source(path)):
        module = _absolute(module, name, path)
        for item in names or ():
            inner = f"{module}.{item}"
            yield inner if _belongs(inner, name) and module_file(inner) else module
        if names is None:
            yield module


def _belongs(target, importer):
    """Whether the file of an imported module can matter to jitted code of the importer."""
    root = target.partition(".")[0]
    if root in (importer.partition(".")[0], PROJECT):
        return True
    folders = _package_folders(root)
    path = folders and module_file(target)
    return bool(path) and "." in target and PROJECT.encode() in _source(path)


@functools.cache
def dependencies(name):
    """Modules whose import statements lead from one to the next, the first included.

    Parameters
    ----------
    name : str
        Name of a module.

    Returns
    -------
    dict of {str: pathlib.Path}
        Names, sorted, and files: of the same package, of this one, and of packages that use it.

    Examples
    --------
    >>> [name.rpartition(".")[2] for name in dependencies("runtime_math.validation")]
    ['validation']
    """
    pending, seen = [name], {}
    while pending:
        current = pending.pop()
        path = module_file(current)
        if current in seen or path is None:
            continue
        seen[current] = path
        pending.extend(
            target for target in set(_imported(current, path)) if _belongs(target, current)
        )
    return dict(sorted(seen.items()))


@functools.cache
def source_stamp(name):
    """Digest of all source files that the jitted code of a module can depend on.

    Parameters
    ----------
    name : str
        Name of a module.

    Returns
    -------
    str
        Hexadecimal SHA-256 over the names and contents of `dependencies`.
    """
    digest = hashlib.sha256(name.encode())
    for module, path in dependencies(name).items():
        digest.update(f"{module}:".encode())
        digest.update(hashlib.sha256(_source(path)).digest())
    return digest.hexdigest()
