"""Compiled entry points of a calibrated kernel, one set for each of its two records.

As those of the faithful kernel: one signature each, states by address, single calls atomic under
the interpreter lock, `BUSY` while a batch runs.
"""

from types import SimpleNamespace

from numba import types

from runtime_math.calibrated import kernel_state
from runtime_math.calibrated.kernel_state import full_state_at, lean_state_at
from runtime_math.entry import BUSY
from runtime_math.numerics.entry_point import EntryPoint

_FLAG = types.boolean
_CODE = types.int64
_WORD = types.uint64
_ADDRESS = types.uintp
_DECIDE = (_ADDRESS, _CODE, _CODE, _WORD, _WORD, _FLAG, _CODE, _FLAG)
_OBSERVE = (_ADDRESS, _CODE, _CODE, _WORD, _FLAG)
_STAGES = (_ADDRESS, _CODE, _FLAG, _FLAG)
_NOTE = (_ADDRESS, _CODE, _FLAG, _FLAG, _CODE, _CODE)
_OVERLAP = (_ADDRESS, _WORD, _WORD, _WORD)
_FAMILY = (_ADDRESS, _CODE)


@EntryPoint(*_DECIDE)
def lean_decide(
    address, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    state = lean_state_at(address)
    if state.busy:
        return BUSY
    return kernel_state.decide_packed(
        state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )


@EntryPoint(*_OBSERVE)
def lean_observe(address, family, profile, cost_ns, adverse):
    state = lean_state_at(address)
    if state.busy:
        return BUSY
    kernel_state.observe_validation_result(state, family, profile, cost_ns, adverse)
    return 0


@EntryPoint(*_STAGES)
def lean_check_ordering(address, family, aligned, recent_page):
    state = lean_state_at(address)
    if state.busy:
        return BUSY
    return kernel_state.check_ordering(state, family, aligned, recent_page)


@EntryPoint(*_NOTE)
def lean_note_check_order(address, family, aligned, recent_page, ordering, exit_stage):
    state = lean_state_at(address)
    if state.busy:
        return BUSY
    kernel_state.note_check_order_outcome(state, family, aligned, recent_page, ordering, exit_stage)
    return 0


@EntryPoint(*_OVERLAP)
def lean_note_overlap(address, left_shard, right_shard, witness):
    state = lean_state_at(address)
    if state.busy:
        return BUSY
    return 1 if kernel_state.note_overlap(state, left_shard, right_shard, witness) else 0


@EntryPoint(*_FAMILY)
def lean_acknowledge(address, family):
    state = lean_state_at(address)
    if state.busy:
        return BUSY
    kernel_state.acknowledge(state, family)
    return 0


@EntryPoint(*_FAMILY)
def lean_reset_alarms(address, family):
    state = lean_state_at(address)
    if state.busy:
        return BUSY
    kernel_state.reset_alarms(state, family)
    return 0


LEAN = SimpleNamespace(
    decide_entry=lean_decide,
    observe_entry=lean_observe,
    check_ordering_entry=lean_check_ordering,
    note_check_order_entry=lean_note_check_order,
    note_overlap_entry=lean_note_overlap,
    acknowledge_entry=lean_acknowledge,
    reset_alarms_entry=lean_reset_alarms,
)


@EntryPoint(*_DECIDE)
def full_decide(
    address, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    state = full_state_at(address)
    if state.busy:
        return BUSY
    return kernel_state.decide_packed(
        state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )


@EntryPoint(*_OBSERVE)
def full_observe(address, family, profile, cost_ns, adverse):
    state = full_state_at(address)
    if state.busy:
        return BUSY
    kernel_state.observe_validation_result(state, family, profile, cost_ns, adverse)
    return 0


@EntryPoint(*_STAGES)
def full_check_ordering(address, family, aligned, recent_page):
    state = full_state_at(address)
    if state.busy:
        return BUSY
    return kernel_state.check_ordering(state, family, aligned, recent_page)


@EntryPoint(*_NOTE)
def full_note_check_order(address, family, aligned, recent_page, ordering, exit_stage):
    state = full_state_at(address)
    if state.busy:
        return BUSY
    kernel_state.note_check_order_outcome(state, family, aligned, recent_page, ordering, exit_stage)
    return 0


@EntryPoint(*_OVERLAP)
def full_note_overlap(address, left_shard, right_shard, witness):
    state = full_state_at(address)
    if state.busy:
        return BUSY
    return 1 if kernel_state.note_overlap(state, left_shard, right_shard, witness) else 0


@EntryPoint(*_FAMILY)
def full_acknowledge(address, family):
    state = full_state_at(address)
    if state.busy:
        return BUSY
    kernel_state.acknowledge(state, family)
    return 0


@EntryPoint(*_FAMILY)
def full_reset_alarms(address, family):
    state = full_state_at(address)
    if state.busy:
        return BUSY
    kernel_state.reset_alarms(state, family)
    return 0


FULL = SimpleNamespace(
    decide_entry=full_decide,
    observe_entry=full_observe,
    check_ordering_entry=full_check_ordering,
    note_check_order_entry=full_note_check_order,
    note_overlap_entry=full_note_overlap,
    acknowledge_entry=full_acknowledge,
    reset_alarms_entry=full_reset_alarms,
)
