"""The calls of a kernel, written once and made for each kind of record.

A kernel's record is one of three: the faithful one, and the calibrated one with or without the 46
monitors. What enters compiled code is the same for all: single calls, which take the address of a
record, return at once while a batch works on it, and are atomic under the interpreter lock; and
batches, which take arrays and release it.

The functions below the class are templates. They name what differs between records (`state_at`,
`decide_packed`, ...) as globals; `Calls` gives every record copies with globals of their own.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from runtime_math.call_context import FIELD_TYPES, CallContext, context_of
from runtime_math.decision import BUSY, store_decision
from runtime_math.numerics.compilation import entry_jitted, jitted
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.numerics.record_at import record_at
from runtime_math.numerics.templates import copied
from runtime_math.records import (
    CONTEXT,
    DECISION,
    EVENT,
    OUTCOME,
    RESULT,
    EventKind,
    Records,
)

_ADDRESS, _CODE, _WORD, _FLAG = types.uint64, types.int64, types.uint64, types.boolean
_DECIDE = (_ADDRESS, _CODE, *FIELD_TYPES)

DECIDE = int(EventKind.DECIDE)
OBSERVE = int(EventKind.OBSERVE)
OVERLAP = int(EventKind.OVERLAP)
CHECK_ORDERING = int(EventKind.CHECK_ORDERING)
NOTE_CHECK_ORDER = int(EventKind.NOTE_CHECK_ORDER)


class Calls:
    """Everything that enters compiled code for one kind of record.

    Parameters
    ----------
    name : str
        Of the kind; part of the names of cached files.
    home : str
        Name of the module that makes these calls. The compile cache follows its import
        statements, so it imports all `functions` by name.
    dtype : numpy.dtype
        Of the record.
    **functions : numba dispatchers
        What the templates call: ``decide_packed``, ``observe_validation_result``,
        ``check_ordering``, ``note_check_order_outcome``, ``note_overlap`` and, where the record
        has them, ``decide_detail``, ``acknowledge``, ``reset_alarms``.

    Attributes
    ----------
    decide, observe, check_ordering, note_check_order, note_overlap : EntryPoint
        Single calls.
    explain, acknowledge, reset_alarms : EntryPoint
        Those of some kinds of record.
    decide_rows, observe_rows, replay_rows, replay_ensemble_rows : numba dispatcher
        Batches; ``replay_event`` is the body of the last two, for jitted code.
    """

    decide: EntryPoint
    observe: EntryPoint
    check_ordering: EntryPoint
    note_check_order: EntryPoint
    note_overlap: EntryPoint
    explain: EntryPoint
    acknowledge: EntryPoint
    reset_alarms: EntryPoint
    decide_rows: Any
    observe_rows: Any
    replay_rows: Any
    replay_ensemble_rows: Any

    def __init__(self, name: str, home: str, dtype: np.dtype[Any], **functions: Any) -> None:
        self.name = name
        self.dtype = dtype
        self._namespace = {**globals(), **functions, "state_at": record_at(dtype)}
        self._namespace["__name__"] = home
        self.replay_event = self._namespace["_replay_event"] = jitted(self._copy(_replay_event))
        for call, (template, signature) in _SINGLE_CALLS.items():
            if _NEEDED.get(call, "decide_packed") in functions:
                setattr(self, call, EntryPoint(*signature)(self._copy(template)))
        for template in _BATCHES:
            setattr(self, template.__name__, entry_jitted(self._copy(template), nogil=True))

    def _copy(self, template: Callable[..., Any]) -> Callable[..., Any]:
        return copied(template, self._namespace, self.name)

    def compilations(self, states: Records) -> dict[str, Callable[[], object]]:
        """What `runtime_math.precompile` compiles: functions by name, for states of this kind."""
        contexts, decisions = np.zeros(0, CONTEXT), np.zeros(0, DECISION)
        events, results = np.zeros(0, EVENT), np.zeros((1, 0), RESULT)
        points = {call: getattr(self, call) for call in _SINGLE_CALLS if hasattr(self, call)}
        return {
            **{
                call: functools.partial(getattr, point, "address_call")
                for call, point in points.items()
            },
            "decide_many": lambda: self.decide_rows(states, 0, contexts, decisions),
            "observe_many": lambda: self.observe_rows(states, np.zeros(0, OUTCOME)),
            "replay": lambda: self.replay_rows(states, events, results[0]),
            "replay_ensemble": lambda: self.replay_ensemble_rows(states, 0, 1, events, results),
        }


# ruff: noqa: F821 - the names that differ between records are globals of the copies


def decide(
    address, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    """Packed decision on a call."""
    state = state_at(address)
    if state.busy:
        return BUSY
    context = CallContext(
        family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )
    return decide_packed(state, mode, context)


def explain(
    address, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    """Decision on a call with everything that led to it."""
    context = CallContext(
        family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )
    return decide_detail(state_at(address), mode, context)


def observe(address, family, profile, cost_ns, adverse):
    """Feed the outcome of a validation."""
    state = state_at(address)
    if state.busy:
        return BUSY
    observe_validation_result(state, family, profile, cost_ns, adverse)
    return 0


def check_order(address, family, aligned, recent_page):
    """Packed order of the stages."""
    state = state_at(address)
    if state.busy:
        return BUSY
    return check_ordering(state, family, aligned, recent_page)


def note_order(address, family, aligned, recent_page, ordering, exit_stage):
    """Report where in an order of stages a validation ended."""
    state = state_at(address)
    if state.busy:
        return BUSY
    note_check_order_outcome(state, family, aligned, recent_page, ordering, exit_stage)
    return 0


def compare_shards(address, left_shard, right_shard, witness):
    """Whether two shards agree with a witness."""
    state = state_at(address)
    if state.busy:
        return BUSY
    return 1 if note_overlap(state, left_shard, right_shard, witness) else 0


def accept(address, family):
    """Accept a lasting change as normal."""
    state = state_at(address)
    if state.busy:
        return BUSY
    acknowledge(state, family)
    return 0


def end_alarms(address, family):
    """End alarms and learn nothing."""
    state = state_at(address)
    if state.busy:
        return BUSY
    reset_alarms(state, family)
    return 0


def _replay_event(state, event, result):
    """Make the call that an event stands for and store what it returned."""
    family = np.int64(event.family)
    result.kind = event.kind
    if event.kind == DECIDE:
        store_decision(decide_packed(state, np.int64(event.mode), context_of(event)), result)
    elif event.kind == OBSERVE:
        observe_validation_result(
            state, family, np.int64(event.profile), event.cost_ns, event.adverse
        )
    elif event.kind == OVERLAP:
        result.consistent = note_overlap(state, event.left_shard, event.right_shard, event.witness)
    elif event.kind == CHECK_ORDERING:
        result.ordering = check_ordering(state, family, event.aligned, event.recent_page)
    elif event.kind == NOTE_CHECK_ORDER:
        note_check_order_outcome(
            state,
            family,
            event.aligned,
            event.recent_page,
            np.int64(event.ordering),
            event.exit_stage,
        )


def decide_rows(states, mode, contexts, decisions):
    """Decide on every context in turn."""
    state = states[0]
    for row in range(contexts.shape[0]):
        store_decision(decide_packed(state, mode, context_of(contexts[row])), decisions[row])


def observe_rows(states, outcomes):
    """Observe every outcome in turn."""
    state = states[0]
    for row in range(outcomes.shape[0]):
        outcome = outcomes[row]
        observe_validation_result(
            state,
            np.int64(outcome.family),
            np.int64(outcome.profile),
            outcome.cost_ns,
            outcome.adverse,
        )


def replay_rows(states, events, results):
    """Make the calls of a mixed sequence in turn."""
    state = states[0]
    for row in range(events.shape[0]):
        _replay_event(state, events[row], results[row])


def replay_ensemble_rows(states, first, last, events, results):
    """Replay the same events on the kernels first..last-1; results have one row per kernel."""
    for kernel in range(first, last):
        state = states[kernel]
        for row in range(events.shape[0]):
            _replay_event(state, events[row], results[kernel, row])


_SINGLE_CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "decide": (decide, _DECIDE),
    "explain": (explain, _DECIDE),
    "observe": (observe, (_ADDRESS, _CODE, _CODE, _WORD, _FLAG)),
    "check_ordering": (check_order, (_ADDRESS, _CODE, _FLAG, _FLAG)),
    "note_check_order": (note_order, (_ADDRESS, _CODE, _FLAG, _FLAG, _CODE, _CODE)),
    "note_overlap": (compare_shards, (_ADDRESS, _WORD, _WORD, _WORD)),
    "acknowledge": (accept, (_ADDRESS, _CODE)),
    "reset_alarms": (end_alarms, (_ADDRESS, _CODE)),
}
# Calls that only some kinds of record have, by the function that such a kind brings.
_NEEDED = {
    "explain": "decide_detail",
    "acknowledge": "acknowledge",
    "reset_alarms": "reset_alarms",
}
_BATCHES = (decide_rows, observe_rows, replay_rows, replay_ensemble_rows)
