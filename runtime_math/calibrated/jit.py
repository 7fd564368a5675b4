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
...         decision = jit.decide(state, 0, 0, address, 0, False, 0, False)
...         checked += decision.profile
...         jit.observe_validation_result(state, 0, decision.profile, 12, False)
...     return checked
>>> states = jit.new_state(0, monitors="none")
>>> addresses = np.arange(100, dtype=np.uint64) * np.uint64(16)
>>> 0 < serve(states, addresses) < 20
True
"""

from runtime_math.calibrated.state import FULL_STATE, LEAN_STATE, new_state
from runtime_math.calibrated.state import acknowledge as _acknowledge
from runtime_math.calibrated.state import check_ordering as _check_ordering
from runtime_math.calibrated.state import decide_packed as _decide_packed
from runtime_math.calibrated.state import in_alarm as _in_alarm
from runtime_math.calibrated.state import note_check_order_outcome as _note_check_order_outcome
from runtime_math.calibrated.state import note_overlap as _note_overlap
from runtime_math.calibrated.state import observe_validation_result as _observe
from runtime_math.calibrated.state import reset_alarms as _reset_alarms
from runtime_math.decision import Decision
from runtime_math.jit_calls import JitCalls

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

JIT_CALLS = JitCalls(
    __name__,
    decide_packed=_decide_packed,
    observe_validation_result=_observe,
    check_ordering=_check_ordering,
    note_check_order_outcome=_note_check_order_outcome,
    note_overlap=_note_overlap,
    acknowledge=_acknowledge,
    reset_alarms=_reset_alarms,
    in_alarm=_in_alarm,
)
decide_packed, decide, observe_validation_result = JIT_CALLS.main
check_ordering, note_check_order_outcome, note_overlap = JIT_CALLS.smaller
acknowledge = JIT_CALLS.acknowledge
reset_alarms = JIT_CALLS.reset_alarms
in_alarm = JIT_CALLS.in_alarm
