"""Recording a process that runs already, whether or not it prepared for that."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from profiling.backends import BACKENDS, PerfSampler, PySpySampler, RawSample, Sampler, attached
from profiling.faults import ProfilingError
from profiling.loaded_code import LoadedCode, main_file, table_of
from profiling.resolve import MemoryMap
from profiling.run import POLL_SECONDS, ProcessWatcher, Request, Run, Show
from profiling.symbols import ProcessTable

AUTOMATIC = "auto"
_PYTHON = re.compile(r"/(lib)?python\d[^/]*$", re.MULTILINE)
_LOOK_SECONDS = 0.25


def command_line(pid: int) -> list[str]:
    """What a process was started with; [] where there is none."""
    try:
        text = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return []
    return text.rstrip("\0").split("\0")


def _descendants(pid: int) -> Iterator[int]:
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = [int(child) for child in children.read_text().split()]
        except OSError:
            continue
        for child in found:
            yield child
            yield from _descendants(child)


def _require_python(pid: int) -> None:
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # what that means is said by whoever reads its memory
        return
    if maps and not _PYTHON.search(maps):
        command = " ".join(command_line(pid))
        raise ProfilingError(f"process {pid} is no Python: {command}")


class _Family:
    """The jitted code of a process and of its children."""

    def __init__(self, pid: int) -> None:
        _require_python(pid)
        self._pid = pid
        self._code = {pid: LoadedCode(pid)}
        self._main = {pid: main_file(pid)}
        self._due = 0.0

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        try:
            state = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in "ZX"

    def look(self) -> None:
        """Read what is new, if the last time is a while ago."""
        if time.monotonic() < self._due:
            return
        for child in set(_descendants(self._pid)) - set(self._code):
            try:
                self._code[child] = LoadedCode(child)
            except ProfilingError:  # it has ended already, or is somebody else's
                continue
            self._main[child] = main_file(child)
        for code in self._code.values():
            code.poll()
        self._due = time.monotonic() + _LOOK_SECONDS

    def tables(self, samples: list[RawSample]) -> dict[int, ProcessTable]:
        """Names of all that was read."""
        files = {
            frame.place.rpartition(":")[0]
            for sample in samples
            for frame in sample.frames
            if ".py:" in frame.place
        }
        made = {}
        for pid, code in self._code.items():
            made[pid] = table_of(code, pid, files, self._main[pid])
            code.close()
        return made


def _chosen(request: Request, folder: Path, pid: int, show: Show) -> Sampler:
    """Attach the sampler that was asked for, or the first that can be used here.

    perf comes first: it stops nothing, sees all threads, and needs no tables to name what runs.
    """
    if request.backend != AUTOMATIC:
        return _attached(BACKENDS[request.backend](folder, request.rate), pid, show)
    try:
        return _attached(PerfSampler(folder, request.rate), pid, show)
    except ProfilingError:
        return _attached(PySpySampler(folder, request.rate), pid, show)


def _attached(sampler: Sampler, pid: int, show: Show) -> Sampler:
    started = time.monotonic()
    others = sorted(set(_descendants(pid)))
    attached(sampler, pid, others, lambda: show("attaching", time.monotonic() - started))
    return sampler


def sample_running(request: Request, folder: Path, show: Show) -> Run:
    """Sample a running process until it ends, the time is over, or Ctrl-C.

    The process is never the worse for it: a sampler that loses its recorder goes too.

    Parameters
    ----------
    request : Request
        With a `pid`.
    folder : pathlib.Path
        For the sampler's files.
    show : callable

    Raises
    ------
    ProfilingError
        There is no such process, it is not Python, or it must not be traced.
    """
    pid = request.pid or 0
    family, watcher = _Family(pid), ProcessWatcher(pid)
    sampler = _chosen(request, folder, pid, show)
    started = time.monotonic()
    try:
        while family.is_alive and sampler.running:
            family.look()
            watcher.look()
            elapsed = time.monotonic() - started
            show("sampling", elapsed)
            if request.seconds is not None and elapsed >= request.seconds:
                break
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        pass  # how one ends it
    elapsed = time.monotonic() - started
    show("writing", elapsed)
    sampler.stop()
    samples = sampler.samples(pid)
    tables = family.tables(samples)
    memory = MemoryMap(watcher.text)
    return Run(
        samples, tables, pid, memory, None, False, (sampler,), 0, elapsed, watcher.thread_seconds
    )
