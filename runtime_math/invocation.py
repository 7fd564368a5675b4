"""Running a command line: a user's mistake is one sentence and a status, never a traceback."""

import shutil
import sys
from collections.abc import Iterable, Sequence

import click

SETTINGS = {"help_option_names": ["-h", "--help"]}
_WIDEST_HELP = 100
INTERRUPTED = 130


class _Formatter(click.HelpFormatter):
    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Write options and their meaning, which gets two thirds of a narrow terminal."""
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)


class _Context(click.Context):
    formatter_class = _Formatter


def run(
    command: click.Command, name: str, arguments: Sequence[str] | None = None, extra: object = None
) -> int:
    """Run a command.

    Parameters
    ----------
    command : click.Command
    name : str
        What the user types to run it.
    arguments : sequence of str, optional
        By default those of the process. A group without any prints its help.
    extra : object, optional
        For commands that take ``click.pass_obj``.

    Returns
    -------
    int
        Exit status.

    Examples
    --------
    >>> greet = click.Command("greet", callback=lambda: print("hello"))
    >>> run(greet, "greet", [])
    hello
    0
    >>> run(greet, "greet", ["--loudly"])  # Error: No such option: --loudly (on standard error)
    2
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments and command.no_args_is_help:
        arguments = ["--help"]
    for each in (command, *getattr(command, "commands", {}).values()):
        each.context_class = _Context
    try:
        status = command.main(
            arguments, prog_name=name, standalone_mode=False, obj=extra,
            # click itself would not go below 50 columns.
            terminal_width=min(shutil.get_terminal_size().columns, _WIDEST_HELP),
        )  # fmt: skip
    except click.ClickException as error:
        click.echo(f"Error: {' '.join(error.format_message().split())}", err=True)
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    return status if isinstance(status, int) else 0
