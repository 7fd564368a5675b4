"""Commands ``evaluate`` and ``plot`` of the command line."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime_math.progress import Progress

if TYPE_CHECKING:
    from runtime_math.evaluation.run import Policy, Rows, Task

MODES = ("strict", "hardened")


def _refused(error: object) -> click.UsageError:
    return click.UsageError(str(error))


def _policies(names: Sequence[str], alphas: Sequence[float]) -> "list[Policy]":
    from runtime_math.evaluation.run import Policy

    found = []
    for name in names:
        variants = alphas if name == "calibrated" and alphas else (None,)
        for alpha in variants:
            if alpha is not None and not 1e-6 <= alpha <= 0.5:
                raise _refused(f"alpha must be from 0.000001 to 0.5, got {alpha:g}")
            found.append(Policy(name, alpha))
    return found


def _run(tasks: "Sequence[Task]", jobs: int, dask: str | None) -> "Rows":
    from runtime_math.evaluation import cluster, run

    with Progress() as progress:
        if dask is None:
            return run.run_here(tasks, jobs, progress.step)
        try:
            return cluster.run_on_cluster(run.run_task, tasks, dask, progress.step)
        except cluster.ClusterError as error:
            raise click.ClickException(str(error)) from None


def _write_output(output: Path, results: dict[str, Any]) -> None:
    from runtime_math.evaluation import results as files

    if output.suffix == ".json":
        files.write(output, results)
    else:
        from runtime_math.evaluation.report import report

        output.write_text(report(results), encoding="utf-8")
    click.echo(f"wrote {output}")


def _checked_output(output: Path | None, suffixes: Sequence[str]) -> None:
    if output is None:
        return
    if output.suffix not in suffixes:
        raise _refused(f"output must end in {', '.join(suffixes)}, got {output.name!r}")
    if not output.parent.is_dir():
        raise _refused(f"{output.parent} is not a folder")


@click.command()
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Choice(["faithful", "calibrated"]),
    default=("faithful", "calibrated"),
    show_default=True,
    help="Repeat for several.",
)
@click.option(
    "--mode",
    "modes",
    multiple=True,
    type=click.Choice(MODES),
    default=("strict",),
    show_default=True,
    help="Repeat for both.",
)
@click.option("--base", "bases", multiple=True, help="Clean base; repeat for several.")
@click.option("--incident", "incidents", multiple=True, help="Incident; repeat for several.")
@click.option("--seeds", default="300-307", show_default=True, help="Such as 300-307 or 1,2,5-7.")
@click.option(
    "--alpha", "alphas", multiple=True, type=float, help="alpha_alarm; repeat for several."
)
@click.option(
    "--calls", type=click.IntRange(3000, 10**7), metavar="N", help="Length of the clean runs."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes.",
)
@click.option("--dask", metavar="ADDRESS", help="Run on this Dask scheduler.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="report.html or results.json."
)
def evaluate(
    policies: tuple[str, ...],
    modes: tuple[str, ...],
    bases: tuple[str, ...],
    incidents: tuple[str, ...],
    seeds: str,
    alphas: tuple[float, ...],
    calls: int | None,
    jobs: int,
    dask: str | None,
    output: Path | None,
) -> None:
    """Run policies on labelled scenarios and compare them."""
    from runtime_math.evaluation import results, run, tables

    _checked_output(output, (".html", ".json"))
    try:
        tasks = run.plan(
            _policies(policies, alphas),
            modes,
            bases or None,
            incidents or None,
            run.parse_seeds(seeds),
            calls,
        )
    except ValueError as error:
        raise _refused(error) from None
    start = time.monotonic()
    runs = _run(tasks, jobs, dask)
    command = shlex.join(["python", "-m", "runtime_math", *sys.argv[1:]])
    found = results.document(runs, command)
    click.echo(tables.render(found["summary"]))
    click.echo(f"{len(runs)} runs in {time.monotonic() - start:.0f} s")
    if output is not None:
        _write_output(output, found)


def _figures_of(source: str, policy: str, mode: str, seed: int) -> Any:
    from runtime_math.evaluation import report, results, timeline
    from runtime_math.evaluation.run import Policy
    from runtime_math.scenarios import BASES, generate
    from runtime_math.trace import TraceError

    path = Path(source)
    if path.suffix == ".json":
        return report.figures_of_results(results.read(path))
    if path.exists():
        try:
            return report.figures_of_timeline(timeline.of_trace(path))
        except TraceError as error:
            raise ValueError(str(error)) from None
    if path.suffix or "/" in source:
        raise ValueError(f"{source} does not exist")
    scenario = (
        generate(source, seed=seed) if source in BASES else generate(incident=source, seed=seed)
    )
    run = timeline.of_scenario(Policy(policy), mode, scenario)
    return report.figures_of_timeline(run)


@click.command()
@click.argument("source", metavar="TRACE|RESULTS|SCENARIO")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Name of the picture, or .html.",
)
@click.option(
    "--policy",
    type=click.Choice(["faithful", "calibrated"]),
    default="calibrated",
    help="Policy to run on a scenario.",
)
@click.option("--mode", type=click.Choice(MODES), default="strict", help="Mode of such a run.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, metavar="N", help="Seed of the scenario."
)
def plot(source: str, output: Path, policy: str, mode: str, seed: int) -> None:
    """Draw a trace, a file of results, or a run of a scenario."""
    from runtime_math.evaluation.report import SUFFIXES, write_figures

    _checked_output(output, SUFFIXES)
    try:
        figures = _figures_of(source, policy, mode, seed)
        for path in write_figures(output, figures, str(source)):
            click.echo(f"wrote {path}")
    except (ValueError, OSError) as error:
        raise _refused(error) from None


COMMANDS = [evaluate, plot]
