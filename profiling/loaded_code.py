"""The jitted code of a running process, read from outside: nothing has to be prepared in it.

LLVM keeps a list of the objects it has loaded, for debuggers (the interface of GDB: symbol
``__jit_debug_descriptor``, here in ``libllvmlite.so``). Each entry points at a whole ELF object in
memory, with the addresses it was loaded at. Reading it takes the permission that py-spy needs.
"""

import contextlib
import functools
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile

from profiling import names
from profiling.faults import ExitStatus, ProfilingError
from profiling.symbols import CodeObject, ProcessTable

_SYMBOL = np.dtype(
    [
        ("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"),
        ("size", "<u8"),
    ]
)  # fmt: skip
_NAME = b"\0__jit_debug_descriptor\0"
_LIBRARY = "libllvmlite.so"
_DESCRIPTOR = struct.Struct("<IIQQ")  # version, action, relevant entry, first entry
_ENTRY = struct.Struct("<QQQQ")  # next, previous, address of the object, its size
_MOST_ENTRIES = 1_000_000  # a list that is changed while it is read may lead in a circle
_LARGEST_OBJECT = 1 << 28
_PARENTS_TRIED = 6


@functools.cache
def _descriptor_offset(path: str) -> int | None:
    """Where the descriptor is in the library, counted from where that is loaded."""
    with open(path, "rb") as file:
        image = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        elf = ELFFile(file)
        symbols, strings = (elf.get_section_by_name(name) for name in (".symtab", ".strtab"))
        if symbols is None or strings is None:
            return None
        place = image.find(_NAME, strings["sh_offset"]) + 1 - strings["sh_offset"]
        count = symbols["sh_size"] // _SYMBOL.itemsize
        table = np.frombuffer(image, _SYMBOL, count, symbols["sh_offset"])
        found = table["value"][table["name"] == place]
        lowest = min(each["p_vaddr"] for each in elf.iter_segments() if each["p_type"] == "PT_LOAD")
        return int(found[0]) - (lowest & ~0xFFF) if len(found) else None


class LoadedCode:
    """The objects that LLVM has loaded in one process, also those that it has freed since.

    Parameters
    ----------
    pid : int

    Raises
    ------
    ProfilingError
        There is no such process, or its memory must not be read.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor: int | None = None
        self._seen: set[tuple[int, int, int]] = set()
        self.objects: list[CodeObject] = []
        try:
            self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        except FileNotFoundError:
            raise ProfilingError(f"there is no process {pid}") from None
        except PermissionError:
            raise ProfilingError(
                f"the memory of process {pid} must not be read: run as root or as its owner, in a"
                " container with --cap-add=SYS_PTRACE, or set kernel.yama.ptrace_scope=0",
                ExitStatus.TOOL_UNUSABLE,
            ) from None

    def poll(self) -> None:
        """Read what has been loaded since the last time."""
        with contextlib.suppress(OSError, struct.error, ProcessLookupError):
            if self._descriptor is None:
                self._descriptor = self._find()
            if self._descriptor is not None:
                for entry in list(self._new_entries(self._descriptor)):
                    self._read_object(*entry)

    def close(self) -> None:
        """Let go of the process."""
        os.close(self._memory)

    def _read(self, address: int, size: int) -> bytes:
        return os.pread(self._memory, size, address)

    def _find(self) -> int | None:
        with open(f"/proc/{self._pid}/maps") as maps:
            lines = [line.split(maxsplit=5) for line in maps if line.rstrip().endswith(_LIBRARY)]
        if not lines:
            return None
        offset = _descriptor_offset(f"/proc/{self._pid}/root{lines[0][5].strip()}")
        return None if offset is None else int(lines[0][0].split("-")[0], 16) + offset

    def _new_entries(self, descriptor: int) -> Iterator[tuple[int, int, int]]:
        entry = _DESCRIPTOR.unpack(self._read(descriptor, _DESCRIPTOR.size))[3]
        for _ in range(_MOST_ENTRIES):
            if not entry:
                return
            following, _, address, size = _ENTRY.unpack(self._read(entry, _ENTRY.size))
            if (entry, address, size) not in self._seen:
                yield entry, address, size
            entry = following

    def _read_object(self, entry: int, address: int, size: int) -> None:
        data = self._read(address, size) if size < _LARGEST_OBJECT else b""
        if len(data) == size and data.startswith(b"\x7fELF"):
            self._seen.add((entry, address, size))
            self.objects.append(CodeObject.loaded(data))


# --- which file is a module? ----------------------------------------------------------------------


def _roots(pid: int, sampled_files: Iterable[str]) -> list[Path]:
    """Folders in which the process may have found its modules."""
    process = Path(f"/proc/{pid}")
    roots: dict[Path, None] = {}
    with contextlib.suppress(OSError):
        roots[Path(os.readlink(process / "cwd"))] = None
    for variable in _text(process / "environ").split("\0"):
        if variable.startswith("PYTHONPATH="):
            roots.update((Path(part), None) for part in variable.partition("=")[2].split(":"))
    for line in _text(process / "maps").splitlines():
        path = line.partition("/")[2]
        for marker in ("/site-packages/", "/dist-packages/", "/lib-dynload/"):
            if marker in path:
                root = Path("/" + path.partition(marker)[0])
                roots[root / marker.strip("/") if "packages" in marker else root] = None
    for file in sampled_files:
        roots.update((parent, None) for parent in list(Path(file).parents)[:_PARENTS_TRIED])
    return [root for root in roots if root.is_dir() and root != Path("/")]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def main_file(pid: int) -> str:
    """The script that a process runs, or "" where its command line does not tell."""
    with contextlib.suppress(OSError):
        folder = os.readlink(f"/proc/{pid}/cwd")
        for word in _text(Path(f"/proc/{pid}/cmdline")).split("\0")[1:]:
            if word.endswith(".py"):
                return os.path.abspath(os.path.join(folder, word))
    return ""


def _file_of(module: str, roots: list[Path]) -> str:
    relative = module.replace(".", "/")
    for root in roots:
        for candidate in (root / f"{relative}.py", root / relative / "__init__.py"):
            if candidate.is_file():
                return str(candidate)
    return ""


def table_of(code: LoadedCode, pid: int, sampled_files: Iterable[str], main: str) -> ProcessTable:
    """Make the table of a process whose code was read from outside.

    Parameters
    ----------
    code : LoadedCode
    pid : int
    sampled_files : iterable of str
        Python files that were seen in its stacks.
    main : str
        Its script.
    """
    files = sorted(set(sampled_files))
    roots = _roots(pid, [*files, main] if main else files)
    modules: dict[str, str] = {"__main__": main} if main else {}
    tried: set[str] = set()
    for each in code.objects:
        for _, _, symbol in each.functions:
            parts = names.demangle(symbol).path.split(".")
            for length in range(len(parts) - 1, 0, -1):
                module = ".".join(parts[:length])
                if module in tried or not all(map(str.isidentifier, parts[:length])):
                    continue
                tried.add(module)
                if file := _file_of(module, roots):
                    modules[module] = file
    return ProcessTable(code.objects, modules)
