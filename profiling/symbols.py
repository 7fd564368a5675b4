"""The address table of jitted code, read from what the profiled program wrote.

One `ProcessTable` per process maps an address to the Python functions it belongs to: the symbol
that holds the address, and within it the chain of functions that LLVM inlined there, when the
object carries line tables.
"""

import bisect
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from profiling import names
from profiling.lines import LineTable


class Location(NamedTuple):
    """One function at an address.

    `line` is the line being executed if line tables were recorded, otherwise that of the ``def``.
    """

    function: str
    module: str
    file: str
    line: int
    inlined: bool


class Symbol(NamedTuple):
    """One compiled function: its place in memory and its name."""

    address: int
    size: int
    symbol: str
    function: str
    module: str
    file: str
    line: int
    library: str


class Compiled(NamedTuple):
    """What it took to compile a function once, without the others that were compiled for it."""

    function: str
    file: str
    line: int
    seconds: float


class _Elf(ELFFile):
    """An object without its unwinding section, whose relocations pyelftools does not know."""

    def get_section_by_name(self, name: str) -> Any:
        return None if name == ".eh_frame" else super().get_section_by_name(name)


class CodeObject:
    """One ELF object as loaded by a process.

    Parameters
    ----------
    data : bytes
        The object.
    library : str
        Numba's name of the code library; "" where it is not known.
    bases : dict of int to int
        Load address of each section that holds code.
    """

    def __init__(self, data: bytes, library: str, bases: dict[int, int]) -> None:
        self.library = library
        self.bases = bases
        elf = _Elf(io.BytesIO(data))
        self.functions: list[tuple[int, int, str]] = []
        table = elf.get_section_by_name(".symtab")
        for symbol in table.iter_symbols() if table else ():
            section = symbol["st_shndx"]
            if symbol["st_info"]["type"] == "STT_FUNC" and section in bases:
                address = bases[section] + symbol["st_value"]
                self.functions.append((address, symbol["st_size"], symbol.name))
        self._elf = elf
        self._lines: LineTable | None = None

    @classmethod
    def loaded(cls, data: bytes) -> Self:
        """Make one of an object that has the addresses in it at which it was loaded."""
        sections = enumerate(ELFFile(io.BytesIO(data)).iter_sections())
        bases = {
            number: section["sh_addr"]
            for number, section in sections
            if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR and section["sh_addr"]
        }
        return cls(data, "", bases)

    @property
    def has_lines(self) -> bool:
        """Whether the object carries a table of lines."""
        return self._elf.get_section_by_name(".debug_line") is not None

    def inline_chain(self, address: int) -> list[tuple[str, str, int]]:
        """Return [(function, file, line)] from the outermost to the innermost; [] if unknown."""
        if not self.has_lines:
            return []
        if self._lines is None:
            self._lines = LineTable(self._elf)
        for base in self.bases.values():
            if chain := self._lines.lookup(address - base):
                return chain
        return []


class ProcessTable:
    """All jitted code of one process.

    Parameters
    ----------
    objects : iterable of CodeObject
        Loaded objects; of functions that share an address the first loaded wins.
    modules : dict of str to str
        The program's modules and their files.
    versions : dict of str to str, optional
        Versions of Python, Numba and what it stands on, as the process reported them.
    compiled : iterable of Compiled, optional
        What the process has compiled itself.
    """

    def __init__(
        self,
        objects: Iterable[CodeObject],
        modules: dict[str, str],
        versions: dict[str, str] | None = None,
        compiled: Iterable[Compiled] = (),
    ) -> None:
        self.compiled = list(compiled)
        self._modules = modules
        self.versions = versions or {}
        self._module_of_file = {file: name for name, file in modules.items()}
        self._entries: dict[int, tuple[int, str, CodeObject]] = {}
        objects = list(objects)
        for code in objects:
            for address, size, symbol in code.functions:
                self._entries.setdefault(address, (size, symbol, code))
        self._starts = sorted(self._entries)
        self._owners = self._owners_of_generated(objects)
        self._known: dict[int, list[Location] | None] = {}

    def __len__(self) -> int:
        return len(self._starts)

    def locate(self, address: int) -> list[Location] | None:
        """Return the `Location` chain of an address, outermost first, or None outside the table."""
        if address not in self._known:
            self._known[address] = self._locate(address)
        return self._known[address]

    def _locate(self, address: int) -> list[Location] | None:
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start = self._starts[index]
        size, symbol, code = self._entries[start]
        if address >= start + size:
            return None
        outer = self._describe(symbol)
        chain = code.inline_chain(address)
        if not chain:
            return [outer]
        located = [outer._replace(line=chain[0][2] or outer.line)]
        for function, file, line in chain[1:]:
            module = self._module_of_file.get(file, Path(file).stem)
            known_line = line or names.definition_line(file, function)
            located.append(Location(function, module, file, known_line, True))
        return located

    def _owners_of_generated(self, objects: Iterable[CodeObject]) -> dict[str, tuple[str, str]]:
        """(symbol of the function, label) of what Numba has made of parts of functions, by key.

        The library of a function has the kernels of its parallel loops in it.
        """
        parts: dict[str, dict[str, names.Generated]] = {}
        for code in objects:
            symbols = [symbol for _, _, symbol in code.functions]
            owner = next((each for each in symbols if self._is_function(each, code.library)), None)
            if owner is not None:
                found = parts.setdefault(owner, {})
                for part in filter(None, map(names.generated, symbols)):
                    found.setdefault(part.key, part)
        owners: dict[str, tuple[str, str]] = {}
        for owner, found in parts.items():
            for kind in {part.kind for part in found.values()}:
                alike = sorted(part.order for part in found.values() if part.kind == kind)
                for key, part in found.items():
                    if part.kind == kind:
                        number = f" {alike.index(part.order) + 1}" if len(alike) > 1 else ""
                        owners.setdefault(key, (owner, kind + number))
        return owners

    def _is_function(self, symbol: str, library: str) -> bool:
        """Whether a symbol is that of the function that a library is named after."""
        path, wrapper = names.demangle(symbol)
        # Where the name of the library is not known, its first function is it.
        is_own = path.endswith(f".{library}") if library else symbol.startswith("_ZN")
        return is_own and not wrapper and names.generated(symbol) is None

    def _describe(self, symbol: str) -> Location:
        part = names.generated(symbol)
        if part is not None:
            owner, label = self._owners.get(part.key, ("", part.kind))
            if not owner:
                return Location(f"[{label}]", "numba", "", 0, False)
            whole = self._describe(owner)
            return whole._replace(function=f"{whole.function} [{label}]")
        path, wrapper = names.demangle(symbol)
        module, function = names.split_module(path, self._modules)
        file = self._modules.get(module, "")
        line = names.definition_line(file, function) if file else 0
        if wrapper:
            function = f"{function} [{wrapper}]"
        return Location(function, module or "numba", file, line, False)

    def symbols(self) -> Iterator[Symbol]:
        """Yield a `Symbol` per compiled function, by address."""
        for start in self._starts:
            size, symbol, code = self._entries[start]
            found = self._describe(symbol)
            yield Symbol(
                start, size, symbol, found.function, found.module, found.file, found.line,
                code.library,
            )  # fmt: skip


def _events(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # the last line of a killed process
            return


def load_tables(folder: Path) -> dict[int, ProcessTable]:
    """Read the tables of all processes of a profiled program.

    Parameters
    ----------
    folder : pathlib.Path
        What the program wrote.

    Returns
    -------
    dict of int to ProcessTable
        By process id. A forked process has its parent's code too.
    """
    objects: dict[int, list[CodeObject]] = {}
    modules: dict[int, dict[str, str]] = {}
    parents: dict[int, int] = {}
    versions: dict[int, dict[str, str]] = {}
    compiled: dict[int, list[Compiled]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        pid = int(path.stem)
        objects[pid], modules[pid], compiled[pid] = [], {}, []
        for event in _events(path):
            if "parent" in event:
                parents[pid] = event["parent"]
            elif "versions" in event:
                versions[pid] = event["versions"]
            elif "compiled" in event:
                compiled[pid].append(Compiled(**event["compiled"]))
            elif "modules" in event:
                modules[pid].update(event["modules"])
            else:
                bases = {int(section): base for section, base in event["bases"].items()}
                objects[pid].append(
                    CodeObject((folder / event["object"]).read_bytes(), event["library"], bases)
                )
    tables = {}
    for pid in objects:
        lineage = [pid]
        while (parent := parents.get(lineage[0])) in objects and parent not in lineage:
            lineage.insert(0, parent)
        tables[pid] = ProcessTable(
            [code for member in lineage for code in objects[member]],
            {name: file for member in lineage for name, file in modules[member].items()},
            next((versions[member] for member in reversed(lineage) if member in versions), None),
            compiled[pid],
        )
    return tables
