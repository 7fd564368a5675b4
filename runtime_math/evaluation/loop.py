"""The closed loop: a kernel decides, the scenario answers with a cost, the kernel observes.

One jitted loop per policy; a run of 20,000 calls takes milliseconds. What every call brought is
written into an array of `STEP` records, from which all metrics are computed afterwards. A run that
is to be looked at keeps the evidence of every stream, or the code of every monitor, as well.
"""

import numpy as np

from runtime_math.calibrated import policy
from runtime_math.calibrated.policy_state import SLOT_COUNT
from runtime_math.calibrated.streams import GLOBAL_COUNT, STREAM_COUNT
from runtime_math.call_context import context_of
from runtime_math.decision import action_of, profile_of, requires_full
from runtime_math.faithful.decide import decide_packed as decide_faithfully
from runtime_math.faithful.observe import observe_validation_result as observe_faithfully
from runtime_math.faithful.ordering import note_overlap as note_overlap_faithfully
from runtime_math.numerics.compilation import jitted
from runtime_math.scenarios.traffic import validation_cost_ns
from runtime_math.types import FAMILY_COUNT, MembraneAction

STEP = np.dtype(
    [
        ("decision", np.int64),
        ("cost_ns", np.uint64),
        ("alarm", np.bool_),
        ("raised", np.bool_),
        ("escalated", np.bool_),
    ],
    align=True,
)

DENY = int(MembraneAction.DENY)
NO_OVERLAP = 0
INCONSISTENT = 2


@jitted
def denied(packed):
    """Whether a packed decision denies the call."""
    return action_of(packed) == DENY


@jitted
def alarm_count(state):
    """Number of alarms ever raised in a calibrated policy."""
    total = 0
    for slot in range(SLOT_COUNT):
        total += state.alarms[slot].count
    return total


@jitted
def calibrated_step(state, mode, call, step):
    """Take one call of a scenario through the calibrated policy."""
    family = np.int64(call.family)
    raised = alarm_count(state)
    step.alarm = policy.in_alarm(state, family)
    packed = policy.decide_packed(state, mode, context_of(call))
    cost = validation_cost_ns(call.cost_luck, call.cost_factor, requires_full(packed))
    policy.observe(state, family, profile_of(packed), cost, call.adverse)
    if call.overlap != NO_OVERLAP:
        policy.note_overlap(state, call.overlap != INCONSISTENT)
    step.decision = packed
    step.cost_ns = cost
    step.escalated = requires_full(packed) or denied(packed)
    step.raised = alarm_count(state) > raised


@jitted
def run_calibrated(state, mode, calls, steps):
    """Run the calibrated policy over the calls of a scenario."""
    for index in range(len(calls)):
        calibrated_step(state, mode, calls[index], steps[index])


@jitted
def watch_calibrated(state, mode, calls, steps, evidence):
    """Run the calibrated policy and keep the evidence of every stream after every call."""
    for index in range(len(calls)):
        calibrated_step(state, mode, calls[index], steps[index])
        for stream in range(GLOBAL_COUNT):
            evidence[index, stream] = state.evidence[stream]
        for own in range(STREAM_COUNT - GLOBAL_COUNT):
            evidence[index, GLOBAL_COUNT + own] = 0.0
            for family in range(FAMILY_COUNT):
                evidence[index, GLOBAL_COUNT + own] += state.family_evidence[family, own]


@jitted
def faithful_step(state, mode, call, step, escalated_before):
    """Take one call of a scenario through the faithful policy; alarm means escalated there."""
    family = np.int64(call.family)
    packed = decide_faithfully(state, mode, context_of(call))
    cost = validation_cost_ns(call.cost_luck, call.cost_factor, requires_full(packed))
    observe_faithfully(state, family, profile_of(packed), cost, call.adverse)
    if call.overlap != NO_OVERLAP:
        witness = np.uint64(1) if call.overlap == INCONSISTENT else np.uint64(0)
        note_overlap_faithfully(state, np.uint64(1), np.uint64(2), witness)
    step.decision = packed
    step.cost_ns = cost
    step.escalated = requires_full(packed) or denied(packed)
    step.alarm = step.escalated
    step.raised = step.escalated and not escalated_before
    return step.escalated


@jitted
def run_faithful(state, mode, calls, steps):
    """Run the faithful policy over the calls of a scenario."""
    escalated = False
    for index in range(len(calls)):
        escalated = faithful_step(state, mode, calls[index], steps[index], escalated)


@jitted
def watch_faithful(state, mode, calls, steps, codes):
    """Run the faithful policy and keep the code of every monitor after every call."""
    escalated = False
    for index in range(len(calls)):
        escalated = faithful_step(state, mode, calls[index], steps[index], escalated)
        for signal in range(len(state.codes)):
            codes[index, signal] = state.codes[signal]
