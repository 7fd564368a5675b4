"""The command line of ``python -m bench``."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from bench import registry

USAGE_ERROR = 2


class UsageError(Exception):
    """Wrong use; one sentence says what and how to do better."""


def _unknown(name):
    nearest = registry.nearest(name)
    hint = f"; the closest are: {', '.join(nearest)}" if nearest else "; see --list"
    return UsageError(f"unknown benchmark {name!r}{hint}")


def selected(names, exact):
    """Return the benchmarks that the command line names."""
    try:
        return registry.select(names, exact)
    except LookupError as error:
        raise _unknown(error.args[0]) from None


def check_mode(benchmarks):
    """Refuse a benchmark of a mode when the environment asks for the other one."""
    from runtime_math import parse_mode

    configured = os.environ.get("GLIBC_RUST_MODE")
    if configured is None:
        return
    level = parse_mode(configured).name.lower()
    for benchmark in benchmarks:
        if benchmark.mode not in ("", level):
            raise UsageError(
                f"{benchmark.id} runs in mode {benchmark.mode}, but GLIBC_RUST_MODE={configured} "
                f"asks for {level}: unset it, or choose ids of that mode"
            )


def _existing(path):
    if not Path(path).is_file():
        raise UsageError(f"{path} does not exist; make it with python -m bench ID... -o {path}")
    return path


def _compare(arguments):
    parser = argparse.ArgumentParser(prog="python -m bench compare")
    parser.add_argument("old")
    parser.add_argument("new")
    options, others = parser.parse_known_args(arguments)
    command = [sys.executable, "-m", "pyperf", "compare_to", "--table", *others]
    return subprocess.call([*command, _existing(options.old), _existing(options.new)])


def _table(arguments):
    from bench import report

    parser = argparse.ArgumentParser(prog="python -m bench table")
    parser.add_argument("file")
    print(report.markdown_table(report.load(_existing(parser.parse_args(arguments).file))))
    return 0


def _plot(arguments):
    from bench import report

    parser = argparse.ArgumentParser(prog="python -m bench plot")
    parser.add_argument("file")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.png|svg")
    options = parser.parse_args(arguments)
    if Path(options.output).suffix not in (".png", ".svg"):
        raise UsageError(f"{options.output}: the name must end in .png or .svg")
    report.plot(report.load(_existing(options.file)), options.output)
    print(f"-> {options.output}")
    return 0


def _reference(arguments):
    from bench import reference

    parser = argparse.ArgumentParser(
        prog="python -m bench reference", description="Our cost beside the original's."
    )
    parser.add_argument("--rounds", type=int, default=reference.ROUNDS, help="samples per figure")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        raise UsageError("--rounds must be at least 1")
    figures = reference.measure(options.rounds)
    print(reference.as_json(figures) if options.json else reference.as_text(figures))
    return 0


def _document(arguments):
    from bench import document, reference
    from profiling.faults import ProfilingError

    parser = argparse.ArgumentParser(
        prog="python -m bench document", description="Write the page of measured performance."
    )
    parser.add_argument("-o", "--output", default="docs/performance.md")
    parser.add_argument("--results", metavar="FILE.json", help="results of python -m bench -o")
    parser.add_argument(
        "--profiles", metavar="DIR", help="recordings of python -m profiling record --all --out DIR"
    )
    parser.add_argument("--rounds", type=int, default=reference.ROUNDS, help="samples per figure")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        raise UsageError("--rounds must be at least 1")
    results = _existing(options.results) if options.results else None
    try:
        document.write(options.output, results, options.rounds, options.profiles)
    except ProfilingError as error:
        raise UsageError(str(error)) from None
    print(f"-> {options.output}")
    return 0


_REPORTS = {
    "compare": _compare,
    "table": _table,
    "plot": _plot,
    "reference": _reference,
    "document": _document,
}


def main(arguments=None):
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments and arguments[0] in _REPORTS:
            return _REPORTS[arguments[0]](arguments[1:])
        from bench import measure

        return measure.run(arguments)
    except UsageError as error:
        print(f"bench: {error}", file=sys.stderr)
        return USAGE_ERROR
