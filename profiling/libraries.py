"""Names inside shared libraries that the sampler left as addresses.

Distributions strip their libraries; the symbols of, for example, libm's internal logarithm are in
a separate file (Debian: libc6-dbg) that belongs to the library's build id.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

_DEBUG_ROOT = Path("/usr/lib/debug/.build-id")
_SYMBOL = np.dtype(
    [
        ("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"),
        ("size", "<u8"),
    ]
)  # fmt: skip
_FUNCTION, _INDIRECT_FUNCTION = 2, 10


def _build_id(elf: ELFFile) -> str:
    section: Any = elf.get_section_by_name(".note.gnu.build-id")
    for note in section.iter_notes() if section else ():
        if note["n_type"] == "NT_GNU_BUILD_ID":
            return str(note["n_desc"])
    return ""


class _Functions(NamedTuple):
    """Functions of one symbol table, sorted by address; names are read when asked for."""

    table: npt.NDArray[np.void]
    names: bytes

    def at(self, address: int) -> str:
        """Return the name of the function at an address, "" if there is none."""
        index = int(np.searchsorted(self.table["value"], address, side="right")) - 1
        if index < 0:
            return ""
        found = self.table[index]
        if address >= int(found["value"]) + max(int(found["size"]), 1):
            return ""
        start = int(found["name"])
        name = self.names[start : self.names.index(b"\0", start)].decode("utf-8", "replace")
        return name.partition("@")[0]


def _functions(elf: ELFFile) -> Iterator[_Functions]:
    """Yield the function tables of a file; they may hold a million entries."""
    for name in (".symtab", ".dynsym"):
        section = elf.get_section_by_name(name)
        if not isinstance(section, SymbolTableSection) or section["sh_entsize"] != _SYMBOL.itemsize:
            continue
        table = np.frombuffer(section.data(), _SYMBOL)
        kind = table["info"] & 15
        wanted = ((kind == _FUNCTION) | (kind == _INDIRECT_FUNCTION)) & (table["section"] != 0)
        table = np.sort(table[wanted], order="value", kind="stable")
        yield _Functions(table, section.stringtable.data())


class Library:
    """The functions of a library, from its own symbol tables and its detached one.

    Parameters
    ----------
    path : str
        The library. One that cannot be read has no functions.
    """

    def __init__(self, path: str) -> None:
        self._segments: list[tuple[int, int, int]] = []
        self._tables: list[_Functions] = []
        try:
            with open(path, "rb") as stream:
                elf = ELFFile(stream)
                self._segments = [
                    (segment["p_offset"], segment["p_filesz"], segment["p_vaddr"])
                    for segment in elf.iter_segments("PT_LOAD")
                ]
                self._tables.extend(_functions(elf))
                identity = _build_id(elf)
            detached = _DEBUG_ROOT / identity[:2] / f"{identity[2:]}.debug"
            if identity and detached.is_file():
                with open(detached, "rb") as stream:
                    self._tables.extend(_functions(ELFFile(stream)))
        except (OSError, ELFError):
            return

    @functools.cache  # noqa: B019 - libraries live as long as the process
    def function_at(self, offset: int) -> str:
        """Return the name of the function at an offset in the file, "" if unknown."""
        for start, size, virtual in self._segments:
            if start <= offset < start + size:
                address = virtual + offset - start
                return next(filter(None, (table.at(address) for table in self._tables)), "")
        return ""


@functools.cache
def library(path: str) -> Library:
    """Return the `Library` of a path."""
    return Library(path)
