"""Validation around the batch loops: dtypes, shapes and codes are checked before the first call."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime_math import validation
from runtime_math.calls_for import calls_for
from runtime_math.faithful.ordering import STAGE_COUNT, pack_ordering, unpack_ordering
from runtime_math.numerics.c_function import CompileProgress
from runtime_math.records import CONTEXT, DECISION, EVENT, OUTCOME, RESULT, EventKind, Records
from runtime_math.types import (
    FAMILY_COUNT,
    ApiFamily,
    RuntimeContext,
    RuntimeDecision,
    SafetyLevel,
    ValidationProfile,
)

if TYPE_CHECKING:
    from runtime_math.kernel import RuntimeMathKernel

_EVENT_CODES = {
    "kind": len(EventKind),
    "mode": len(SafetyLevel),
    "family": FAMILY_COUNT,
    "profile": len(ValidationProfile),
}

_PARTS_PER_THREAD = 16


def _checked_array(name: str, array: Any, dtype: np.dtype[Any]) -> Records:
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"{name} must be a NumPy array of dtype {dtype.names}, got {found}")
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {array.shape}")
    return np.ascontiguousarray(array)


def _check_below(name: str, array: Records, field: str, limit: int) -> None:
    wrong = np.flatnonzero(array[field] >= limit)
    if wrong.size:
        row = int(wrong[0])
        value = array[field][row]
        raise ValueError(f"{name}[{row}]: {field} must be from 0 to {limit - 1}, got {value}")


def _check_flags(name: str, array: Records) -> None:
    """A raw byte other than 0 or 1 in a bool field would make jitted code misbehave."""
    for field in array.dtype.names or ():
        if array.dtype[field] == np.bool_:
            wrong = np.flatnonzero(array[field].view(np.uint8) > 1)
            if wrong.size:
                raise ValueError(f"{name}[{int(wrong[0])}]: {field} must be a bool")


def _check_stages(events: Records) -> None:
    noted = np.flatnonzero(events["kind"] == EventKind.NOTE_CHECK_ORDER)
    if not noted.size:
        return
    packed = events["ordering"][noted]
    valid = packed >> (4 * STAGE_COUNT) == 0
    for place in range(STAGE_COUNT):
        valid &= (packed >> 4 * place & 15) < STAGE_COUNT
    if not valid.all():
        row = int(noted[np.flatnonzero(~valid)[0]])
        raise ValueError(f"events[{row}]: ordering must hold {STAGE_COUNT} stages of 0 to 6")
    exits = events["exit_stage"][noted]
    wrong = np.flatnonzero(exits < -1)
    if wrong.size:
        row = int(noted[wrong[0]])
        raise ValueError(f"events[{row}]: exit_stage must be at least -1, got {exits[wrong[0]]}")


def checked_contexts(contexts: Records) -> Records:
    """Validated, contiguous array of CONTEXT."""
    contexts = _checked_array("contexts", contexts, CONTEXT)
    _check_below("contexts", contexts, "family", FAMILY_COUNT)
    _check_flags("contexts", contexts)
    return contexts


def checked_outcomes(outcomes: Records) -> Records:
    """Validated, contiguous array of OUTCOME."""
    outcomes = _checked_array("outcomes", outcomes, OUTCOME)
    _check_below("outcomes", outcomes, "family", FAMILY_COUNT)
    _check_below("outcomes", outcomes, "profile", len(ValidationProfile))
    _check_flags("outcomes", outcomes)
    return outcomes


def checked_events(events: Records) -> Records:
    """Validated, contiguous array of EVENT."""
    events = _checked_array("events", events, EVENT)
    for field, limit in _EVENT_CODES.items():
        _check_below("events", events, field, limit)
    _check_flags("events", events)
    _check_stages(events)
    return events


def _run(kernel: "RuntimeMathKernel", loop: Callable[..., object], *arrays: Any) -> None:
    with CompileProgress(), kernel.exclusive() as states:
        loop(states, *arrays)


def decide_many(kernel: "RuntimeMathKernel", mode: int, contexts: Records) -> Records:
    """See `RuntimeMathKernel.decide_many`."""
    contexts = checked_contexts(contexts)
    decisions = np.zeros(contexts.shape, DECISION)
    if kernel._recorder is not None:
        for row, context in enumerate(contexts.tolist()):
            decisions[row] = _decision_row(kernel.decide(mode, RuntimeContext(*context)))
    else:
        _run(kernel, kernel._calls.decide_rows, mode, contexts, decisions)
    return decisions


def _decision_row(decision: RuntimeDecision) -> tuple[int, ...]:
    return tuple(map(int, decision))


def observe_many(kernel: "RuntimeMathKernel", outcomes: Records) -> None:
    """See `RuntimeMathKernel.observe_many`."""
    outcomes = checked_outcomes(outcomes)
    if kernel._recorder is not None:
        for family, profile, cost_ns, adverse in outcomes.tolist():
            kernel.observe_validation_result(family, profile, cost_ns, adverse)
    else:
        _run(kernel, kernel._calls.observe_rows, outcomes)


def replay(kernel: "RuntimeMathKernel", events: Records) -> Records:
    """See `RuntimeMathKernel.replay`."""
    events = checked_events(events)
    results = np.zeros(events.shape, RESULT)
    if kernel._recorder is not None:
        for event, result in zip(events, results, strict=True):
            _replay_one(kernel, event, result)
    else:
        _run(kernel, kernel._calls.replay_rows, events, results)
    return results


def _replay_one(kernel: "RuntimeMathKernel", event: np.void, result: np.void) -> None:
    fields = dict(zip(EVENT.names or (), event.item(), strict=True))
    family, kind = ApiFamily(fields["family"]), fields["kind"]
    result["kind"] = kind
    if kind == EventKind.DECIDE:
        names = RuntimeContext._fields
        decision = kernel.decide(fields["mode"], RuntimeContext(*(fields[name] for name in names)))
        for name, value in zip(DECISION.names or (), _decision_row(decision), strict=True):
            result[name] = value
    elif kind == EventKind.OBSERVE:
        kernel.observe_validation_result(
            family, fields["profile"], fields["cost_ns"], fields["adverse"]
        )
    elif kind == EventKind.OVERLAP:
        result["consistent"] = kernel.note_overlap(
            fields["left_shard"], fields["right_shard"], fields["witness"]
        )
    else:
        context = family, fields["aligned"], fields["recent_page"]
        if kind == EventKind.CHECK_ORDERING:
            stages = kernel.check_ordering(*context)
            result["ordering"] = pack_ordering(stages)
        else:
            exit_stage = None if fields["exit_stage"] < 0 else fields["exit_stage"]
            kernel.note_check_order_outcome(
                *context, unpack_ordering(fields["ordering"]), exit_stage
            )


def replay_ensemble(states: Records, events: Records, threads: int | None = None) -> Records:
    """Replay the same events on many independent kernels, on all cores.

    Parameters
    ----------
    states : numpy.ndarray of dtype `KERNEL_STATE`, or of calibrated kernels
        One-dimensional, contiguous, writable; changed in place.
    events : numpy.ndarray of dtype `EVENT`
        One-dimensional.
    threads : int, optional
        Number of threads; by default one per core.

    Returns
    -------
    numpy.ndarray of dtype `RESULT`, shape (kernels, events)

    Examples
    --------
    >>> from runtime_math.faithful.state import new_state
    >>> states = new_state(SafetyLevel.STRICT, 8)
    >>> events = np.zeros(3, EVENT)
    >>> replay_ensemble(states, events)["risk_upper_bound_ppm"][7].tolist()
    [115000, 115000, 115000]
    """
    calls = calls_for(getattr(states, "dtype", None))
    if states.ndim != 1:
        raise ValueError(f"states must be one-dimensional, got shape {states.shape}")
    if not (states.flags.c_contiguous and states.flags.writeable):
        raise ValueError("states must be contiguous and writable")
    events = checked_events(events)
    threads = threads or len(os.sched_getaffinity(0))
    validation.integer(1, 1024)("threads", threads)
    results = np.zeros((len(states), len(events)), RESULT)
    # More parts than threads: a core that has other work to do gets fewer of them.
    shares = min(threads * _PARTS_PER_THREAD, max(len(states), 1))
    bounds = np.linspace(0, len(states), shares + 1).astype(int)
    with CompileProgress():
        calls.replay_ensemble_rows(states[:1], 0, 0, events, results[:1])
    with ThreadPoolExecutor(threads) as pool:
        parts = [
            pool.submit(calls.replay_ensemble_rows, states, int(first), int(last), events, results)
            for first, last in zip(bounds[:-1], bounds[1:], strict=True)
        ]
        for part in parts:
            part.result()
    return results
