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

import numpy as np
from numba import types

from runtime_math.decision import Decision, unpack_decision
from runtime_math.faithful import decide as _decide
from runtime_math.faithful import observe as _observe
from runtime_math.faithful import ordering as _ordering
from runtime_math.faithful.ordering import pack_ordering, unpack_ordering
from runtime_math.faithful.state import KERNEL_RECORD, KERNEL_STATE, new_state
from runtime_math.numerics.arguments import below, flag, word
from runtime_math.numerics.compilation import entry_jitted, jitted
from runtime_math.types import FAMILY_COUNT, PROFILE_COUNT, SafetyLevel

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

MODE_COUNT = len(SafetyLevel)
CONTENTION_LIMIT = 2**16
ORDERING_LIMIT = 2**28

# Compiled to the end and cached, each on its own, so that a user's function that is not cached
# links them in a second or two instead of compiling a kernel.
_decide_packed = entry_jitted(_decide.decide_packed.py_func)
_observe_result = entry_jitted(_observe.observe_validation_result.py_func)
_check_ordering = entry_jitted(_ordering.check_ordering.py_func)
_note_check_order_outcome = entry_jitted(_ordering.note_check_order_outcome.py_func)
_note_overlap = entry_jitted(_ordering.note_overlap.py_func)

_CODE, _WORD, _FLAG = types.int64, types.uint64, types.boolean
_SIGNATURES = {
    _decide_packed: (_CODE, _CODE, _WORD, _WORD, _FLAG, _CODE, _FLAG),
    _observe_result: (_CODE, _CODE, _WORD, _FLAG),
    _check_ordering: (_CODE, _FLAG, _FLAG),
    _note_check_order_outcome: (_CODE, _FLAG, _FLAG, _CODE, _CODE),
    _note_overlap: (_WORD, _WORD, _WORD),
}


def compilations():
    """What `runtime_math.precompile` compiles of this module: functions, by name."""
    return {
        dispatcher.py_func.__name__: lambda dispatcher=dispatcher, arguments=arguments: (
            dispatcher.compile((KERNEL_RECORD, *arguments))
        )
        for dispatcher, arguments in _SIGNATURES.items()
    }


@jitted
def decide_packed(
    state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    """Decide how deeply to check a call; the decision comes as one integer.

    Takes the arguments of `decide`. See `runtime_math.decision` for the bits.
    """
    return _decide_packed(
        state,
        below("mode", mode, MODE_COUNT),
        below("family", family, FAMILY_COUNT),
        word("addr_hint", addr_hint),
        word("requested_bytes", requested_bytes),
        flag("is_write", is_write),
        below("contention_hint", contention_hint, CONTENTION_LIMIT),
        flag("bloom_negative", bloom_negative),
    )


@jitted
def decide(
    state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    """Decide how deeply to check a call.

    Parameters
    ----------
    state : record of dtype `KERNEL_STATE`
    mode, family : integer
        Codes of `SafetyLevel` and `ApiFamily`.
    addr_hint, requested_bytes : integer
        0 to 2^64 - 1.
    is_write : bool
    contention_hint : integer
        0 to 65535.
    bloom_negative : bool

    Returns
    -------
    Decision

    Raises
    ------
    ValueError
        An argument is out of range; the state is unchanged.
    """
    packed = decide_packed(
        state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )
    return unpack_decision(packed)


@jitted
def observe_validation_result(state, family, profile, cost_ns, adverse):
    """Feed the outcome of a validation back into the monitors.

    Parameters
    ----------
    state : record of dtype `KERNEL_STATE`
    family, profile : integer
        Codes of `ApiFamily` and `ValidationProfile`.
    cost_ns : integer
        0 to 2^64 - 1.
    adverse : bool

    Raises
    ------
    ValueError
        An argument is out of range; the state is unchanged.
    """
    _observe_result(
        state,
        below("family", family, FAMILY_COUNT),
        below("profile", profile, PROFILE_COUNT),
        word("cost_ns", cost_ns),
        flag("adverse", adverse),
    )


@jitted
def check_ordering(state, family, aligned, recent_page):
    """Return the present stage ordering for a context, packed; changes nothing."""
    return _check_ordering(
        state,
        below("family", family, FAMILY_COUNT),
        flag("aligned", aligned),
        flag("recent_page", recent_page),
    )


@jitted
def note_check_order_outcome(state, family, aligned, recent_page, ordering, exit_stage):
    """Report at which position (-1 for none) of a packed ordering a validation ended."""
    _note_check_order_outcome(
        state,
        below("family", family, FAMILY_COUNT),
        flag("aligned", aligned),
        flag("recent_page", recent_page),
        below("ordering", ordering, ORDERING_LIMIT),
        np.int64(exit_stage),
    )


@jitted
def note_overlap(state, left_shard, right_shard, witness):
    """Return whether two shards agree on a witness (0 to 2^64 - 1 each); if not, count a fault."""
    return _note_overlap(
        state,
        word("left_shard", left_shard),
        word("right_shard", right_shard),
        word("witness", witness),
    )
