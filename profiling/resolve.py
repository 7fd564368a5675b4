"""From sampled addresses to frames with names: jitted, inlined, Python, native."""

import os
import re
import sysconfig
from typing import NamedTuple

JITTED, INLINED, PYTHON, NATIVE, UNKNOWN = "jitted", "inlined", "python", "native", "unknown"
RUN, COMPILE, IMPORT = "run", "compile", "import"

_PYTHON_PLACE = re.compile(r"(?P<file>.*(?:\.py|\.pyx|\.ipynb|<[^>]*>)):(?P<line>\d+)$")
_SOURCE_PLACE = re.compile(r"(?P<file>.*\.[a-zA-Z+]+):(?P<line>\d+)$")
_COMPILER = re.compile(r"(^|/)(numba/core|llvmlite)/")
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
    frames: tuple
    count: int


def shorten(path):
    """Cut the part of a path that depends on the machine, where one is recognised.

    Examples
    --------
    >>> shorten("/opt/venv/lib/python3.11/site-packages/numba/core/base.py")
    'numba/core/base.py'
    """
    for marker in ("/site-packages/", "/dist-packages/"):
        if marker in path:
            return path.rpartition(marker)[2]
    for root in (os.getcwd(), sysconfig.get_path("stdlib")):
        if path.startswith(root + os.sep):
            return path[len(root) + 1 :]
    match = re.search(r"/lib/python3\.\d+/(.*)", path)
    return match[1] if match else path


def _short_module(module):
    return "" if module in ("__main__", "") else module.rpartition(".")[2] + "."


def _jitted_frames(locations):
    return [
        Frame(
            _short_module(place.module) + place.function,
            shorten(place.file) if place.file else f"[{place.module}]",
            place.line,
            INLINED if place.inlined else JITTED,
        )
        for place in locations
    ]


def _named_frame(raw):
    place = raw.place
    if match := _PYTHON_PLACE.match(place):
        return Frame(raw.name, shorten(match["file"]), int(match["line"]), PYTHON)
    if match := _SOURCE_PLACE.match(place):
        return Frame(raw.name, match["file"].rpartition("/")[2], int(match["line"]), NATIVE)
    library = place.rpartition("/")[2]
    return Frame(raw.name or f"[{library}]", f"[{library}]", 0, NATIVE)


def phase_of(frames):
    """Tell what a stack was doing: the innermost frame that says so decides.

    Examples
    --------
    >>> importing = Frame("_find_and_load", "<frozen importlib._bootstrap>", 1, PYTHON)
    >>> phase_of([importing, Frame("kernel.decide", "kernel.py", 3, JITTED)])
    'run'
    >>> phase_of([importing, Frame("<module>", "kernel.py", 1, PYTHON)])
    'import'
    """
    for frame in reversed(frames):
        if frame.kind in (JITTED, INLINED):
            return RUN
        if _COMPILER.search(frame.file) or frame.file.startswith("[libllvmlite"):
            return COMPILE
        if _IMPORTER.search(frame.file):
            return IMPORT
    return RUN


class Resolver:
    """Resolves raw samples with the tables of the profiled processes.

    Parameters
    ----------
    tables : dict of int to ProcessTable
        By process id.
    default : int
        Process whose table serves children that wrote none of their own.

    Attributes
    ----------
    named, unnamed : int
        Samples whose innermost address lies in jitted code, with and without a name.
    """

    def __init__(self, tables, default):
        self._tables = tables
        self._default = default
        self.named = 0
        self.unnamed = 0

    def resolve(self, sample):
        """Return the `Stack` of a `RawSample`."""
        table = self._tables.get(sample.pid) or self._tables.get(self._default)
        frames = []
        last = len(sample.frames) - 1
        for position, raw in enumerate(sample.frames):
            frames.extend(self._resolve_frame(table, raw, position == last, sample.count))
        if not frames:
            frames.append(Frame("[unknown]", "[unknown]", 0, UNKNOWN))
        return Stack(phase_of(frames), sample.pid, sample.thread, tuple(frames), sample.count)

    def _resolve_frame(self, table, raw, innermost, count):
        if raw.address and raw.place == "?":
            # A caller's address is that after its call, which may belong to the next function.
            address = raw.address if innermost else raw.address - 1
            located = table.locate(address) if table else None
            if located:
                self.named += count if innermost else 0
                return _jitted_frames(located)
            self.unnamed += count if innermost else 0
            return [Frame("[unknown]", "[unknown]", 0, UNKNOWN)]
        return [_named_frame(raw)]
