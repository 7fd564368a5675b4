"""The command line ``python -m runtime_math``."""

import sys
import time
from pathlib import Path

import click

from runtime_math.evaluation.commands import COMMANDS

TRACE_PATTERN = "*.csv.gz"
PROGRESS_AFTER_SECONDS = 2.0
ADDRESS_EXAMPLE = "0x7f0000001000"


class WholeNumber(click.ParamType):
    """Integers in any of Python's notations, within a closed range."""

    name = "integer"

    def __init__(self, low, high):
        self._low, self._high = low, high

    def convert(self, value, parameter, context):
        try:
            number = value if isinstance(value, int) else int(value, 0)
        except ValueError:
            self.fail(f"{value!r} is not an integer", parameter, context)
        if not self._low <= number <= self._high:
            self.fail(f"{number} is not from {self._low} to {self._high}", parameter, context)
        return number


def enumeration_choice(enumeration):
    """Click choice of an enumeration's members, by their lower-case names with hyphens."""
    return click.Choice([item.name.lower().replace("_", "-") for item in enumeration])


def member_named(enumeration, name):
    """Member of an enumeration from the name that `enumeration_choice` gives it."""
    return enumeration[name.upper().replace("-", "_")]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli():
    """Decide how deeply to check each call, and look inside the decisions."""


def trace_files(paths):
    """Trace files named by paths: files as they are, folders by the traces in them."""
    files = []
    for path in paths:
        if path.is_dir():
            found = sorted(path.glob(TRACE_PATTERN))
            if not found:
                raise click.UsageError(f"no {TRACE_PATTERN} files in {path}")
            files.extend(found)
        elif path.exists():
            files.append(path)
        else:
            raise click.UsageError(f"{path} does not exist")
    return files


class _Bar:
    """A progress bar on a terminal, from the third second on."""

    def __init__(self, total):
        from rich.console import Console

        self._console = Console(stderr=True)
        self._total = total
        self._start = time.monotonic()
        self._progress = None

    def update(self, done, description):
        if not self._console.is_terminal:
            return
        if self._progress is None:
            if time.monotonic() - self._start < PROGRESS_AFTER_SECONDS:
                return
            from rich.progress import Progress

            self._progress = Progress(console=self._console, transient=True)
            self._task = self._progress.add_task("", total=self._total)
            self._progress.start()
        self._progress.update(self._task, completed=done, description=description)

    def close(self):
        if self._progress is not None:
            self._progress.stop()


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def conformance(paths):
    """Replay trace files (or folders of them) and compare every recorded value.

    Exits with 1 on any mismatch, with 2 on an unreadable file.
    """
    from runtime_math.conformance import check_trace
    from runtime_math.trace import TraceError

    files = trace_files(paths)
    bar = _Bar(len(files))
    calls = mismatches = unreadable = 0
    try:
        for done, path in enumerate(files):
            bar.update(done, path.name)
            try:
                result = check_trace(
                    path, lambda _, done=done, path=path: bar.update(done, path.name)
                )
            except (TraceError, OSError) as error:
                unreadable += 1
                click.echo(f"cannot read {error}", err=True)
                continue
            click.echo(f"{result.name}: {result.calls} calls, {result.mismatches} mismatches")
            for call, column, expected, actual in result.divergences:
                click.echo(f"  call {call}: {column}: expected {expected}, actual {actual}")
            calls += result.calls
            mismatches += result.mismatches
    finally:
        bar.close()
    click.echo(f"{len(files) - unreadable} files, {calls} calls, {mismatches} mismatches")
    sys.exit(2 if unreadable else 1 if mismatches else 0)


def _enumerations():
    from runtime_math.types import ApiFamily, SafetyLevel

    return SafetyLevel, ApiFamily


@cli.command()
@click.option(
    "--mode",
    type=enumeration_choice(_enumerations()[0]),
    help="Mode of the decision [default: the configured one].",
)
@click.option(
    "--family",
    type=enumeration_choice(_enumerations()[1]),
    default="pointer-validation",
    show_default=True,
)
@click.option(
    "--address", type=WholeNumber(0, 2**64 - 1), default=ADDRESS_EXAMPLE, show_default=True
)
@click.option("--bytes", "requested_bytes", type=WholeNumber(0, 2**64 - 1), default=0)
@click.option("--write", "is_write", is_flag=True, help="The call writes.")
@click.option("--contention", type=WholeNumber(0, 65535), default=0)
@click.option("--bloom-negative", is_flag=True, help="The ownership filter ruled it out.")
@click.option(
    "--state",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Saved kernel to ask; by default a new one.",
)
def explain(mode, family, address, requested_bytes, is_write, contention, bloom_negative, state):
    """Show how a decision is formed, term by term."""
    from runtime_math.kernel import RuntimeMathKernel
    from runtime_math.statefile import StateFileError
    from runtime_math.types import ApiFamily, RuntimeContext, SafetyLevel

    kernel = RuntimeMathKernel()
    if state is not None:
        try:
            kernel.load(state)
        except StateFileError as error:
            raise click.ClickException(str(error)) from None
    context = RuntimeContext(
        member_named(ApiFamily, family),
        address,
        requested_bytes,
        is_write,
        contention,
        bloom_negative,
    )
    level = kernel.mode if mode is None else member_named(SafetyLevel, mode)
    click.echo(str(kernel.explain(level, context)))


@cli.command(name="compile")
def compile_command():
    """Fill the compile cache, so that the next process starts at once."""
    from runtime_math import precompile

    start = time.monotonic()
    bar = _Bar(len(precompile.GROUPS))
    try:
        count = precompile.compile_all(bar.update)
    finally:
        bar.close()
    seconds = time.monotonic() - start
    click.echo(f"{count} functions ready in {seconds:.1f} s, cache in {precompile.folder()}")


@cli.command()
def info():
    """Show versions, the configured mode and where the compile cache is."""
    from runtime_math import precompile

    for name, value in precompile.environment().items():
        click.echo(f"{name:18} {value}")


for _command in COMMANDS:
    cli.add_command(_command)


def main():
    """Entry point of ``python -m runtime_math``."""
    cli(prog_name="python -m runtime_math")
