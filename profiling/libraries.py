"""Names inside shared libraries that the sampler left as addresses.

Distributions strip their libraries; the symbols of, for example, libm's internal logarithm are in
a separate file (Debian: libc6-dbg) that belongs to the library's build id.
"""

import bisect
import functools
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

_DEBUG_ROOT = Path("/usr/lib/debug/.build-id")
_CODE_TYPES = ("STT_FUNC", "STT_GNU_IFUNC", "STT_LOOS")


def _build_id(elf):
    section = elf.get_section_by_name(".note.gnu.build-id")
    for note in section.iter_notes() if section else ():
        if note["n_type"] == "NT_GNU_BUILD_ID":
            return note["n_desc"]
    return ""


def _functions(elf):
    for name in (".symtab", ".dynsym"):
        section = elf.get_section_by_name(name)
        for symbol in section.iter_symbols() if isinstance(section, SymbolTableSection) else ():
            if symbol["st_info"]["type"] in _CODE_TYPES and symbol["st_shndx"] != "SHN_UNDEF":
                yield symbol["st_value"], symbol["st_size"], symbol.name.partition("@")[0]


class Library:
    """The functions of a library, from its own symbol tables and its detached one.

    Parameters
    ----------
    path : str
        The library. One that cannot be read has no functions.
    """

    def __init__(self, path):
        self._segments, self._functions = [], []
        try:
            with open(path, "rb") as stream:
                elf = ELFFile(stream)
                self._segments = [
                    (segment["p_offset"], segment["p_filesz"], segment["p_vaddr"])
                    for segment in elf.iter_segments("PT_LOAD")
                ]
                found = set(_functions(elf))
                identity = _build_id(elf)
            detached = _DEBUG_ROOT / identity[:2] / f"{identity[2:]}.debug"
            if identity and detached.is_file():
                with open(detached, "rb") as stream:
                    found.update(_functions(ELFFile(stream)))
        except (OSError, ELFError):
            return
        self._functions = sorted(found)
        self._starts = [start for start, _, _ in self._functions]

    def function_at(self, offset):
        """Return the name of the function at an offset in the file, "" if unknown."""
        for start, size, virtual in self._segments:
            if start <= offset < start + size:
                return self._at_virtual(virtual + offset - start)
        return ""

    def _at_virtual(self, address):
        index = bisect.bisect_right(self._starts, address) - 1 if self._functions else -1
        if index < 0:
            return ""
        start, size, name = self._functions[index]
        return name if address < start + max(size, 1) else ""


@functools.cache
def library(path):
    """Return the `Library` of a path."""
    return Library(path)
