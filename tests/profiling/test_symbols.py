"""The table of jitted code, as a program with the hooks writes it."""

import json
import os
import subprocess
import sys

import pytest
from elftools.elf.elffile import ELFFile

from profiling import symbols
from profiling.launch import BOOTSTRAP
from tests.profiling.recording_command import PROGRAMS

PROGRAM = PROGRAMS / "inlining.py"


def run(folder, cache, **hooks):
    """Run the program with hooks; returns its output and its process table."""
    folder.mkdir()
    environment = dict(
        os.environ, PYTHONPATH=str(BOOTSTRAP), JITTED_CODE_TABLE=str(folder),
        NUMBA_CACHE_DIR=str(cache), **hooks,
    )  # fmt: skip
    finished = subprocess.run(
        [sys.executable, PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert finished.stderr == ""
    (table,) = symbols.load_tables(folder).values()
    return json.loads(finished.stdout), table


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same program: hooks that only write, then all hooks, then its code from the cache."""
    base = tmp_path_factory.mktemp("tables")
    everything = {"JITTED_CODE_UNWIND": "1", "JITTED_CODE_LINES": "1"}
    return {
        "plain": run(base / "plain", base / "cache-1"),
        "lines": run(base / "lines", base / "cache-2", **everything),
        "cached": run(base / "cached", base / "cache-2", **everything),
        "base": base,
    }


def machine_code(folder):
    """Return {name of a library: its machine code}."""
    found = {}
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if "object" in event:
                with open(folder / event["object"], "rb") as stream:
                    elf = ELFFile(stream)
                    (section,) = event["bases"]
                    found[event["library"]] = elf.get_section(int(section)).data()
    return found


def test_hooks_do_not_change_the_machine_code(runs):
    plain, lines = (machine_code(runs["base"] / name) for name in ("plain", "lines"))
    assert plain == lines
    assert {"top", "recursive"} <= set(plain)


@pytest.mark.parametrize("name", ["plain", "lines", "cached"])
def test_addresses_have_names(runs, name):
    output, table = runs[name]
    assert output["hits"] == (name == "cached")
    assert (location := table.locate(output["address"])) is not None
    assert location[0].function == "top"
    assert location[0].module == "__main__"
    assert location[0].file == str(PROGRAM)
    assert table.locate(16) is None
    known = {symbol.function for symbol in table.symbols()}
    assert {"top", "top [called from Python]", "recursive"} <= known
    assert table.versions["numba"]


@pytest.mark.parametrize("name", ["lines", "cached"])
def test_lines_and_inlined_functions(runs, name):
    output, table = runs[name]
    source = PROGRAM.read_text().splitlines()
    (size,) = {symbol.size for symbol in table.symbols() if symbol.address == output["address"]}
    chains = [table.locate(output["address"] + offset) for offset in range(size)]
    assert any([place.function for place in chain] == ["top", "inlined"] for chain in chains)
    for chain in chains:
        for place in chain:
            assert place.file == str(PROGRAM)
            assert 0 < place.line <= len(source)
        if len(chain) == 2:
            assert "inlined(total)" in source[chain[0].line - 1]
            assert "math.sqrt" in source[chain[1].line - 1]


def test_default_line_is_that_of_the_definition(runs):
    output, table = runs["plain"]
    (place,) = table.locate(output["address"] + 40)
    assert PROGRAM.read_text().splitlines()[place.line - 1] == "def top(n):"
