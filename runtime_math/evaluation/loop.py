"""The closed loop: a kernel decides, the scenario answers with a cost, the kernel observes.

One jitted loop per policy; a run of 20,000 calls takes milliseconds. What every call brought is
written into an array of `STEP` records, from which all metrics are computed afterwards.
"""

import numpy as np

from runtime_math.calibrated import policy
from runtime_math.calibrated.policy_state import GLOBAL, SLOT_COUNT
from runtime_math.numerics.compilation import jitted
from runtime_math.scenarios.traffic import validation_cost_ns
from runtime_math.types import FAMILY_COUNT

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

DENY = 3
CONSISTENT = 1
INCONSISTENT = 2


@jitted
def profile_of(packed):
    """Profile of a packed decision."""
    return (packed >> 20) & 1


@jitted
def action_of(packed):
    """Action of a packed decision."""
    return (packed >> 21) & 3


@jitted
def alarm_count(state):
    """Number of alarms ever raised in a calibrated policy."""
    total = 0
    for slot in range(SLOT_COUNT):
        total += state.alarms[slot].count
    return total


@jitted
def run_calibrated(state, mode, calls, steps):
    """Run the calibrated policy over the calls of a scenario."""
    raised = alarm_count(state)
    for index in range(len(calls)):
        call = calls[index]
        family = np.int64(call.family)
        step = steps[index]
        step.alarm = policy.in_alarm(state, family)
        packed = policy.decide_packed(
            state,
            mode,
            family,
            call.addr_hint,
            call.requested_bytes,
            call.is_write,
            np.int64(call.contention_hint),
            call.bloom_negative,
        )
        action = action_of(packed)
        validated = profile_of(packed) == 1 or action in (1, 2)
        cost = validation_cost_ns(call.cost_luck, call.cost_factor, validated)
        policy.observe(state, family, profile_of(packed), cost, call.adverse)
        if call.overlap == CONSISTENT or call.overlap == INCONSISTENT:
            policy.note_overlap(state, call.overlap == CONSISTENT)
        step.decision = packed
        step.cost_ns = cost
        step.escalated = validated or action == DENY
        count = alarm_count(state)
        step.raised = count > raised
        raised = count
