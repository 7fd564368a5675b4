"""Compiled entry points of the Python face, bound once, called without Numba's dispatch.

A call through Numba's dispatcher spends most of its time finding the signature. Each function
here has one signature, so its machine code is called directly. States are passed by address:
an integer is the cheapest thing to unbox.

Single calls keep the interpreter lock from the first to the last instruction, which makes them
atomic. Batches release it; they mark the state as busy meanwhile, and a single call that finds
the mark returns `BUSY` without touching anything.
"""

from numba import types

from runtime_math.decide import decide_detail, decide_packed
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.observe import observe_validation_result
from runtime_math.ordering import check_ordering, note_check_order_outcome, note_overlap
from runtime_math.state import state_at

BUSY = -1
_FLAG = types.boolean
_CODE = types.int64
_WORD = types.uint64
_ADDRESS = types.uintp


@EntryPoint(_ADDRESS, _CODE, _CODE, _WORD, _WORD, _FLAG, _CODE, _FLAG)
def decide_entry(
    address, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    state = state_at(address)
    if state.busy:
        return BUSY
    return decide_packed(
        state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )


@EntryPoint(_ADDRESS, _CODE, types.Tuple((_CODE, _WORD, _WORD, _FLAG, _CODE, _FLAG)))
def decide_context_entry(address, mode, context):
    """`decide_entry` with a `RuntimeContext` as it is: Python need not spread it."""
    state = state_at(address)
    if state.busy:
        return BUSY
    family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative = context
    return decide_packed(
        state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )


@EntryPoint(_ADDRESS, _CODE, _CODE, _WORD, _WORD, _FLAG, _CODE, _FLAG)
def explain_entry(
    address, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    return decide_detail(
        state_at(address),
        mode,
        family,
        addr_hint,
        requested_bytes,
        is_write,
        contention_hint,
        bloom_negative,
    )


@EntryPoint(_ADDRESS, _CODE, _CODE, _WORD, _FLAG)
def observe_entry(address, family, profile, cost_ns, adverse):
    state = state_at(address)
    if state.busy:
        return BUSY
    observe_validation_result(state, family, profile, cost_ns, adverse)
    return 0


@EntryPoint(_ADDRESS, _CODE, _FLAG, _FLAG)
def check_ordering_entry(address, family, aligned, recent_page):
    state = state_at(address)
    if state.busy:
        return BUSY
    return check_ordering(state, family, aligned, recent_page)


@EntryPoint(_ADDRESS, _CODE, _FLAG, _FLAG, _CODE, _CODE)
def note_check_order_entry(address, family, aligned, recent_page, ordering, exit_stage):
    state = state_at(address)
    if state.busy:
        return BUSY
    note_check_order_outcome(state, family, aligned, recent_page, ordering, exit_stage)
    return 0


@EntryPoint(_ADDRESS, _WORD, _WORD, _WORD)
def note_overlap_entry(address, left_shard, right_shard, witness):
    state = state_at(address)
    if state.busy:
        return BUSY
    return 1 if note_overlap(state, left_shard, right_shard, witness) else 0
