"""An operator accepts a lasting change: the alarm ends and the present behaviour is the new normal.

What was learnt is not thrown away but made light, so that the next few hundred calls outweigh it;
what can be known at once (recent adverse rates, recent costs) is taken over at once.
"""

from runtime_math.calibrated import alarm, quarantine_queue
from runtime_math.calibrated.policy_state import (
    FIRST_ALARM_CALL,
    GLOBAL,
    SLOT_COUNT,
    WARM_CALLS,
    restart_all,
    restart_family,
)
from runtime_math.calibrated.streams import accept_detectors, lighten_detectors
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT

# Old observations weigh this much less than new ones afterwards.
LIGHTENING = 64.0


@jitted
def clear_slot(state, slot):
    """End a slot's alarm without any memory of it."""
    own = state.alarms[slot]
    if own.active:
        alarm.end(own)
    own.ended_clock = alarm.NEVER
    own.level = 0


@jitted
def accept_family(state, family):
    """Take a family's recent adverse rate, sizes and costs for its usual ones."""
    accept_detectors(state, family, LIGHTENING)
    state.family_quiet_until[family] = state.observations + FIRST_ALARM_CALL


@jitted
def acknowledge(state, family):
    """Accept the present behaviour of one family, or of everything (family -1), as normal."""
    if family >= 0:
        clear_slot(state, family)
        accept_family(state, family)
        quarantine_queue.void_family(state.contexts, family)
        quarantine_queue.void_family(state.outcomes, family)
        restart_family(state, family)
        return
    for slot in range(SLOT_COUNT):
        clear_slot(state, slot)
    for index in range(FAMILY_COUNT):
        if state.recent_cost[0, index].count + state.recent_cost[1, index].count > 0.0:
            accept_family(state, index)
    lighten_detectors(state, LIGHTENING)
    quarantine_queue.void_all(state.contexts)
    quarantine_queue.void_all(state.outcomes)
    restart_all(state)
    state.quiet_until = state.observations + FIRST_ALARM_CALL
    state.warm_until = state.observations + WARM_CALLS
    state.warm_until_decision = state.decisions + WARM_CALLS


@jitted
def reset_alarms(state, family):
    """End one family's alarm, or all (family -1), and learn nothing from it."""
    if family >= 0:
        clear_slot(state, family)
        restart_family(state, family)
        return
    for slot in range(GLOBAL + 1):
        clear_slot(state, slot)
    restart_all(state)
