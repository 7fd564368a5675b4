"""The folders of the membrane are layers, and no file imports itself by way of others."""

import ast
import graphlib
from pathlib import Path

import pytest

import membrane

FOLDER = Path(membrane.__file__).parent
LAYERS = ("tables", "blocks", "stages", "pipeline", "declarations", "calls")
FILES = {
    ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts): path
    for path in FOLDER.rglob("*.py")
    if path.name != "__init__.py"
}


def imported(path):
    """Modules of the membrane that a file imports anywhere in it, for type checkers or not."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "membrane":
            for item in node.names:
                inner = f"{node.module}.{item.name}"
                yield inner if inner in FILES else node.module
        elif isinstance(node, ast.Import):
            yield from (item.name for item in node.names if item.name.startswith("membrane."))


def layer(module):
    """Number of a module's layer: errors are below all folders, the other faces above them."""
    folder = module.split(".")[1]
    if folder in LAYERS:
        return LAYERS.index(folder)
    return -1 if folder == "errors" else len(LAYERS)


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_its_own_layer_and_lower_ones(name):
    for module in imported(FILES[name]):
        assert module in FILES, f"{name} imports {module}, which is no file"
        assert layer(module) <= layer(name), f"{name} imports {module}"


def test_no_file_imports_itself_by_way_of_others():
    graph = {name: set(imported(path)) for name, path in FILES.items()}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert len(order) == len(FILES) > 30
