"""One line on a terminal that tells what is being done, for work that takes long."""

import shutil
import sys
import time
from typing import Self, TextIO

AFTER_SECONDS = 2.0
_PERIOD_SECONDS = 0.1
_CLEAR = "\r\033[K"


class Progress:
    """The line; it appears on terminals only, and is cleared at the end.

    Parameters
    ----------
    after_seconds : float, default 2
        How long nothing is shown.
    stream : file, optional
        By default the standard error.

    Examples
    --------
    >>> with Progress() as progress:
    ...     for done in range(3):
    ...         progress.step(done, 3, "counting")
    """

    silent = False
    """Whether no line appears: in processes that work for one that has a line of its own."""

    def __init__(self, after_seconds: float = AFTER_SECONDS, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._after_seconds = after_seconds
        self._begun = time.monotonic()
        self._shown_at: float | None = None

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    @property
    def seconds(self) -> float:
        """Time since the beginning."""
        return time.monotonic() - self._begun

    def show(self, text: str) -> None:
        """Show a text in place of the last one; what comes too soon after it is left out."""
        now = time.monotonic()
        if self.silent or now - self._begun < self._after_seconds or not self._stream.isatty():
            return
        if self._shown_at is None or now - self._shown_at >= _PERIOD_SECONDS:
            self._shown_at = now
            self._write(text[: shutil.get_terminal_size().columns - 1])

    def step(self, done: int, total: int, name: str = "") -> None:
        """Show how much of the work is done, how long the rest may take, and what is going on."""
        rest = f", about {self.seconds / done * (total - done):.0f} s left" if done else ""
        self.show(f"{done} of {total}{rest}{name and ': '}{name}")

    def end(self, text: str = "") -> None:
        """Clear the line, if there is one; leave a text in its place, if one is given."""
        if self._shown_at is not None:
            self._shown_at = None
            self._write(f"{text}\n" if text else "")

    def _write(self, text: str) -> None:
        self._stream.write(_CLEAR + text)
        self._stream.flush()


def silence() -> None:
    """Show no line in this process."""
    Progress.silent = True
