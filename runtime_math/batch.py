"""Batches: arrays of calls in, arrays of results out, in one jitted loop without the GIL."""

from runtime_math.decide import decide_packed
from runtime_math.numerics.compilation import entry_jitted, jitted
from runtime_math.observe import observe_validation_result
from runtime_math.ordering import check_ordering, note_check_order_outcome, note_overlap
from runtime_math.records import EventKind

DECIDE = int(EventKind.DECIDE)
OBSERVE = int(EventKind.OBSERVE)
OVERLAP = int(EventKind.OVERLAP)
CHECK_ORDERING = int(EventKind.CHECK_ORDERING)
NOTE_CHECK_ORDER = int(EventKind.NOTE_CHECK_ORDER)


@jitted
def store_decision(packed, row):
    """Write a packed decision into a DECISION or RESULT record."""
    row.profile = packed >> 20 & 1
    row.action = packed >> 21 & 3
    row.healing = packed >> 23 & 3
    row.policy_id = packed >> 32
    row.risk_upper_bound_ppm = packed & 0xF_FFFF


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


@entry_jitted(nogil=True)
def decide_rows(states, mode, contexts, decisions):
    """Decide on every context in turn."""
    state = states[0]
    for row in range(contexts.shape[0]):
        store_decision(decide_context(state, mode, contexts[row]), decisions[row])


@entry_jitted(nogil=True)
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


@entry_jitted(nogil=True)
def replay_rows(states, events, results):
    """Make the calls of a mixed sequence in turn."""
    state = states[0]
    for row in range(events.shape[0]):
        replay_event(state, events[row], results[row])


@entry_jitted(nogil=True)
def replay_ensemble_rows(states, first, last, events, results):
    """Replay the same events on the kernels first..last-1; results have one row per kernel."""
    for kernel in range(first, last):
        state = states[kernel]
        for row in range(events.shape[0]):
            replay_event(state, events[row], results[kernel, row])
