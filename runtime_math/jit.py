"""The kernel for other people's jitted code.

Every function takes a kernel's state record first. States live in arrays of dtype `KERNEL_STATE`
(made by `new_state`); an element of such an array is the record, passed by reference:

>>> import numpy as np
>>> from numba import njit
>>> from runtime_math import jit
>>> @njit
... def serve(states, addresses):
...     state, checked = states[0], 0
...     for address in addresses:
...         decision = jit.decide(state, 0, 0, address, 0, False, 0, False)
...         checked += decision.profile
...         jit.observe_validation_result(state, 0, decision.profile, 12, False)
...     return checked
>>> states = jit.new_state(0)
>>> addresses = np.arange(10, dtype=np.uint64) * np.uint64(4096)
>>> serve(states, addresses), int(states["decisions"][0])
(5, 10)

Codes (mode, family, profile, stages) are plain integers as in `runtime_math.types`. Arguments may
be integers of any width, signed or not, or booleans: they are converted, so a signed cost means
what it says, and no type compiles anything anew. A code or a number out of range raises
`ValueError`, before the state changes. Nothing locks; threads that run such loops need a state
each, or a lock.

A user's own function compiled with ``cache=True`` keeps the machine code of the kernel it was
compiled with; after an upgrade of this package clear its cache.
"""

from runtime_math.decision import Decision
from runtime_math.faithful.decide import decide_packed as _decide_packed
from runtime_math.faithful.observe import observe_validation_result as _observe
from runtime_math.faithful.ordering import check_ordering as _check_ordering
from runtime_math.faithful.ordering import note_check_order_outcome as _note_check_order_outcome
from runtime_math.faithful.ordering import note_overlap as _note_overlap
from runtime_math.faithful.ordering import pack_ordering, unpack_ordering
from runtime_math.faithful.state import KERNEL_STATE, new_state
from runtime_math.jit_calls import JitCalls

__all__ = [
    "KERNEL_STATE",
    "Decision",
    "check_ordering",
    "decide",
    "decide_packed",
    "new_state",
    "note_check_order_outcome",
    "note_overlap",
    "observe_validation_result",
    "pack_ordering",
    "unpack_ordering",
]

JIT_CALLS = JitCalls(
    __name__,
    decide_packed=_decide_packed,
    observe_validation_result=_observe,
    check_ordering=_check_ordering,
    note_check_order_outcome=_note_check_order_outcome,
    note_overlap=_note_overlap,
)
decide_packed, decide, observe_validation_result = JIT_CALLS.main
check_ordering, note_check_order_outcome, note_overlap = JIT_CALLS.smaller
