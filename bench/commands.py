"""The command line of ``python -m bench``."""

import subprocess
import sys
from pathlib import Path

import click

from bench.errors import UsageError
from runtime_math import invocation
from runtime_math.progress import Progress

# pyperf parses what these commands leave over.
_PASSING_ON = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
_PICTURES = (".png", ".svg")


class _BenchmarksOrCommand(click.Group):
    """A group that takes the ids of benchmarks where other groups want the name of a command."""

    def parse_args(self, context, arguments):
        known = {*self.commands, *context.help_option_names}
        if not arguments or arguments[0] not in known:
            arguments = ["run", *arguments]
        return super().parse_args(context, arguments)


@click.group(
    cls=_BenchmarksOrCommand, context_settings=invocation.SETTINGS, no_args_is_help=False,
    subcommand_metavar="COMMAND or ID...",
)  # fmt: skip
def cli():
    """Measure the benchmarks with these ids, or do something with results."""


@cli.command(context_settings=_PASSING_ON)
@click.option("--exact", is_flag=True, help="IDs are whole, not parts of ids.")
@click.option("--list", "listed", is_flag=True, help="Print the ids and end.")
@click.option("--bench", is_flag=True, help="Accepted for cargo's sake, ignored.")
@click.option(
    "--profile-time",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Run the body for that long without statistics, for a profiler.",
)
@click.argument("others", nargs=-1, type=click.UNPROCESSED, metavar="[ID]... [PYPERF OPTION]...")
def run(exact, listed, bench, profile_time, others):
    """Measure benchmarks; the word run may be left out.

    An ID stands for all benchmarks whose ids it is a part of; none stands for all. Options of
    pyperf are passed on, such as -o FILE.json, -p PROCESSES, -n VALUES, -l LOOPS, -w WARMUPS,
    --fast, --rigorous and --affinity CPUS; python -m bench run -h lists them.
    """
    from bench import measure

    measure.run(others, exact, listed, profile_time)


def _existing(path):
    if not Path(path).is_file():
        raise UsageError(f"{path} does not exist; make it with python -m bench ID... -o {path}")
    return path


@cli.command(context_settings=_PASSING_ON)
@click.argument("old", metavar="OLD.json")
@click.argument("new", metavar="NEW.json")
@click.argument("others", nargs=-1, type=click.UNPROCESSED, metavar="[PYPERF OPTION]...")
@click.pass_context
def compare(context, old, new, others):
    """Compare two files of results: which differences are significant?"""
    command = [sys.executable, "-m", "pyperf", "compare_to", "--table", *others]
    context.exit(subprocess.call([*command, _existing(old), _existing(new)]))


@cli.command()
@click.argument("file", metavar="FILE.json")
def table(file):
    """Print results as a Markdown table."""
    from bench import report

    click.echo(report.markdown_table(report.load(_existing(file))))


@cli.command()
@click.argument("file", metavar="FILE.json")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), metavar="PICTURE",
    help="Its name ends in .png or .svg.",
)  # fmt: skip
def plot(file, output):
    """Draw the distributions of results."""
    from bench import report

    if output.suffix not in _PICTURES:
        raise UsageError(f"{output}: the name must end in {' or '.join(_PICTURES)}")
    report.plot(report.load(_existing(file)), output)
    click.echo(f"-> {output}")


_ROUNDS = click.option(
    "--rounds", type=click.IntRange(min=1), default=15, show_default=True, metavar="N",
    help="Samples per figure; the best counts.",
)  # fmt: skip


@cli.command("reference")
@_ROUNDS
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON.")
def beside_the_original(rounds, as_json):
    """Measure our cost beside the original's."""
    from bench import reference

    figures = reference.measure(rounds)
    click.echo(reference.as_json(figures) if as_json else reference.as_text(figures))


@cli.command("guards")
@_ROUNDS
def beside_ctypes(rounds):
    """Measure the cost of guards beside the same calls through ctypes alone."""
    from bench import guarding, reference

    for table in (guarding.measure(rounds), guarding.measure_allocation(rounds)):
        click.echo(reference.aligned(table))


@cli.command("document")
@click.option(
    "-o", "--output", default="docs/performance.md", show_default=True,
    type=click.Path(path_type=Path), metavar="PAGE", help="Where to.",
)  # fmt: skip
@click.option("--results", metavar="FILE.json", help="Results to add as a table.")
@click.option(
    "--profiles", type=click.Path(path_type=Path), metavar="DIR",
    help="Recordings by python -m profiling record --all --out DIR.",
)  # fmt: skip
@_ROUNDS
def write_page(output, results, profiles, rounds):
    """Write the page of measured performance."""
    from bench import document

    with Progress(after_seconds=0) as progress:
        document.write(output, results and _existing(results), rounds, profiles, progress.show)
    click.echo(f"-> {output}")


def main(arguments=None):
    """Run the command line; returns the exit status."""
    return invocation.run(cli, "python -m bench", arguments)
