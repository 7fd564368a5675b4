"""Start a program with the recorder's hooks in it, and let a sampler attach before it begins."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from profiling.backends import Sampler, attached
from profiling.faults import ProfilingError

BOOTSTRAP = Path(__file__).parent / "bootstrap"
_POLL_SECONDS = 0.01
_END_TIMEOUT_SECONDS = 10.0
_INTERRUPT_TIMEOUT_SECONDS = 60.0


def own_cache(with_lines: bool) -> Path:
    """Return the folder of a compile cache that recordings share with nobody.

    Numba's cache does not know about line tables and unwinding tables, so code with and without
    them must not meet in one folder.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / ("numba-with-lines" if with_lines else "numba-with-unwinding")


def _is_in_foreground() -> bool:
    """Whether a terminal sends its signals to the recorder, and so to the program as well."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


class Program:
    """The profiled program.

    Parameters
    ----------
    command : list of str
        Program and arguments; a leading ``python`` means the recorder's own interpreter.
    folder : pathlib.Path
        Where the program writes its table of jitted functions.
    with_lines : bool
        Have Numba add line tables to the code it generates.
    gate_later : bool
        The program itself says when there is something to sample; it is a benchmark of ours,
        and its compiled code is cached apart, with unwinding tables.
    unwindable : bool
        Make jitted code known to samplers that unwind the stack.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        with_lines: bool = False,
        gate_later: bool = False,
        unwindable: bool = True,
    ) -> None:
        self._folder = folder
        environment = dict(os.environ)
        path = [str(BOOTSTRAP)]
        if environment.get("PYTHONPATH"):
            path.append(environment["PYTHONPATH"])
        environment["PYTHONPATH"] = os.pathsep.join(path)
        environment["JITTED_CODE_TABLE"] = environment["JITTED_CODE_GATE"] = str(folder)
        environment["JITTED_CODE_RECORDER"] = str(os.getpid())
        if with_lines:
            environment["JITTED_CODE_LINES"] = "1"
        if with_lines or gate_later:
            environment.setdefault("NUMBA_CACHE_DIR", str(own_cache(with_lines)))
        if unwindable:
            environment["JITTED_CODE_UNWIND"] = "1"
        if gate_later:
            environment["JITTED_CODE_GATE_LATER"] = "1"
        if command[0] == "python":
            command = [sys.executable, *command[1:]]
        try:
            self._process = subprocess.Popen(command, env=environment)
        except OSError as error:
            raise ProfilingError(f"cannot run {command[0]}: {error.strerror}") from None

    @property
    def exit_status(self) -> int | None:
        """Exit status of the program, None while it runs; negative for a signal."""
        return self._process.poll()

    def wait_until_ready(self, on_wait: Callable[[], object] = lambda: None) -> int | None:
        """Return the process id to sample, or None if the program ended before.

        A program that never reaches the hooks (``python -I``, or no Python at all) is an error.
        """
        ready = self._folder / "ready"
        while not ready.exists():
            if self.exit_status is not None:
                return None
            on_wait()
            time.sleep(_POLL_SECONDS)
        return int(ready.read_text())

    def attach(self, sampler: Sampler, pid: int) -> None:
        """Attach a sampler to the waiting program and let it go on."""
        try:
            attached(sampler, pid)
        except ProfilingError:
            self.end()
            raise
        (self._folder / "go").touch()
        (self._folder / "paused").unlink(missing_ok=True)

    def pause_sampling(self, sampler: Sampler) -> None:
        """Stop a sampler; the program will wait for the next one when it has compiled."""
        (self._folder / "paused").touch()
        sampler.stop()

    @property
    def compiling(self) -> bool:
        """Whether Numba compiles now."""
        return (self._folder / "compiling").exists()

    @property
    def finished(self) -> bool:
        """Whether the program has run to its end, or is gone."""
        return self.exit_status is not None or (self._folder / "done").exists()

    def wait(self, on_wait: Callable[[], object] = lambda: None) -> None:
        """Wait for the end of the command, which may go on after its first Python has ended."""
        while self.exit_status is None:
            on_wait()
            time.sleep(_POLL_SECONDS)

    def interrupt(self) -> None:
        """Let the program end as Ctrl-C ends it, in its own time; a second Ctrl-C ends it now."""
        if not _is_in_foreground():  # a terminal has told the program itself
            self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            self._process.wait(_INTERRUPT_TIMEOUT_SECONDS)

    def end(self) -> int | None:
        """End a program that has not ended by itself.

        Returns
        -------
        int or None
            The exit status, None for a program that had to be ended.
        """
        if self.exit_status is not None:
            return self.exit_status
        self._process.terminate()
        try:
            self._process.wait(_END_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return None
