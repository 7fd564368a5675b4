"""The calls of the faithful kernel."""

from runtime_math.calls import Calls
from runtime_math.faithful.decide import decide_detail, decide_packed
from runtime_math.faithful.observe import observe_validation_result
from runtime_math.faithful.ordering import check_ordering, note_check_order_outcome, note_overlap
from runtime_math.faithful.state import KERNEL_STATE

FAITHFUL = Calls(
    "faithful",
    __name__,
    KERNEL_STATE,
    decide_packed=decide_packed,
    decide_detail=decide_detail,
    observe_validation_result=observe_validation_result,
    check_ordering=check_ordering,
    note_check_order_outcome=note_check_order_outcome,
    note_overlap=note_overlap,
)
