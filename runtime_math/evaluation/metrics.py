"""Figures of one run, and their summary over seeds.

*Escalated*: full validation was run or the call was denied. *Alarm*: the policy's alarm state
applies to the call; for a policy without one, escalated. Clean figures leave out the first 2,000
calls, in which a policy may still be learning.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime_math.records import Records
from runtime_math.scenarios import Scenario, incident_named

SETTLED_CALLS = 2000
RECOVERY_WINDOW = 100
RECOVERY_ALLOWANCE = 5
OUTCOME_BITS = 7 << 20


@dataclass(frozen=True)
class CleanMetrics:
    """Figures of a run without an incident.

    Parameters
    ----------
    escalated : float
        Share of escalated calls.
    cost_ns : float
        Mean cost of a call.
    flips : float
        Changes of (profile, action) between consecutive calls, per 1,000 calls.
    false_alarms : int
        Alarms raised (for a policy without alarms: changes into escalation).
    calls : int
        Calls behind these figures.
    """

    escalated: float
    cost_ns: float
    flips: float
    false_alarms: int
    calls: int


@dataclass(frozen=True)
class IncidentMetrics:
    """Figures of a run with an incident.

    Parameters
    ----------
    delay : int or None
        Calls from the start to the first one in alarm; None when missed or pre-alarmed.
    missed, pre_alarmed : bool
        No alarm in time; alarm already there at the start.
    inside : float
        Escalated share of the affected calls.
    covered : float or None
        Share of the bad calls that got full validation or denial; None without bad calls.
    recovery : int or None
        Calls from the end until escalations are rare again; None when that is not seen.
    """

    delay: int | None
    missed: bool
    pre_alarmed: bool
    inside: float
    covered: float | None
    recovery: int | None


def clean_metrics(steps: Records) -> CleanMetrics:
    """Compute the figures of a clean run from its steps."""
    settled = steps[min(SETTLED_CALLS, len(steps) - 1) :]
    outcome = settled["decision"] & OUTCOME_BITS
    changes = int((outcome[1:] != outcome[:-1]).sum())
    return CleanMetrics(
        escalated=float(settled["escalated"].mean()),
        cost_ns=float(settled["cost_ns"].mean()),
        flips=1000.0 * changes / max(len(settled) - 1, 1),
        false_alarms=int(settled["raised"].sum()),
        calls=len(settled),
    )


def recovery_calls(escalated: npt.NDArray[np.bool_], end: int) -> int | None:
    """First j such that call end + j is not escalated and at most 5 of 100 from there on are."""
    after = np.asarray(escalated[end:], dtype=np.int64)
    if len(after) < RECOVERY_WINDOW:
        return None
    running = np.concatenate([[0], np.cumsum(after)])
    inside = running[RECOVERY_WINDOW:] - running[:-RECOVERY_WINDOW]
    calm = (after[: len(inside)] == 0) & (inside <= RECOVERY_ALLOWANCE)
    found = np.flatnonzero(calm)
    return int(found[0]) if len(found) else None


def incident_metrics(scenario: Scenario, steps: Records) -> IncidentMetrics:
    """Compute the figures of a run with an incident from its steps."""
    kind, calls = incident_named(scenario.incident), scenario.calls
    start, end = scenario.start, scenario.end
    watched = steps["alarm"][start : end + kind.grace].copy()
    if kind.one_family:
        watched[: end - start] &= calls["affected"][start:end]
    detections = np.flatnonzero(watched)
    pre_alarmed = bool(steps["alarm"][max(start - 1, 0)])
    found = len(detections) > 0
    affected = calls["affected"][start:end]
    bad = calls["bad"][start:end]
    escalated = steps["escalated"][start:end]
    return IncidentMetrics(
        delay=int(detections[0]) if found and not pre_alarmed else None,
        missed=not found,
        pre_alarmed=pre_alarmed,
        inside=float(escalated[affected].mean()) if affected.any() else 0.0,
        covered=float(escalated[bad].mean()) if bad.any() else None,
        recovery=recovery_calls(steps["escalated"], end),
    )


def _quantile(values: Sequence[float | None], share: float) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.quantile(present, share)) if present else None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def summarise_clean(runs: Sequence[CleanMetrics]) -> dict[str, Any]:
    """Summarise clean runs of one base: means, and false alarms over all calls."""
    return {
        "runs": len(runs),
        "clean_percent": 100.0 * _mean([run.escalated for run in runs]),
        "worst_clean_percent": 100.0 * max(run.escalated for run in runs),
        "cost_ns": _mean([run.cost_ns for run in runs]),
        "flips": _mean([run.flips for run in runs]),
        "false_alarms": sum(run.false_alarms for run in runs),
        "calls": sum(run.calls for run in runs),
    }


def summarise_incident(runs: Sequence[IncidentMetrics]) -> dict[str, Any]:
    """Summarise runs of one incident: median and 90th percentile delay, shares, recovery."""
    delays = [run.delay for run in runs]
    covered = [run.covered for run in runs if run.covered is not None]
    return {
        "runs": len(runs),
        "delay_median": _quantile(delays, 0.5),
        "delay_90": _quantile(delays, 0.9),
        "missed_percent": 100.0 * _mean([run.missed for run in runs]),
        "pre_alarmed_percent": 100.0 * _mean([run.pre_alarmed for run in runs]),
        "inside_percent": 100.0 * _mean([run.inside for run in runs]),
        "covered_percent": 100.0 * _mean(covered) if covered else None,
        "recovery_median": _quantile([run.recovery for run in runs], 0.5),
        "unrecovered_percent": 100.0 * _mean([run.recovery is None for run in runs]),
    }


def as_record(metrics: CleanMetrics | IncidentMetrics) -> dict[str, Any]:
    """Plain values of a run's metrics, for results files."""
    return asdict(metrics)
