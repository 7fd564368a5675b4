"""From sampled addresses to frames with names: jitted, inlined, Python, native."""

import bisect
import functools
import os
import re
import sysconfig
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from profiling.backends import RawFrame, RawSample
from profiling.libraries import library
from profiling.symbols import Location, ProcessTable

JITTED, INLINED, PYTHON, NATIVE, UNKNOWN = "jitted", "inlined", "python", "native", "unknown"
RUN, COMPILE, IMPORT, EXIT = "run", "compile", "import", "exit"

_PYTHON_PLACE = re.compile(r"(?P<file>.*(?:\.py|\.pyx|\.ipynb|<[^>]*>)):(?P<line>\d+)$")
_SOURCE_PLACE = re.compile(r"(?P<file>.*\.[a-zA-Z+]+):(?P<line>\d+)$")
_COMPILER = re.compile(r"(^|/)(numba/core|llvmlite)/")
# What a call of a jitted function does before it is known whether anything has to be compiled.
_DISPATCH = re.compile(r"(^|/)numba/core/(typing/typeof|dispatcher|serialize)\.py$")
_COMPILING = re.compile(r"compile|_get_implementation|load_overload|save_overload|finalize")
_IMPORTER = re.compile(r"<frozen importlib\._bootstrap(_external)?>")


class Frame(NamedTuple):
    """A resolved frame.

    `file` is a shortened path or the name of a library; `line` is 0 where there is none.
    """

    name: str
    file: str
    line: int
    kind: str


class Stack(NamedTuple):
    """Equal resolved samples: frames from the outermost to the innermost, and their number."""

    phase: str
    process: int
    thread: str
    frames: tuple[Frame, ...]
    count: int  # type: ignore[assignment] # hides tuple.count


@functools.cache
def _standard_library() -> str:
    return sysconfig.get_path("stdlib")


@functools.lru_cache(maxsize=65_536)
def shorten(path: str) -> str:
    """Cut the part of a path that depends on the machine, where one is recognised.

    Examples
    --------
    >>> shorten("/opt/venv/lib/python3.11/site-packages/numba/core/base.py")
    'numba/core/base.py'
    """
    for marker in ("/site-packages/", "/dist-packages/"):
        if marker in path:
            return path.rpartition(marker)[2]
    for root in (os.getcwd(), _standard_library()):
        if path.startswith(root + os.sep):
            return path[len(root) + 1 :]
    match = re.search(r"/lib/python3\.\d+/(.*)", path)
    return match[1] if match else path


def _short_module(module: str) -> str:
    return "" if module in ("__main__", "") else module.rpartition(".")[2] + "."


def _jitted_frames(locations: Iterable[Location]) -> list[Frame]:
    return [
        Frame(
            _short_module(place.module) + place.function,
            shorten(place.file) if place.file else f"[{place.module}]",
            place.line,
            INLINED if place.inlined else JITTED,
        )
        for place in locations
    ]


def _named_frame(raw: RawFrame) -> Frame:
    place = raw.place
    if match := _PYTHON_PLACE.match(place):
        return Frame(raw.name, shorten(match["file"]), int(match["line"]), PYTHON)
    if match := _SOURCE_PLACE.match(place):
        return Frame(raw.name, match["file"].rpartition("/")[2], int(match["line"]), NATIVE)
    library = place.rpartition("/")[2]
    return Frame(raw.name or f"[{library}]", f"[{library}]", 0, NATIVE)


def phase_of(frames: Sequence[Frame], complete: bool = True) -> str:
    """Tell what a stack was doing: the innermost frame that says so decides.

    A complete stack without any Python frame is the interpreter starting or, mostly, cleaning up.

    Examples
    --------
    >>> importing = Frame("_find_and_load", "<frozen importlib._bootstrap>", 1, PYTHON)
    >>> phase_of([importing, Frame("kernel.decide", "kernel.py", 3, JITTED)])
    'run'
    >>> phase_of([importing, Frame("<module>", "kernel.py", 1, PYTHON)])
    'import'
    >>> main = Frame("main", "program.py", 1, PYTHON)
    >>> phase_of([main, Frame("typeof_pyval", "numba/core/dispatcher.py", 7, PYTHON)])
    'run'
    >>> phase_of([main, Frame("compile", "numba/core/dispatcher.py", 9, PYTHON)])
    'compile'
    """
    for frame in reversed(frames):
        if frame.kind in (JITTED, INLINED):
            return RUN
        if _DISPATCH.search(frame.file) and not _COMPILING.search(frame.name):
            continue  # finding the types of arguments is part of every call
        if _COMPILER.search(frame.file) or frame.file.startswith("[libllvmlite"):
            return COMPILE
        if _IMPORTER.search(frame.file):
            return IMPORT
    if complete and not any(frame.kind == PYTHON for frame in frames):
        return EXIT
    return RUN


class Mapping(NamedTuple):
    """Executable memory: the file it shows ("" for none), and the offset in it of `start`."""

    start: int
    end: int
    file: str
    offset: int


class MemoryMap:
    """What executable memory holds, from the text of ``/proc/PID/maps``.

    Examples
    --------
    >>> where = MemoryMap("1000-2000 r-xp 0100 08:01 7 /lib/libm.so.6\\n3000-4000 r-xp 0 0:0 0\\n")
    >>> where.mapping_at(0x1800)
    Mapping(start=4096, end=8192, file='/lib/libm.so.6', offset=256)
    >>> where.mapping_at(0x3800).file, where.mapping_at(0x9000)
    ('', None)
    """

    def __init__(self, text: str) -> None:
        self._mappings = []
        for line in text.splitlines():
            fields = line.split(maxsplit=5)
            if len(fields) < 5 or "x" not in fields[1]:
                continue
            start, end = (int(part, 16) for part in fields[0].split("-"))
            file = fields[5] if len(fields) > 5 else ""
            self._mappings.append(Mapping(start, end, file, int(fields[2], 16)))
        self._mappings.sort()
        self._starts = [mapping.start for mapping in self._mappings]

    def __bool__(self) -> bool:
        return bool(self._mappings)

    def mapping_at(self, address: int) -> Mapping | None:
        """Return the `Mapping` of an address, None where there is no code."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._mappings[index].end:
            return None
        return self._mappings[index]


class Resolver:
    """Resolves raw samples with the tables of the profiled processes.

    Parameters
    ----------
    tables : dict of int to ProcessTable
        By process id.
    default : int
        Process whose table serves children that wrote none of their own.
    memory : MemoryMap, optional
        Of the main process; tells jitted code without a name from code of a library.
    complete : bool
        Whether the stacks reach up to the Python frames.

    Attributes
    ----------
    named, unnamed : int
        Samples whose innermost address lies in jitted code, with and without a name.
    """

    def __init__(
        self,
        tables: dict[int, ProcessTable],
        default: int,
        memory: MemoryMap | None = None,
        complete: bool = True,
    ) -> None:
        self._tables = tables
        self._default = default
        self._memory = memory
        self._complete = complete
        self.named = 0
        self.unnamed = 0

    def resolve(self, sample: RawSample) -> Stack:
        """Return the `Stack` of a `RawSample`."""
        table = self._tables.get(sample.pid) or self._tables.get(self._default)
        frames = []
        last = len(sample.frames) - 1
        for position, raw in enumerate(sample.frames):
            frames.extend(self._resolve_frame(table, raw, position == last, sample.count))
        if not frames:
            frames.append(Frame("[unknown]", "[unknown]", 0, UNKNOWN))
        phase = phase_of(frames, self._complete)
        return Stack(phase, sample.pid, sample.thread, tuple(frames), sample.count)

    def _resolve_frame(
        self, table: ProcessTable | None, raw: RawFrame, innermost: bool, count: int
    ) -> list[Frame]:
        if not raw.address:
            return [_named_frame(raw)]
        # A caller's address is that after its call, which may belong to the next function.
        address = raw.address if innermost else raw.address - 1
        located = table.locate(address) if table else None
        if located:
            self.named += count if innermost else 0
            return _jitted_frames(located)
        mapping = self._memory.mapping_at(address) if self._memory else None
        if mapping is not None and mapping.file:
            name = library(mapping.file).function_at(address - mapping.start + mapping.offset)
            return [_named_frame(raw._replace(name=name, place=mapping.file))]
        if raw.place != "?":
            return [_named_frame(raw)]
        if innermost and (mapping is not None or not self._memory):
            self.unnamed += count
        return [Frame("[unknown]", "[unknown]", 0, UNKNOWN)]
