"""The calls of the calibrated kernel, for its record without the 46 monitors and with them."""

from runtime_math.calibrated.state import (
    FULL_STATE,
    LEAN_STATE,
    acknowledge,
    check_ordering,
    decide_packed,
    note_check_order_outcome,
    note_overlap,
    observe_validation_result,
    reset_alarms,
)
from runtime_math.calls import Calls

_FUNCTIONS = {
    "decide_packed": decide_packed,
    "observe_validation_result": observe_validation_result,
    "check_ordering": check_ordering,
    "note_check_order_outcome": note_check_order_outcome,
    "note_overlap": note_overlap,
    "acknowledge": acknowledge,
    "reset_alarms": reset_alarms,
}

LEAN = Calls("lean", __name__, LEAN_STATE, **_FUNCTIONS)
FULL = Calls("full", __name__, FULL_STATE, **_FUNCTIONS)
