"""Commands ``evaluate``, ``plot`` and ``replay`` of the command line."""

import shlex
import sys
import time
from pathlib import Path

import click

MODES = ("strict", "hardened")
PROGRESS_AFTER_SECONDS = 2.0


class _Progress:
    """A line with what is done and what remains, on a terminal, once it takes long."""

    def __call__(self, done, total, seconds):
        if not sys.stderr.isatty() or seconds < PROGRESS_AFTER_SECONDS:
            return
        remaining = seconds / done * (total - done)
        text = f"\r\033[K{done} of {total} runs, about {remaining:.0f} s remaining"
        sys.stderr.write(text if done < total else "\r\033[K")
        sys.stderr.flush()


def _refused(error):
    return click.UsageError(str(error))


def _policies(names, alphas):
    from runtime_math.evaluation.run import Policy

    found = []
    for name in names:
        variants = alphas if name == "calibrated" and alphas else (None,)
        for alpha in variants:
            if alpha is not None and not 1e-6 <= alpha <= 0.5:
                raise _refused(f"alpha must be from 0.000001 to 0.5, got {alpha:g}")
            found.append(Policy(name, alpha))
    return found


def _run(tasks, jobs, dask):
    from runtime_math.evaluation import cluster, run

    if dask is None:
        return run.run_here(tasks, jobs, _Progress())
    try:
        return cluster.run_on_cluster(run.run_task, tasks, dask, _Progress())
    except cluster.ClusterError as error:
        raise click.ClickException(str(error)) from None


def _write_output(output, results):
    from runtime_math.evaluation import results as files

    if output.suffix == ".json":
        files.write(output, results)
    else:
        from runtime_math.evaluation.report import report

        output.write_text(report(results), encoding="utf-8")
    click.echo(f"wrote {output}")


def _checked_output(output, suffixes):
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
)
@click.option("--mode", "modes", multiple=True, type=click.Choice(MODES), default=("strict",))
@click.option("--base", "bases", multiple=True, help="Clean base; repeat for several.")
@click.option("--incident", "incidents", multiple=True, help="Incident; repeat for several.")
@click.option("--seeds", default="300-307", show_default=True, help="Such as 300-307 or 1,2,5-7.")
@click.option("--alpha", "alphas", multiple=True, type=float, help="Values of alpha_alarm.")
@click.option("--calls", type=click.IntRange(3000, 10**7), help="Length of the clean runs.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True)
@click.option("--dask", metavar="ADDRESS", help="Run on this Dask scheduler.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="report.html or results.json."
)
def evaluate(policies, modes, bases, incidents, seeds, alphas, calls, jobs, dask, output):
    """Run policies on labelled scenarios and compare them."""
    from runtime_math.evaluation import results, run, tables

    _checked_output(output, (".html", ".json"))
    try:
        seeds = run.parse_seeds(seeds)
        tasks = run.plan(
            _policies(policies, alphas), modes, bases or None, incidents or None, seeds, calls
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


def _figures_of(source, policy, mode, seed):
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
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option(
    "--policy",
    type=click.Choice(["faithful", "calibrated"]),
    default="calibrated",
    help="Policy to run on a scenario.",
)
@click.option("--mode", type=click.Choice(MODES), default="strict")
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of a scenario.")
def plot(source, output, policy, mode, seed):
    """Draw a recorded trace, a results file, or a run of a scenario by its name."""
    from runtime_math.evaluation.report import SUFFIXES, write_figures

    _checked_output(output, SUFFIXES)
    try:
        figures = _figures_of(source, policy, mode, seed)
        for path in write_figures(output, figures, str(source)):
            click.echo(f"wrote {path}")
    except (ValueError, OSError) as error:
        raise _refused(error) from None


def _replay_all(files, dask):
    from runtime_math.evaluation import cluster, fleet

    if dask is None:
        return map(fleet.replay_trace, files)
    try:
        return cluster.run_on_cluster(fleet.replay_trace, files, dask, _Progress())
    except cluster.ClusterError as error:
        raise click.ClickException(str(error)) from None


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dask", metavar="ADDRESS", help="Run on this Dask scheduler.")
def replay(folder, dask):
    """Replay all traces of a folder and compare every result with the recorded one.

    Exits with 1 on any mismatch, with 2 on an unreadable trace.
    """
    from runtime_math.evaluation import fleet

    files = fleet.trace_files(folder)
    if not files:
        raise _refused(f"no {fleet.TRACE_PATTERN} files in {folder}")
    calls = mismatches = unreadable = 0
    for found in _replay_all(files, dask):
        name = Path(found["path"]).name
        if found["error"] is not None:
            unreadable += 1
            click.echo(f"cannot replay {name}: {found['error']}", err=True)
            continue
        calls += found["calls"]
        mismatches += found["mismatches"]
        share = 100 * found["escalated"] / max(found["decisions"], 1)
        click.echo(
            f"{name}: {found['policy']}, {found['calls']} calls, "
            f"{found['mismatches']} mismatches, {share:.1f} % of the decisions escalated"
        )
    click.echo(f"{len(files) - unreadable} traces, {calls} calls, {mismatches} mismatches")
    sys.exit(2 if unreadable else 1 if mismatches else 0)


COMMANDS = [evaluate, plot, replay]
