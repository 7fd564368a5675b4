"""What is to be recorded, and what the sampling leaves behind."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from profiling.backends import RawSample, Sampler
from profiling.resolve import MemoryMap
from profiling.symbols import ProcessTable

Show: TypeAlias = Callable[[str, float], object]

POLL_SECONDS = 0.05
_MAP_SECONDS = 0.5


class Request(NamedTuple):
    """What to record.

    `seconds` None means until the program ends. `identifier` is that of a benchmark, or "".
    `compiling`: whether compilers are sampled however long they run. `pid` is that of a running
    process; then `command` only tells what it is.
    """

    command: list[str]
    out: Path
    identifier: str = ""
    seconds: float | None = None
    rate: int = 199
    backend: str = "py-spy"
    lines: bool = False
    compiling: bool = False
    pid: int | None = None

    @property
    def title(self) -> str:
        """What is recorded."""
        return self.identifier or " ".join(self.command)


class Run(NamedTuple):
    """What the sampling left behind."""

    samples: list[RawSample]
    tables: dict[int, ProcessTable]
    pid: int
    memory: MemoryMap
    exit_status: int | None
    interrupted: bool
    samplers: Sequence[Sampler]
    pauses: int
    elapsed: float
    thread_seconds: dict[str, float]
    was_ended: bool = False

    @property
    def unseen_seconds(self) -> float:
        """Processor time of the main process's threads of which there is no sample."""
        seen = {sample.thread for sample in self.samples if sample.pid == self.pid}
        return sum(spent for thread, spent in self.thread_seconds.items() if thread not in seen)

    @property
    def behind(self) -> float:
        """Seconds by which the last sampler has been late at worst."""
        return self.samplers[-1].behind()


class ProcessWatcher:
    """Keeps the last memory map of a process, and the processor time of its threads."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/maps")
        self._threads = Path(f"/proc/{pid}/task")
        self._due = 0.0
        self.text = ""
        self._last: dict[str, float] = {}
        with contextlib.suppress(OSError):
            self._look_at_threads()
        self._first = dict(self._last)

    @property
    def thread_seconds(self) -> dict[str, float]:
        """Processor time of each thread while it was watched."""
        return {name: last - self._first.get(name, 0.0) for name, last in self._last.items()}

    def _look_at_threads(self) -> None:
        for thread in self._threads.iterdir():
            fields = (thread / "stat").read_text().rpartition(")")[2].split()
            ticks = int(fields[11]) + int(fields[12])
            self._last[thread.name] = ticks / os.sysconf("SC_CLK_TCK")

    def look(self) -> None:
        """Read the map again if the last time is a while ago."""
        if time.monotonic() >= self._due:
            with contextlib.suppress(OSError):
                self.text = self._path.read_text() or self.text
                self._look_at_threads()
            self._due = time.monotonic() + _MAP_SECONDS
