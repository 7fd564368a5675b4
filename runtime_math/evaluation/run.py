"""Running policies on scenarios: the plan, one run, and many runs on this machine or a cluster."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from runtime_math.evaluation import metrics
from runtime_math.records import Records
from runtime_math.scenarios import BASES, INCIDENTS, Scenario, base_named, generate, incident_named
from runtime_math.types import SafetyLevel

POLICIES = ("faithful", "calibrated")
DEFAULT_SEEDS = tuple(range(300, 308))
CLEAN = "clean"
INCIDENT = "incident"

Rows: TypeAlias = Sequence[dict[str, Any]]
"""Rows of results or of a summary: named figures."""


@dataclass(frozen=True)
class Policy:
    """A policy to judge.

    Parameters
    ----------
    name : {"faithful", "calibrated"}
    alpha_alarm : float, optional
        Setting of the calibrated policy; its default when omitted.
    """

    name: str
    alpha_alarm: float | None = None

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise ValueError(f"unknown policy {self.name!r}; there are {' and '.join(POLICIES)}")

    @property
    def label(self) -> str:
        """Name with the setting, where one is given."""
        if self.alpha_alarm is None:
            return self.name
        return f"{self.name} {100 * self.alpha_alarm:g} %"


@dataclass(frozen=True)
class Task:
    """One run: a policy in a mode on a scenario."""

    policy: Policy
    mode: str
    kind: str
    scenario: str
    base: str | None
    seed: int
    calls: int | None = None


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from text such as ``300-307`` or ``1,2,5-7``.

    Examples
    --------
    >>> parse_seeds("300-302,7")
    (300, 301, 302, 7)
    >>> parse_seeds("5-")
    Traceback (most recent call last):
        ...
    ValueError: seeds must look like 300-307 or 1,2,5-7, got '5-'
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"seeds must look like 300-307 or 1,2,5-7, got {text!r}")
        low, high = int(first), int(last if dash else first)
        if low > high or high - low >= 10_000 or high >= 2**63:
            raise ValueError(f"seeds {part.strip()!r} is not a range of at most 10,000 seeds")
        seeds.extend(range(low, high + 1))
    return tuple(dict.fromkeys(seeds))


def plan(
    policies: Sequence[Policy],
    modes: Sequence[str],
    bases: Sequence[str] | None = None,
    incidents: Sequence[str] | None = None,
    seeds: Sequence[int] = DEFAULT_SEEDS,
    calls: int | None = None,
) -> list[Task]:
    """List the runs of an evaluation.

    Parameters
    ----------
    policies : sequence of Policy
    modes : sequence of str
        Names of safety levels in lower case.
    bases, incidents : sequence of str, optional
        Names; all of both when neither is given, none of the other kind when only one is.
    seeds : sequence of int
    calls : int, optional
        Length of the clean runs.

    Returns
    -------
    list of Task

    Raises
    ------
    ValueError
        Unknown names, with the nearest ones.
    """
    if bases is None and incidents is None:
        bases, incidents = tuple(BASES), tuple(INCIDENTS)
    kinds = [(CLEAN, base_named(name).name, name) for name in bases or ()]
    kinds += [(INCIDENT, name, incident_named(name).base) for name in incidents or ()]
    return [
        Task(policy, mode, kind, name, base, seed, calls if kind == CLEAN else None)
        for mode, (kind, name, base), policy, seed in itertools.product(
            modes, kinds, policies, seeds
        )
    ]


def scenario_of(task: Task) -> Scenario:
    """Generate the scenario of a task."""
    incident = task.scenario if task.kind == INCIDENT else None
    return generate(task.base, incident=incident, seed=task.seed, calls=task.calls)


def policy_record(policy: Policy, mode: str, settings: dict[str, Any]) -> Records:
    """New record of the calibrated policy alone, with a scenario's settings."""
    from runtime_math.calibrated.state import new_state

    if policy.alpha_alarm is not None:
        settings = {**settings, "alpha_alarm": policy.alpha_alarm}
    return new_state(SafetyLevel[mode.upper()], monitors="none", **settings)["policy"]


def run_scenario(policy: Policy, mode: str, scenario: Scenario) -> Records:
    """Run a policy over a scenario.

    Parameters
    ----------
    policy : Policy
    mode : str
    scenario : Scenario

    Returns
    -------
    numpy.ndarray of dtype `loop.STEP`
    """
    from runtime_math.evaluation import loop
    from runtime_math.faithful.state import new_state

    steps = np.zeros(len(scenario), loop.STEP)
    level = int(SafetyLevel[mode.upper()])
    if policy.name == "faithful":
        loop.run_faithful(new_state(level)[0], level, scenario.calls, steps)
    else:
        record = policy_record(policy, mode, scenario.settings)
        loop.run_calibrated(record[0], level, scenario.calls, steps)
    return steps


def run_task(task: Task) -> dict[str, Any]:
    """Make one run; returns its record for the results: task and metrics as plain values."""
    scenario = scenario_of(task)
    steps = run_scenario(task.policy, task.mode, scenario)
    figures: metrics.CleanMetrics | metrics.IncidentMetrics
    if task.kind == CLEAN:
        figures = metrics.clean_metrics(steps)
    else:
        figures = metrics.incident_metrics(scenario, steps)
    record = asdict(task)
    record["policy"] = task.policy.label
    record["metrics"] = metrics.as_record(figures)
    return record


def _ignore(done: int, total: int) -> None:
    pass


def _in_order(
    results: Iterable[tuple[int, dict[str, Any]]],
    tasks: Sequence[Task],
    progress: Callable[[int, int], object],
) -> list[dict[str, Any]]:
    done = {}
    for index, record in results:
        done[index] = record
        progress(len(done), len(tasks))
    return [done[index] for index in range(len(tasks))]


def run_here(
    tasks: Sequence[Task], jobs: int = 1, progress: Callable[[int, int], object] = _ignore
) -> list[dict[str, Any]]:
    """Make runs in this process, or in several.

    Parameters
    ----------
    tasks : list of Task
    jobs : int, default 1
        Number of processes.
    progress : callable, optional
        ``progress(done, total)`` after every run.

    Returns
    -------
    list of dict
        In the order of the tasks, whatever the number of processes.
    """
    if jobs == 1 or len(tasks) < 2:
        return _in_order(enumerate(map(run_task, tasks)), tasks, progress)
    # One run of each policy here first: the workers then load machine code instead of compiling.
    for policy in dict.fromkeys(task.policy.name for task in tasks):
        run_task(next(task for task in tasks if task.policy.name == policy))
    with ProcessPoolExecutor(jobs) as pool:
        futures = {pool.submit(run_task, task): index for index, task in enumerate(tasks)}
        finished = ((futures[future], future.result()) for future in as_completed(futures))
        return _in_order(finished, tasks, progress)
