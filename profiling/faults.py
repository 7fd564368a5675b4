"""Outcomes that end a command, each with an exit status that scripts can rely on."""

from enum import IntEnum

import click


class ExitStatus(IntEnum):
    """Exit status of ``python -m profiling``."""

    DONE = 0
    CHANGED = 1
    USAGE = 2
    TOOL_UNUSABLE = 3
    NO_SAMPLES = 4
    PROGRAM_FAILED = 5
    NO_JITTED_CODE = 6
    INTERRUPTED = 130


class ProfilingError(click.ClickException):
    """A fault that one sentence explains.

    Parameters
    ----------
    message : str
        What is wrong and what to do about it.
    status : ExitStatus
        Exit status of the command.
    """

    def __init__(self, message: str, status: ExitStatus = ExitStatus.USAGE) -> None:
        super().__init__(message)
        self.exit_code = int(status)  # type: ignore[misc] # click reads it from the instance
