"""The two samplers, py-spy and perf: how to start them, and what their output means.

Both yield `RawSample`: addresses and names as the sampler saw them, nothing resolved yet.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from profiling.faults import ExitStatus, ProfilingError
from profiling.symbols import ProcessTable

OLDEST_PY_SPY = (0, 4, 0)
_STOP_TIMEOUT_SECONDS = 30.0

_PROCESS = re.compile(r'process (\d+):"')
_PR_SET_PDEATHSIG = 1
_ATTACH_TIMEOUT_SECONDS, _POLL_SECONDS = 45.0, 0.01
_THREAD = re.compile(r'(?:^|";)thread \(([^)]*)\)(?:: [^;]*)?(?:;|$)')
_FRAME = re.compile(r"(?P<name>.*) \((?P<place>[^()]*(?:\([^()]*\))?[^()]*)\)$")
_ADDRESS = re.compile(r"0x[0-9a-f]+$")
_PERF_SAMPLE = re.compile(r"\s*(?P<pid>\d+)/(?P<tid>\d+)\s+(?P<address>[0-9a-f]+)\s+(?P<rest>.*)$")


class RawFrame(NamedTuple):
    """A frame as sampled: an address (0 if named by the sampler), or a name and its place."""

    address: int
    name: str
    place: str


class RawSample(NamedTuple):
    """Equal stacks of one thread, outermost frame first, and how often they were seen."""

    pid: int
    thread: str
    frames: tuple[RawFrame, ...]
    count: int  # type: ignore[assignment] # hides tuple.count


def _find(program: str, otherwise: str) -> str:
    beside_python = Path(sysconfig.get_path("scripts")) / program
    found = str(beside_python) if beside_python.exists() else shutil.which(program)
    if found is None:
        raise ProfilingError(otherwise, ExitStatus.TOOL_UNUSABLE)
    return found


def _output_of(command: Sequence[str]) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    return finished.stdout + finished.stderr


def parse_frame(text: str) -> RawFrame:
    """Take a frame of py-spy's raw output apart.

    Examples
    --------
    >>> parse_frame("0x7fc263bc2169 (?)")
    RawFrame(address=140472873656681, name='', place='?')
    >>> parse_frame("main (/srv/a (1)/program.py:12)")
    RawFrame(address=0, name='main', place='/srv/a (1)/program.py:12')
    """
    match = _FRAME.match(text)
    if match is None:
        return RawFrame(0, text, "")
    name, place = match["name"], match["place"]
    if _ADDRESS.match(name):
        return RawFrame(int(name, 16), "", place)
    return RawFrame(0, name, place)


def parse_raw_line(line: str) -> RawSample | None:
    """Parse a line of py-spy's raw output; None for one that is no stack."""
    stack, _, count = line.rpartition(" ")
    threads = list(_THREAD.finditer(stack))
    if not count.isdigit() or not threads:
        return None
    # Command lines may hold anything, semicolons too; the thread ends them.
    head, frames = stack[: threads[0].start()], stack[threads[0].end() :]
    processes = _PROCESS.findall(head + '"')
    pid = int(processes[-1]) if processes else 0
    parsed = tuple(parse_frame(text) for text in frames.split(";") if text)
    return RawSample(pid, threads[0][1], parsed, int(count))


_library = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """Have a sampler end, and let its target go on, when the recorder is killed."""
    _library.prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


class Sampler(ABC):
    """A sampler of one process; its samples are complete once `stop` has returned."""

    name: str
    """What the command line calls it."""
    complete: bool
    """Whether stacks reach the outermost frame."""
    version: str
    _log: Path

    @abstractmethod
    def __init__(self, folder: Path, rate: int, number: int = 0) -> None:
        """Refuse what cannot be used here."""

    @abstractmethod
    def attach(self, pid: int, others: Sequence[int] = ()) -> None:
        """Start sampling a process, and others that it has started already."""

    @property
    @abstractmethod
    def attached(self) -> bool:
        """Whether samples are being taken."""

    @abstractmethod
    def explain_failure(self) -> str:
        """Say in one sentence why the sampler could not attach."""

    @abstractmethod
    def samples(self, pid: int) -> list[RawSample]:
        """Return the samples of a finished run."""

    @abstractmethod
    def errors(self) -> int:
        """Return how many samples were lost."""

    @abstractmethod
    def behind(self) -> float:
        """Return by how many seconds the sampler has been late at worst."""

    # Its own process group: Ctrl-C on the terminal must not reach it before the recorder does.
    def _start(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with open(log, "wb") as stream:
            self._process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                process_group=0, preexec_fn=_end_with_parent,
            )  # fmt: skip

    @property
    def running(self) -> bool:
        """Whether the sampler still runs."""
        return self._process.poll() is None

    def said(self) -> str:
        """Return what the sampler has printed so far."""
        return Path(self._log).read_text(errors="replace")

    def stop(self) -> None:
        """Make the sampler write what it has, and wait until it has done so."""
        if self.running:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def attached(
    sampler: Sampler,
    pid: int,
    others: Sequence[int] = (),
    on_wait: Callable[[], object] = lambda: None,
) -> None:
    """Attach a sampler, and wait until it samples.

    Raises
    ------
    ProfilingError
        It can not; it is stopped then.
    """
    sampler.attach(pid, others)
    deadline = time.monotonic() + _ATTACH_TIMEOUT_SECONDS
    while not sampler.attached:
        if not sampler.running or time.monotonic() > deadline:
            sampler.stop()
            raise ProfilingError(sampler.explain_failure(), ExitStatus.TOOL_UNUSABLE)
        on_wait()
        time.sleep(_POLL_SECONDS)


class PySpySampler(Sampler):
    """py-spy with native frames: samples of all Python threads of a process and its children.

    Parameters
    ----------
    folder : pathlib.Path
        For the sampler's files.
    rate : int
        Samples per second.
    number : int
        Distinguishes the files of several samplers, one after the other.
    """

    name, complete = "py-spy", True

    def __init__(self, folder: Path, rate: int, number: int = 0) -> None:
        self._program = _find("py-spy", "py-spy is not installed: pip install py-spy")
        self.version = _output_of([self._program, "--version"]).strip()
        numbers = tuple(int(number) for number in re.findall(r"\d+", self.version)[:3])
        if numbers < OLDEST_PY_SPY:
            oldest = ".".join(map(str, OLDEST_PY_SPY))
            raise ProfilingError(
                f"{self.version or 'this py-spy'} is too old: pip install 'py-spy>={oldest}'",
                ExitStatus.TOOL_UNUSABLE,
            )
        self._output = folder / f"samples-{number}.raw"
        self._log = folder / f"sampler-{number}.log"
        self._rate = rate

    def attach(self, pid: int, others: Sequence[int] = ()) -> None:
        """Start sampling a process; py-spy finds its children itself."""
        command = [
            self._program, "record", "--pid", str(pid), "--native", "--threads", "--subprocesses",
            "--full-filenames", "--rate", str(self._rate), "--format", "raw",
            "--output", str(self._output),
        ]  # fmt: skip
        self._start(command, self._log)

    @property
    def attached(self) -> bool:
        """Whether samples are being taken."""
        return "Sampling process" in self.said()

    def explain_failure(self) -> str:
        """Say in one sentence why the sampler could not attach."""
        said = self.said()
        if re.search("permission denied|not permitted|sudo", said, re.IGNORECASE):
            return (
                "py-spy is not allowed to trace the program (ptrace): run as root, or in a "
                "container with --cap-add=SYS_PTRACE, or set kernel.yama.ptrace_scope=0"
            )
        if "No python processes found" in said:
            return (
                "py-spy found no Python whose stack it can read: the process is none, or it is in"
                " jitted code without unwinding tables, where --backend perf is of use"
            )
        return f"py-spy could not attach: {said.strip().splitlines()[0] if said.strip() else '?'}"

    def samples(self, pid: int) -> list[RawSample]:
        """Return the list of `RawSample` of a finished run."""
        if not self._output.exists():
            return []
        lines = self._output.read_text(errors="replace").splitlines()
        parsed = (parse_raw_line(line) for line in lines)
        return [
            sample if sample.pid else sample._replace(pid=pid)
            for sample in parsed
            if sample is not None
        ]

    def errors(self) -> int:
        """Return how many samples the sampler could not unwind."""
        match = re.search(r"Errors: (\d+)", self.said())
        return int(match[1]) if match else 0

    def behind(self) -> float:
        """Return by how many seconds the sampler has been late at worst."""
        found = re.findall(r"([\d.]+)s behind in sampling", self.said())
        return max(map(float, found), default=0.0)


def perf_map(table: ProcessTable) -> str:
    """Format a process's table as perf expects it in ``/tmp/perf-PID.map``."""
    return "".join(
        f"{symbol.address:x} {symbol.size:x} {symbol.module}.{symbol.function}\n"
        for symbol in table.symbols()
    )


class PerfSampler(Sampler):
    """Linux perf on the CPU clock: all threads, also those that Python does not know.

    The stack is one frame deep: jitted code keeps no frame pointers, so perf cannot walk it.
    """

    name, complete = "perf", False

    def __init__(self, folder: Path, rate: int, number: int = 0) -> None:
        self._program = _find(
            "perf", "perf is not installed: apt-get install linux-perf (or use --backend py-spy)"
        )
        self.version = _output_of([self._program, "--version"]).strip()
        self._folder = folder
        self._rate = rate
        self._output = folder / "perf.data"

    def attach(self, pid: int, others: Sequence[int] = ()) -> None:
        """Start sampling a process, and others that it has started already."""
        pids = ",".join(map(str, (pid, *others)))
        command = [
            self._program, "record", "--event", "cpu-clock", "--freq", str(self._rate),
            "--inherit", "--pid", pids, "--output", str(self._output),
            "--control", f"fifo:{self._make_fifo('control')},{self._make_fifo('answer')}",
        ]  # fmt: skip
        self._control = os.open(self._folder / "control", os.O_RDWR)
        self._answer = os.open(self._folder / "answer", os.O_RDWR | os.O_NONBLOCK)
        self._start(command, self._folder / "sampler.log")
        os.write(self._control, b"ping\n")
        self._attached = False

    def _make_fifo(self, name: str) -> Path:
        path = self._folder / name
        os.mkfifo(path)
        return path

    @property
    def attached(self) -> bool:
        """Whether samples are being taken: perf has answered the ping."""
        if not self._attached:
            try:
                self._attached = b"ack" in os.read(self._answer, 64)
            except BlockingIOError:
                return False
        return self._attached

    def stop(self) -> None:
        """Make perf write what it has, and wait until it has done so."""
        super().stop()
        os.close(self._control)
        os.close(self._answer)

    def explain_failure(self) -> str:
        """Say in one sentence why the sampler could not attach."""
        said = self.said()
        if re.search("permission|not permitted|paranoid|access", said, re.IGNORECASE):
            return (
                "perf is not allowed to sample the program: run as root, or set "
                "kernel.perf_event_paranoid=1 (sysctl -w), or use --backend py-spy"
            )
        return f"perf could not attach: {said.strip().splitlines()[-1] if said.strip() else '?'}"

    def samples(self, pid: int) -> list[RawSample]:
        """Return the list of `RawSample` of a finished run."""
        if not self._output.exists():
            return []
        command = [
            self._program, "script", "--input", str(self._output), "--fields",
            "pid,tid,ip,sym,dso",
        ]  # fmt: skip
        counted: dict[tuple[int, str, RawFrame], int] = {}
        for line in _output_of(command).splitlines():
            match = _PERF_SAMPLE.match(line)
            if match is None:
                continue
            name, _, place = match["rest"].rpartition(" (")
            named = name not in ("", "[unknown]") and "perf-" not in place
            address = int(match["address"], 16)
            frame = RawFrame(0 if named else address, name if named else "", place.rstrip(")"))
            if "perf-" in frame.place or frame.place in ("//anon", "[unknown]", "anon"):
                frame = frame._replace(place="?")
            key = (int(match["pid"]), match["tid"], frame)
            counted[key] = counted.get(key, 0) + 1
        return [RawSample(pid, tid, (frame,), n) for (pid, tid, frame), n in counted.items()]

    def errors(self) -> int:
        """Return how many samples perf says it lost."""
        match = re.search(r"lost (\d+)", self.said(), re.IGNORECASE)
        return int(match[1]) if match else 0

    def behind(self) -> float:
        """Return 0: the kernel takes the samples in time or not at all."""
        return 0.0


BACKENDS: dict[str, type[PySpySampler] | type[PerfSampler]] = {
    sampler.name: sampler for sampler in (PySpySampler, PerfSampler)
}
