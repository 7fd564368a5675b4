"""The shape of the sources: who imports whom, and how long files and functions are."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("runtime_math", "membrane", "bench", "profiling")
# What each package may import of the others.
MAY_IMPORT = {
    "runtime_math": set(),
    "membrane": {"runtime_math"},
    "bench": {"runtime_math", "membrane"},
    "profiling": {"runtime_math", "bench"},
}
# Imports inside functions that would close a circle at the top of the file, with the reason.
DEFERRED = {
    # `RuntimeMathKernel(policy="calibrated")` makes an object of its own subclass.
    ("runtime_math.kernel", "runtime_math.calibrated.kernel"),
}
LONGEST_FILE = 600
LONGEST_FUNCTION = 60


def _name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_name(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def _is_for_type_checkers(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _statements(node, at_top=True):
    """Yield (import statement, whether it runs when the file is imported)."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_top
        elif not _is_for_type_checkers(child):
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _statements(child, at_top and not inside)


def _imported(statement):
    """Files of this project that an import statement names."""
    if isinstance(statement, ast.Import):
        return {alias.name for alias in statement.names} & FILES.keys()
    assert statement.level == 0, "imports name their package"
    members = {f"{statement.module}.{alias.name}" for alias in statement.names}
    # `from package import module` names the module; any other name is the package's own.
    own = set() if members <= FILES.keys() else {statement.module}
    return (members | own) & FILES.keys()


def imports(name, deferred=False):
    """Files that a file imports, on the way through it or (deferred) inside functions, too."""
    return {
        target
        for statement, at_top in _statements(TREES[name])
        if at_top or deferred
        for target in _imported(statement)
    }


def circle(graph):
    """A circle in {name: names}, as the list of its members, or an empty list."""
    finished = set()

    def visit(name, path):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in finished:
            return []
        for target in sorted(graph[name]):
            if found := visit(target, [*path, name]):
                return found
        finished.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_files_import_each_other_in_no_circle():
    assert circle({name: imports(name) for name in FILES}) == []


def test_no_import_hides_in_a_function_to_open_a_circle():
    graph = {name: imports(name, deferred=True) for name in FILES}
    for name, target in DEFERRED:
        assert target in graph[name], "no longer needed"
        graph[name].remove(target)
    assert circle(graph) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_stand_on(package):
    allowed = MAY_IMPORT[package] | {package}
    for name in FILES:
        if name.partition(".")[0] == package:
            foreign = {target.partition(".")[0] for target in imports(name, deferred=True)}
            assert foreign <= allowed, name


def test_files_are_short():
    lengths = {name: len(path.read_text().splitlines()) for name, path in FILES.items()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def _code_lines(function):
    """Lines of a function without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def test_functions_are_short():
    lengths = {
        f"{name}.{node.name}": _code_lines(node)
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
