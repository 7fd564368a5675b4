"""The command line: ``python -m profiling record|top|compare|log|report``."""

import argparse
import re
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from profiling import aggregate, history, recording
from profiling.backends import BACKENDS
from profiling.faults import ExitStatus, ProfilingError
from profiling.record import Request, record
from profiling.render import page, tables
from profiling.resolve import COMPILE, EXIT, IMPORT, INLINED, JITTED, RUN

ALL_TARGETS = tuple(
    f"{name}/{mode}"
    for name in (
        "runtime_math/decide",
        "runtime_math/observe_fast",
        "runtime_math/decide_observe",
        "validate_known",
    )
    for mode in ("strict", "hardened")
)
DEFAULT_SECONDS = 10.0
_EXIT_CODES = """exit status:
  0  done                             1  compare --fail-on-change found a change
  2  wrong use or damaged recording   3  sampler missing, too old or forbidden
  4  no sample was taken              5  the program failed (its samples are kept)
  6  no jitted code was sampled       130  interrupted (what was sampled is kept)
"""


def _positive(kind):
    def convert(text):
        number = kind(text)
        if not number > 0:
            raise argparse.ArgumentTypeError(f"must be greater than 0, got {text}")
        return number

    convert.__name__ = kind.__name__
    return convert


def _add_record(commands):
    parser = commands.add_parser(
        "record",
        help="profile a benchmark id, or any program: record [options] -- python script.py ...",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("id", nargs="?", help="id of a benchmark (python -m bench --list)")
    parser.add_argument("--all", action="store_true", help="record the eight standard targets")
    parser.add_argument(
        "--seconds", type=_positive(float), metavar="S",
        help=f"sample for that long (ids: {DEFAULT_SECONDS:g}; programs: until they end)",
    )  # fmt: skip
    parser.add_argument("--rate", type=_positive(int), default=199, metavar="HZ")
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="py-spy")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: profiles/<name>")
    parser.add_argument(
        "--lines", action="store_true",
        help="have Numba add line tables: source lines and inlined functions get names "
        "(the machine code stays the same; compiled code is cached apart)",
    )  # fmt: skip
    parser.set_defaults(run=_record)


def _add_readers(commands):
    top = commands.add_parser("top", help="self cost per function, line or module")
    top.add_argument("dir", type=Path)
    top.add_argument("-n", type=_positive(int), default=5)
    top.add_argument("--by", choices=aggregate.GROUPINGS, default="function")
    top.add_argument("--phase", choices=(RUN, COMPILE, IMPORT, EXIT), default=RUN)
    top.add_argument("--jitted", action="store_true", help="symbols of jitted code only")
    top.set_defaults(run=_top)
    compare = commands.add_parser("compare", help="what changed between two recordings")
    compare.add_argument("old", type=Path)
    compare.add_argument("new", type=Path)
    compare.add_argument("-n", type=_positive(int), default=5)
    compare.add_argument("--by", choices=aggregate.GROUPINGS, default="function")
    compare.add_argument("--jitted", action="store_true", help="symbols of jitted code only")
    compare.add_argument(
        "--fail-on-change", action="store_true", help="exit 1 if a change exceeds noise"
    )
    compare.set_defaults(run=_compare)
    log = commands.add_parser("log", help="append recordings to the history and print it")
    log.add_argument("dir", type=Path, nargs="*")
    log.add_argument("--file", type=Path, default=history.DEFAULT_FILE)
    log.set_defaults(run=_log)
    report = commands.add_parser("report", help="one self-contained HTML page")
    report.add_argument("dir", type=Path)
    report.add_argument("new", type=Path, nargs="?", help="compare with this newer recording")
    report.add_argument("-o", "--output", type=Path, required=True, metavar="page.html")
    report.set_defaults(run=_report)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m profiling",
        description="Profile programs that use Numba, with names inside jitted code.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_record(commands)
    _add_readers(commands)
    return parser


def _folder_name(text):
    return re.sub(r"[^\w.-]+", "-", text).strip("-") or "recording"


def _requests(options, command):
    chosen = [bool(options.id), options.all, bool(command)]
    if sum(chosen) != 1:
        raise ProfilingError("say what to record: an id, --all, or -- and a program")
    common = {"rate": options.rate, "backend": options.backend, "lines": options.lines}
    if command:
        if command[0] == "-m":
            command = ["python", *command]
        name = next((part for part in command[1:] if not part.startswith("-")), command[0])
        out = options.out or Path("profiles") / _folder_name(Path(name).name)
        return [Request(command, out, seconds=options.seconds, **common)]
    identifiers = ALL_TARGETS if options.all else [_known_id(options.id)]
    seconds = options.seconds or DEFAULT_SECONDS
    base = options.out or Path("profiles")
    return [
        Request(
            # Longer than the sampling, which ends the program: no sample of its shutdown.
            ["python", "-m", "bench", "--exact", identifier, "--profile-time", str(seconds + 60)],
            base if options.out and not options.all else base / _folder_name(identifier),
            identifier,
            seconds,
            **common,
        )
        for identifier in identifiers
    ]


def _known_id(identifier):
    from bench import registry

    known = registry.identifiers()
    if identifier in known:
        return identifier
    nearest = ", ".join(registry.nearest(identifier))
    raise ProfilingError(f"unknown benchmark id {identifier!r}; nearest: {nearest}")


def _record(options, console, command):
    worst = ExitStatus.DONE
    for request in _requests(options, command):
        title = request.identifier or " ".join(request.command)
        with console.status(f"{title}: starting") as status:

            def show(phase, elapsed, title=title, request=request, status=status):
                limit = f" of {request.seconds:g}" if request.seconds else ""
                status.update(f"{title}: {phase}, {elapsed:.1f}{limit} s")

            outcome = record(request, show)
        recorded = recording.load(outcome.path)
        _print_top(console, recorded, aggregate.ranking(recorded.folded)[:5])
        console.print(f"-> {outcome.path}", markup=False, highlight=False)
        if outcome.message:
            console.print(outcome.message, style="yellow", markup=False)
        if outcome.status == ExitStatus.INTERRUPTED:
            return outcome.status
        worst = max(worst, outcome.status)
    return worst


def _print_table(console, title, headings, rows):
    if not console.is_terminal:
        console.print(f"{title}\n\n{tables.plain_table(headings, rows)}\n", markup=False,
                      highlight=False, soft_wrap=True)  # fmt: skip
        return
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right" if "%" in heading else "left")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    console.print(table)


def _print_top(console, recorded, rows):
    title = f"{tables.summary_line(recorded.meta)}\n{tables.named_line(recorded.meta)}"
    cells = [tables.row_cells(number, row) for number, row in enumerate(rows, 1)]
    _print_table(console, title, tables.TOP_HEADINGS, cells)


def _kinds(options):
    return (JITTED, INLINED) if options.jitted else None


def _top(options, console, _):
    recorded = recording.load(options.dir)
    rows = aggregate.ranking(recorded.folded, options.by, options.phase, _kinds(options))
    if not rows:
        raise ProfilingError(f"{options.dir} has no such samples", ExitStatus.NO_SAMPLES)
    _print_top(console, recorded, rows[: options.n])
    if options.by == "line" and not recorded.meta["lines"]:
        console.print("lines of jitted code are those of the def: record with --lines for more")
    return ExitStatus.DONE


def _compare(options, console, _):
    old, new = recording.load(options.old), recording.load(options.new)
    changes = aggregate.compare(old.folded, new.folded, options.n, options.by, _kinds(options))
    title = f"{tables.summary_line(old.meta)}\n{tables.summary_line(new.meta)}"
    if old.title != new.title:
        title += "\nthese are recordings of two different programs"
    _print_table(console, title, tables.CHANGE_HEADINGS, [tables.change_cells(c) for c in changes])
    changed = any(change.significant for change in changes)
    return ExitStatus.CHANGED if options.fail_on_change and changed else ExitStatus.DONE


def _log(options, console, _):
    recordings = [recording.load(path) for path in options.dir]
    for recorded in recordings:
        history.append(options.file, recorded)
    entries = history.read(options.file)
    if not entries:
        raise ProfilingError(f"{options.file} has no entries yet; name recordings to add")
    _print_table(console, str(options.file), history.HEADINGS, history.rows(entries))
    return ExitStatus.DONE


def _report(options, console, _):
    recordings = [recording.load(path) for path in (options.dir, options.new) if path]
    try:
        options.output.write_text(page.render(*recordings))
    except OSError as error:
        raise ProfilingError(f"cannot write {options.output}: {error.strerror}") from None
    console.print(f"-> {options.output}", markup=False, highlight=False)
    return ExitStatus.DONE


def _interrupt(number, frame):
    raise KeyboardInterrupt


def main(arguments=None):
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    command = []
    if "--" in arguments:
        split = arguments.index("--")
        arguments, command = arguments[:split], arguments[split + 1 :]
    options = _parser().parse_args(arguments)
    # SIGTERM ends a recording as Ctrl-C does; a shell's background job ignores Ctrl-C otherwise.
    previous = {
        number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        return int(options.run(options, Console(), command))
    except ProfilingError as error:
        print(f"profiling: {error}", file=sys.stderr)
        return int(error.status)
    except KeyboardInterrupt:
        return int(ExitStatus.INTERRUPTED)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
