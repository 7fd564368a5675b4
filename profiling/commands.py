"""The command line: ``python -m profiling record|attach|top|compare|log|report``."""

import re
import signal
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bench.targets import TARGETS
from profiling import aggregate, history, recording
from profiling.attach import AUTOMATIC, command_line
from profiling.backends import BACKENDS
from profiling.faults import ExitStatus, ProfilingError
from profiling.record import Outcome, record
from profiling.recording import Recording
from profiling.render import page, tables
from profiling.resolve import COMPILE, EXIT, IMPORT, INLINED, JITTED, RUN
from profiling.run import Request
from runtime_math import invocation
from runtime_math.progress import Progress

DEFAULT_SECONDS = 10.0
_LONGEST_NAME = 80  # of a folder, made of what was recorded
_STATUSES = """\b
Exit status:
  0  done
  1  compare found a change
  2  wrong use, or a damaged recording
  3  sampler missing, old or forbidden
  4  no sample was taken
  5  the program failed (samples kept)
  6  no jitted code was sampled
130  interrupted (samples kept)
"""
_COUNT = click.IntRange(min=1)
_FOLDER = click.Path(path_type=Path)
_rows = click.option(
    "-n", "rows", type=_COUNT, default=5, show_default=True, metavar="ROWS", help="Rows to show."
)
_by = click.option(
    "--by", type=click.Choice(aggregate.GROUPINGS), default="function", show_default=True,
    help="What a row is.",
)  # fmt: skip
_jitted = click.option("--jitted", is_flag=True, help="Symbols of jitted code only.")


@click.group(context_settings=invocation.SETTINGS, epilog=_STATUSES)
def cli() -> None:
    """Profile programs that use Numba, with names inside jitted code."""


def _folder_name(text: str) -> str:
    name = re.sub(r"[^\w.-]+", "-", text[:_LONGEST_NAME]).strip("-.")
    return name or "recording"


def _request_for_program(
    command: list[str], out: Path | None, seconds: float | None, options: dict[str, Any]
) -> Request:
    if command[0] == "-m":
        command = ["python", *command]
    name = next((part for part in command[1:] if not part.startswith("-")), command[0])
    if "-c" in command:  # the text of a program is no name for it
        name = command[0]
    out = out or Path("profiles") / _folder_name(Path(name).name)
    return Request(command, out, seconds=seconds, **options)


def _request_for_benchmark(
    identifier: str, out: Path, seconds: float, options: dict[str, Any]
) -> Request:
    # Longer than the sampling, which ends the program: no sample of its shutdown.
    body = ["--exact", identifier, "--profile-time", str(seconds + 60)]
    return Request(["python", "-m", "bench", *body], out, identifier, seconds, **options)


def _requests(
    identifiers: Sequence[str],
    everything: bool,
    command: Sequence[str],
    out: Path | None,
    seconds: float | None,
    **options: Any,
) -> list[Request]:
    if len(identifiers) > 1 or (identifiers and Path(identifiers[0]).is_file()):
        words = " ".join(identifiers)
        raise ProfilingError(f"put -- before a program: record -- {words}")
    identifier = identifiers[0] if identifiers else None
    if [bool(identifier), everything, bool(command)].count(True) != 1:
        raise ProfilingError("say what to record: an id, --all, or -- and a program")
    if command:
        return [_request_for_program(list(command), out, seconds, options)]
    seconds = seconds or DEFAULT_SECONDS
    base = Path("profiles")
    if identifier is None:
        places = {target: (out or base) / _folder_name(target) for target in TARGETS}
    else:
        from bench import registry

        (benchmark,) = registry.select([identifier], exact=True)
        places = {benchmark.id: out or base / _folder_name(identifier)}
    return [
        _request_for_benchmark(target, place, seconds, options) for target, place in places.items()
    ]


@cli.command("record", epilog=_STATUSES)
@click.argument("identifiers", metavar="[ID | -- PROGRAM...]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Record the eight standard targets.")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S",
    help=f"Sample for that long (ids: {DEFAULT_SECONDS:g}; programs: until they end).",
)  # fmt: skip
@click.option(
    "--rate", type=_COUNT, default=199, show_default=True, metavar="HZ", help="Samples per second."
)
@click.option(
    "--backend", type=click.Choice(sorted(BACKENDS)), default="py-spy", show_default=True,
    help="What takes the samples.",
)  # fmt: skip
@click.option("--out", type=_FOLDER, metavar="DIR", help="Where to [default: profiles/NAME].")
@click.option(
    "--lines", is_flag=True,
    help="Have Numba add line tables: source lines and inlined functions get names. The machine "
    "code stays the same; compiled code is cached apart.",
)  # fmt: skip
@click.option(
    "--compiling", is_flag=True,
    help="Sample compilers too, however long they run: they take several times as long then.",
)  # fmt: skip
@click.pass_obj
@click.pass_context
def record_command(context: click.Context, command: Sequence[str], **options: Any) -> None:
    """Profile a benchmark, or any program.

    What to record is the ID of a benchmark, such as runtime_math/decide/strict (python -m bench
    --list prints them), or, after a double dash, a program: -- python script.py ARGUMENT...
    """
    worst = ExitStatus.DONE
    for request in _requests(command=command, **options):
        replaced = recording.is_recording(request.out)
        outcome = _recorded(request)
        _tell(outcome, replaced)
        worst = max(worst, outcome.status)
        if outcome.status == ExitStatus.INTERRUPTED:
            break
    context.exit(worst)


@cli.command("attach", epilog=_STATUSES)
@click.argument("pid", type=_COUNT, metavar="PID")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S",
    help="Sample for that long [default: until Ctrl-C, or the end of the process].",
)  # fmt: skip
@click.option(
    "--rate", type=_COUNT, default=199, show_default=True, metavar="HZ", help="Samples per second."
)
@click.option(
    "--backend", type=click.Choice([AUTOMATIC, *sorted(BACKENDS)]), default=AUTOMATIC,
    show_default=True, help="What takes the samples; auto: perf, where that is allowed.",
)  # fmt: skip
@click.option("--out", type=_FOLDER, metavar="DIR", help="Where to [default: profiles/PID].")
@click.pass_context
def attach_command(context: click.Context, pid: int, out: Path | None, **options: Any) -> None:
    """Profile a running process that uses Numba, with its children.

    It need not have prepared for that, and goes on when the recording ends.
    """
    command = command_line(pid)
    if not command:
        raise ProfilingError(f"there is no process {pid}")
    out = out or Path("profiles") / str(pid)
    replaced = recording.is_recording(out)
    outcome = _recorded(Request(command, out, pid=pid, **options))
    _tell(outcome, replaced)
    context.exit(outcome.status)


def _tell(outcome: Outcome, replaced: bool) -> None:
    click.echo(f"-> {outcome.path}{', which had a recording before' if replaced else ''}")
    if outcome.message:
        click.echo(outcome.message)


def _recorded(request: Request) -> Outcome:
    title = request.title
    limit = f" of {request.seconds:g}" if request.seconds else ""
    with Progress(after_seconds=0) as progress:

        def show(phase: str, elapsed: float) -> None:
            progress.show(f"{title}: {phase}, {elapsed:.1f}{limit} s")

        outcome = record(request, show)
    recorded = recording.load(outcome.path)
    _print_top(recorded, aggregate.ranking(recorded.folded)[:5])
    return outcome


def _print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    console = Console()
    if not console.is_terminal:
        click.echo(f"{title}\n\n{tables.plain_table(headings, rows)}\n")
        return
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if "%" in heading else "left")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    console.print(table)


def _print_top(recorded: Recording, rows: Sequence[aggregate.Row]) -> None:
    title = "\n".join(tables.heading_lines(recorded.meta))
    cells = [tables.row_cells(number, row) for number, row in enumerate(rows, 1)]
    _print_table(title, tables.TOP_HEADINGS, cells)


def _kinds(jitted: bool) -> Collection[str] | None:
    return (JITTED, INLINED) if jitted else None


@cli.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@_rows
@_by
@click.option(
    "--phase", type=click.Choice((RUN, COMPILE, IMPORT, EXIT)), default=RUN, show_default=True,
    help="Which samples.",
)  # fmt: skip
@_jitted
def top(folder: Path, rows: int, by: str, phase: str, jitted: bool) -> None:
    """Show the self cost per function, line or module."""
    recorded = recording.load(folder)
    ranked = aggregate.ranking(recorded.folded, by, phase, _kinds(jitted))
    if not ranked:
        raise ProfilingError(f"{folder} has no such samples", ExitStatus.NO_SAMPLES)
    _print_top(recorded, ranked[:rows])
    if by == "line" and not recorded.meta["lines"]:
        click.echo("lines of jitted code are those of the def: record with --lines for more")


@cli.command()
@click.argument("old", type=_FOLDER)
@click.argument("new", type=_FOLDER)
@_rows
@_by
@_jitted
@click.option("--fail-on-change", is_flag=True, help="Exit with 1 if a change exceeds noise.")
@click.pass_context
def compare(
    context: click.Context,
    old: Path,
    new: Path,
    rows: int,
    by: str,
    jitted: bool,
    fail_on_change: bool,
) -> None:
    """Show what changed between two recordings."""
    before, after = recording.load(old), recording.load(new)
    changes = aggregate.compare(before.folded, after.folded, rows, by, _kinds(jitted))
    title = f"{tables.summary_line(before.meta)}\n{tables.summary_line(after.meta)}"
    if before.title != after.title:
        title += "\nthese are recordings of two different programs"
    _print_table(title, tables.CHANGE_HEADINGS, [tables.change_cells(c) for c in changes])
    if fail_on_change and any(change.significant for change in changes):
        context.exit(ExitStatus.CHANGED)


@cli.command()
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=_FOLDER)
@click.option(
    "--file", type=_FOLDER, default=history.DEFAULT_FILE, show_default=True, help="The history."
)
def log(folders: tuple[Path, ...], file: Path) -> None:
    """Append recordings to the history, and print it."""
    for recorded in [recording.load(path) for path in folders]:
        history.append(file, recorded)
    entries = history.read(file)
    if not entries:
        raise ProfilingError(f"{file} has no entries yet; name recordings to add")
    _print_table(str(file), history.HEADINGS, history.rows(entries))


@cli.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.argument("newer", metavar="[NEWER DIR]", required=False, type=_FOLDER)
@click.option("-o", "--output", required=True, type=_FOLDER, metavar="PAGE.html", help="Where to.")
def report(folder: Path, newer: Path | None, output: Path) -> None:
    """Write a self-contained page on a recording, or on what changed."""
    recordings = [recording.load(path) for path in (folder, newer) if path]
    try:
        output.write_text(page.render(*recordings))
    except OSError as error:
        raise ProfilingError(f"cannot write {output}: {error.strerror}") from None
    click.echo(f"-> {output}")


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = []
    if "--" in arguments:
        split = arguments.index("--")
        arguments, command = arguments[:split], arguments[split + 1 :]
    # SIGTERM ends a recording as Ctrl-C does; a shell's background job ignores Ctrl-C otherwise.
    previous = {
        number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        return invocation.run(cli, "python -m profiling", arguments, command)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
