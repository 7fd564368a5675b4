"""The calibrated kernel for other people's jitted code; see `runtime_math.jit` for the rules.

States of both kinds (with the 46 monitors beside the policy, and without) go into the same
functions, which are compiled for the kind they are given:

>>> import numpy as np
>>> from numba import njit
>>> from runtime_math.calibrated import jit
>>> @njit
... def serve(states, addresses):
...     state, checked = states[0], 0
...     for address in addresses:
...         decision = jit.decide(state, 0, 0, address, np.uint64(0), False, 0, False)
...         checked += decision.profile
...         jit.observe_validation_result(state, 0, decision.profile, np.uint64(12), False)
...     return checked
>>> states = jit.new_state(0, monitors="none")
>>> addresses = np.arange(100, dtype=np.uint64) * np.uint64(16)
>>> 0 < serve(states, addresses) < 20
True
"""

from runtime_math.calibrated.policy import in_alarm as _in_alarm
from runtime_math.calibrated.state import (
    FULL_STATE,
    LEAN_STATE,
    acknowledge,
    check_ordering,
    decide_packed,
    new_state,
    note_check_order_outcome,
    note_overlap,
    observe_validation_result,
    reset_alarms,
)
from runtime_math.decision import Decision, unpack_decision
from runtime_math.numerics.compilation import jitted

__all__ = [
    "FULL_STATE",
    "LEAN_STATE",
    "Decision",
    "acknowledge",
    "check_ordering",
    "decide",
    "decide_packed",
    "in_alarm",
    "new_state",
    "note_check_order_outcome",
    "note_overlap",
    "observe_validation_result",
    "reset_alarms",
]


@jitted
def decide(
    state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    """Decide how deeply to check a call; returns a `Decision`."""
    packed = decide_packed(
        state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )
    return unpack_decision(packed)


@jitted
def in_alarm(state, family):
    """Whether an alarm applies to the calls of a family now."""
    return _in_alarm(state.policy, family)
