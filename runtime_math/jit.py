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
...         decision = jit.decide(state, 0, 0, address, np.uint64(0), False, 0, False)
...         checked += decision.profile
...         jit.observe_validation_result(state, 0, decision.profile, np.uint64(12), False)
...     return checked
>>> states = jit.new_state(0)
>>> addresses = np.arange(10, dtype=np.uint64) * np.uint64(4096)
>>> serve(states, addresses), int(states["decisions"][0])
(5, 10)

Codes (mode, family, profile, stages) are plain integers as in `runtime_math.types`; addresses,
sizes and costs are ``uint64``. Arguments are not checked here: a family outside 0..8 or a mode
outside 0..2 is undefined behaviour, as an index out of range is in any jitted code. Nothing locks;
threads that run such loops need a state each, or a lock.

A user's own function compiled with ``cache=True`` keeps the machine code of the kernel it was
compiled with; after an upgrade of this package clear its cache.
"""

from typing import NamedTuple

from runtime_math import decide as _decide
from runtime_math import observe as _observe
from runtime_math import ordering as _ordering
from runtime_math.numerics.compilation import entry_jitted, jitted
from runtime_math.ordering import pack_ordering, unpack_ordering
from runtime_math.state import KERNEL_STATE, new_state

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

# Compiled to the end and cached, each on its own, so that a user's function that is not cached
# links them in a second or two instead of compiling a kernel.


class Decision(NamedTuple):
    """A decision as plain numbers; the fields of `runtime_math.RuntimeDecision`."""

    profile: int
    action: int
    healing: int
    policy_id: int
    risk_upper_bound_ppm: int


@entry_jitted
def decide_packed(
    state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    """Decide how deeply to check a call; the decision comes as one integer.

    Takes the arguments of `decide`. See `runtime_math.types.pack_decision` for the bits.
    """
    return _decide.decide_packed(
        state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )


@jitted
def decide(
    state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    """Decide how deeply to check a call.

    Parameters
    ----------
    state : record of dtype `KERNEL_STATE`
    mode, family : int
        Codes of `SafetyLevel` and `ApiFamily`.
    addr_hint, requested_bytes : uint64
    is_write : bool
    contention_hint : int
        0 to 65535.
    bloom_negative : bool

    Returns
    -------
    Decision
    """
    packed = decide_packed(
        state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )
    return Decision(
        packed >> 20 & 1, packed >> 21 & 3, packed >> 23 & 3, packed >> 32, packed & 0xF_FFFF
    )


@entry_jitted
def observe_validation_result(state, family, profile, cost_ns, adverse):
    """Feed the outcome of a validation back into the monitors.

    Parameters
    ----------
    state : record of dtype `KERNEL_STATE`
    family, profile : int
        Codes of `ApiFamily` and `ValidationProfile`.
    cost_ns : uint64
    adverse : bool
    """
    _observe.observe_validation_result(state, family, profile, cost_ns, adverse)


@entry_jitted
def check_ordering(state, family, aligned, recent_page):
    """Return the present stage ordering for a context, packed; changes nothing."""
    return _ordering.check_ordering(state, family, aligned, recent_page)


@entry_jitted
def note_check_order_outcome(state, family, aligned, recent_page, ordering, exit_stage):
    """Report at which position (-1 for none) of a packed ordering a validation ended."""
    _ordering.note_check_order_outcome(state, family, aligned, recent_page, ordering, exit_stage)


@entry_jitted
def note_overlap(state, left_shard, right_shard, witness):
    """Return whether two shards agree on a witness (``uint64`` each); if not, count a fault."""
    return _ordering.note_overlap(state, left_shard, right_shard, witness)
