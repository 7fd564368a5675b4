"""Batches of a calibrated kernel: arrays of calls in, arrays of results out, without the GIL."""

from runtime_math.batch import (
    CHECK_ORDERING,
    DECIDE,
    NOTE_CHECK_ORDER,
    OBSERVE,
    OVERLAP,
    store_decision,
)
from runtime_math.calibrated.kernel_state import (
    check_ordering,
    decide_packed,
    note_check_order_outcome,
    note_overlap,
    observe_validation_result,
)
from runtime_math.numerics.compilation import jitted


@jitted
def decide_context(state, mode, context):
    """Decide on a record with the fields of a CONTEXT; the decision comes packed."""
    return decide_packed(
        state,
        mode,
        int(context.family),
        context.addr_hint,
        context.requested_bytes,
        context.is_write,
        int(context.contention_hint),
        context.bloom_negative,
    )


@jitted(nogil=True)
def decide_rows(states, mode, contexts, decisions):
    """Decide on every context in turn."""
    state = states[0]
    for row in range(contexts.shape[0]):
        store_decision(decide_context(state, mode, contexts[row]), decisions[row])


@jitted(nogil=True)
def observe_rows(states, outcomes):
    """Observe every outcome in turn."""
    state = states[0]
    for row in range(outcomes.shape[0]):
        outcome = outcomes[row]
        observe_validation_result(
            state, int(outcome.family), int(outcome.profile), outcome.cost_ns, outcome.adverse
        )


@jitted
def replay_event(state, event, result):
    """Make the call that an event stands for and store what it returned."""
    family = int(event.family)
    result.kind = event.kind
    if event.kind == DECIDE:
        store_decision(decide_context(state, int(event.mode), event), result)
    elif event.kind == OBSERVE:
        observe_validation_result(state, family, int(event.profile), event.cost_ns, event.adverse)
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
            int(event.ordering),
            event.exit_stage,
        )


@jitted(nogil=True)
def replay_rows(states, events, results):
    """Make the calls of a mixed sequence in turn."""
    state = states[0]
    for row in range(events.shape[0]):
        replay_event(state, events[row], results[row])


@jitted(nogil=True)
def replay_ensemble_rows(states, first, last, events, results):
    """Replay the same events on the kernels first..last-1; results have one row per kernel."""
    for kernel in range(first, last):
        state = states[kernel]
        for row in range(events.shape[0]):
            replay_event(state, events[row], results[kernel, row])
