"""The command line ``python -m runtime_math``."""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from runtime_math import invocation
from runtime_math.evaluation.commands import COMMANDS
from runtime_math.progress import Progress
from runtime_math.types import ApiFamily, RuntimeContext, SafetyLevel

if TYPE_CHECKING:
    from runtime_math.conformance import Conformance

Member = TypeVar("Member", bound=IntEnum)

TRACE_PATTERN = "*.csv.gz"
ADDRESS_EXAMPLE = "0x7f0000001000"


class WholeNumber(click.ParamType):
    """Integers in any of Python's notations, within a closed range."""

    name = "integer"

    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> int:
        try:
            number = value if isinstance(value, int) else int(value, 0)
        except ValueError:
            self.fail(f"{value!r} is not an integer", parameter, context)
        if not self._low <= number <= self._high:
            self.fail(f"{number} is not from {self._low} to {self._high}", parameter, context)
        return number


def enumeration_choice(enumeration: type[IntEnum]) -> click.Choice:
    """Click choice of an enumeration's members, by their lower-case names with hyphens."""
    return click.Choice([item.name.lower().replace("_", "-") for item in enumeration])


def member_named(enumeration: type[Member], name: str) -> Member:
    """Member of an enumeration from the name that `enumeration_choice` gives it."""
    return enumeration[name.upper().replace("-", "_")]


@click.group(context_settings=invocation.SETTINGS)
def cli() -> None:
    """Decide how deeply to check each call, and look inside the decisions."""


def trace_files(paths: Sequence[Path]) -> list[Path]:
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


def _outcomes(files: Sequence[Path], dask: str | None) -> "Iterator[Conformance | str]":
    """Conformance of each trace, or the sentence that says why it cannot be read."""
    from runtime_math.conformance import outcome
    from runtime_math.evaluation import cluster

    with Progress() as progress:
        if dask is not None:
            paths = [str(path.resolve()) for path in files]
            try:
                yield from cluster.run_on_cluster(outcome, paths, dask, progress.step)
            except cluster.ClusterError as error:
                raise click.ClickException(str(error)) from None
            return
        for done, path in enumerate(files):
            progress.step(done, len(files), path.name)
            result = outcome(path)
            progress.end()  # what the caller prints takes the line's place
            yield result


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dask", metavar="ADDRESS", help="Run on this Dask scheduler.")
@click.pass_context
def conformance(context: click.Context, paths: tuple[Path, ...], dask: str | None) -> None:
    """Replay traces, and compare every recorded value.

    A folder stands for the traces in it. Each is replayed on a new kernel of the kind that it was
    recorded from. Exits with 1 on any mismatch, with 2 on an unreadable file.
    """
    files = trace_files(paths)
    calls = mismatches = unreadable = 0
    for result in _outcomes(files, dask):
        if isinstance(result, str):
            unreadable += 1
            click.echo(f"cannot read {result}", err=True)
            continue
        click.echo(f"{result.name}: {result.calls} calls, {result.mismatches} mismatches")
        for call, column, expected, actual in result.divergences:
            click.echo(f"  call {call}: {column}: expected {expected}, actual {actual}")
        calls += result.calls
        mismatches += result.mismatches
    click.echo(f"{len(files) - unreadable} files, {calls} calls, {mismatches} mismatches")
    context.exit(2 if unreadable else 1 if mismatches else 0)


@cli.command()
@click.option(
    "--mode",
    type=enumeration_choice(SafetyLevel),
    help="Mode of the decision [default: the configured one].",
)
@click.option(
    "--family",
    type=enumeration_choice(ApiFamily),
    default="pointer-validation",
    show_default=True,
    metavar="FAMILY",
    help=f"Of the call: {', '.join(enumeration_choice(ApiFamily).choices)}.",
)
@click.option(
    "--address",
    type=WholeNumber(0, 2**64 - 1),
    default=ADDRESS_EXAMPLE,
    show_default=True,
    help="What it is about.",
)
@click.option(
    "--bytes",
    "requested_bytes",
    type=WholeNumber(0, 2**64 - 1),
    default=0,
    help="Size asked for.",
)
@click.option("--write", "is_write", is_flag=True, help="The call writes.")
@click.option(
    "--contention", type=WholeNumber(0, 65535), default=0, help="How many threads contend."
)
@click.option("--bloom-negative", is_flag=True, help="The ownership filter ruled it out.")
@click.option(
    "--state",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Saved kernel to ask; by default a new one.",
)
def explain(
    mode: str | None,
    family: str,
    address: int,
    requested_bytes: int,
    is_write: bool,
    contention: int,
    bloom_negative: bool,
    state: Path | None,
) -> None:
    """Show how a decision is formed, term by term."""
    from runtime_math.kernel import RuntimeMathKernel
    from runtime_math.statefile import StateFileError

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
def compile_command() -> None:
    """Fill the compile cache: the next process starts at once."""
    from runtime_math import precompile

    with Progress(after_seconds=0) as progress:
        progress.step(0, len(precompile.GROUPS), "compiling")
        count = precompile.compile_all(progress.step)
        seconds = progress.seconds
    click.echo(f"{count} functions ready in {seconds:.1f} s, cache in {precompile.folder()}")


@cli.command()
def info() -> None:
    """Show versions, the mode, and where the compile cache is."""
    from runtime_math import precompile

    for name, value in precompile.environment().items():
        click.echo(f"{name:18} {value}")


for _command in COMMANDS:
    cli.add_command(_command)


def main() -> int:
    """Run ``python -m runtime_math``; returns the exit status."""
    return invocation.run(cli, "python -m runtime_math")
