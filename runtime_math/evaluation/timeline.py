"""One run call by call, from a scenario or a recorded trace: what a timeline picture shows."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime_math.calibrated import state
from runtime_math.calibrated.calls import LEAN
from runtime_math.calibrated.policy import in_alarm
from runtime_math.calibrated.policy_state import FULL_TRIGGER_PPM
from runtime_math.calibrated.recording import kernel_arguments
from runtime_math.calibrated.streams import GLOBAL_COUNT, STREAM_COUNT
from runtime_math.decision import RISK_MASK
from runtime_math.evaluation import loop
from runtime_math.evaluation.run import Policy, policy_record
from runtime_math.faithful.calls import FAITHFUL
from runtime_math.faithful.signals import SIGNAL_COUNT
from runtime_math.faithful.state import new_state
from runtime_math.numerics.compilation import jitted
from runtime_math.records import RESULT, EventKind, Records
from runtime_math.scenarios import Scenario
from runtime_math.trace import read_events
from runtime_math.types import FAMILY_COUNT, SafetyLevel

LONGEST_TRACE = 2_000_000

replay_event = LEAN.replay_event  # jitted code compiles it for the record it is given


@dataclass(frozen=True)
class Timeline:
    """One run.

    Parameters
    ----------
    title : str
    policy : str
        "faithful" or "calibrated".
    trigger_ppm : int
        Risk from which a call is fully validated.
    threshold : float or None
        Evidence that raises an alarm; None for the faithful policy.
    risk_ppm, cost_ns : numpy.ndarray
        For every call; a cost is NaN where none was observed.
    escalated, alarm : numpy.ndarray of bool
    evidence : numpy.ndarray or None
        Weighted evidence, one column for each stream.
    codes : numpy.ndarray or None
        Code of every monitor.
    window : tuple of int or None
        Start and end of the incident, where known.
    """

    title: str
    policy: str
    trigger_ppm: int
    threshold: float | None
    risk_ppm: npt.NDArray[np.int64]
    cost_ns: npt.NDArray[np.float64]
    escalated: npt.NDArray[np.bool_]
    alarm: npt.NDArray[np.bool_]
    evidence: npt.NDArray[np.float64] | None = None
    codes: npt.NDArray[np.uint8] | None = None
    window: tuple[int, int] | None = None


def of_scenario(policy: Policy, mode: str, scenario: Scenario) -> Timeline:
    """Run a policy on a scenario and keep what a picture needs.

    Parameters
    ----------
    policy : run.Policy
    mode : str
    scenario : Scenario

    Returns
    -------
    Timeline
    """
    level = int(SafetyLevel[mode.upper()])
    steps = np.zeros(len(scenario), loop.STEP)
    evidence = codes = threshold = None
    if policy.name == "faithful":
        codes = np.zeros((len(scenario), SIGNAL_COUNT), np.uint8)
        loop.watch_faithful(new_state(level)[0], level, scenario.calls, steps, codes)
    else:
        record = policy_record(policy, mode, scenario.settings)
        evidence = np.zeros((len(scenario), STREAM_COUNT))
        loop.watch_calibrated(record[0], level, scenario.calls, steps, evidence)
        threshold = float(record["threshold"][0])
    return Timeline(
        title=f"{scenario.name}, seed {scenario.seed}, {policy.label} policy, {mode}",
        policy=policy.name,
        trigger_ppm=int(FULL_TRIGGER_PPM[level]),
        threshold=threshold,
        risk_ppm=steps["decision"] & RISK_MASK,
        cost_ns=steps["cost_ns"].astype(float),
        escalated=steps["escalated"],
        alarm=steps["alarm"],
        evidence=evidence,
        codes=codes,
        window=None if scenario.incident is None else (scenario.start, scenario.end),
    )


@jitted
def _watch_events(states: Any, events: Any, results: Any, evidence: Any, alarm: Any) -> None:
    state = states[0]
    for row in range(events.shape[0]):
        alarm[row] = in_alarm(state.policy, int(events[row].family))
        replay_event(state, events[row], results[row])
        for stream in range(GLOBAL_COUNT):
            evidence[row, stream] = state.policy.evidence[stream]
        for own in range(STREAM_COUNT - GLOBAL_COUNT):
            for family in range(FAMILY_COUNT):
                evidence[row, GLOBAL_COUNT + own] += state.policy.family_evidence[family, own]


def _watch_codes(states: Records, events: Records, results: Records) -> npt.NDArray[np.uint8]:
    codes = np.zeros((len(events), SIGNAL_COUNT), np.uint8)
    for row in range(len(events)):
        FAITHFUL.replay_rows(states, events[row : row + 1], results[row : row + 1])
        codes[row] = states["codes"][0]
    return codes


def _decided_costs(events: Records, decided: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Cost observed after each decision, before the next one; NaN where there was none."""
    owner = np.cumsum(decided) - 1
    costs = np.full(int(decided.sum()), np.nan)
    observed = (events["kind"] == EventKind.OBSERVE) & (owner >= 0)
    costs[owner[observed]] = events["cost_ns"][observed]
    return costs


def of_trace(path: str | os.PathLike[str]) -> Timeline:
    """Replay a recorded trace and keep what a picture needs.

    Parameters
    ----------
    path : path-like
        Trace of a kernel of either policy, recorded from its birth.

    Returns
    -------
    Timeline

    Raises
    ------
    TraceError, ValueError, OSError
        The file is no trace, or holds no decisions.
    """
    arguments = kernel_arguments(path)
    mode = int(arguments.pop("mode"))
    policy = arguments.pop("policy", "faithful")
    events = _all_events(path)
    results = np.zeros(len(events), RESULT)
    decided = events["kind"] == EventKind.DECIDE
    if not decided.any():
        raise ValueError(f"{path} holds no decisions to plot")
    evidence = codes = threshold = None
    if policy == "faithful":
        codes = _watch_codes(new_state(mode), events, results)[decided]
    else:
        states = state.new_state(mode, **arguments)
        evidence = np.zeros((len(events), STREAM_COUNT))
        alarm = np.zeros(len(events), np.bool_)
        _watch_events(states, events, results, evidence, alarm)
        threshold = float(states["policy"]["threshold"][0])
        evidence, alarm = evidence[decided], alarm[decided]
    results = results[decided]
    escalated = (results["profile"] == 1) | (results["action"] > 0)
    return Timeline(
        title=f"{path}, {policy} policy, {SafetyLevel(mode).name.lower()}",
        policy=policy,
        trigger_ppm=int(FULL_TRIGGER_PPM[mode]),
        threshold=threshold,
        risk_ppm=results["risk_upper_bound_ppm"].astype(int),
        cost_ns=_decided_costs(events, decided),
        escalated=escalated,
        alarm=escalated if policy == "faithful" else alarm,
        evidence=evidence,
        codes=codes,
    )


def _all_events(path: str | os.PathLike[str]) -> Records:
    parts, count = [], 0
    for events, _ in read_events(path):
        parts.append(events)
        count += len(events)
        if count > LONGEST_TRACE:
            raise ValueError(f"{path} has more than {LONGEST_TRACE:,} calls; plot a part of it")
    if not parts:
        raise ValueError(f"{path} holds no calls to plot")
    return np.concatenate(parts)
