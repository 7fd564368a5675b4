"""Compiled entry points of the pipeline's Python face: states come as addresses of records."""

import numpy as np
from numba import types

from membrane import arena, blocks, bloom, foreign, ptr_validator, tls_cache
from membrane.outcome import for_python
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.numerics.record_at import record_at

state_at = record_at(ptr_validator.STATE)
# What a thread brings to a validation: its cache, and where the pipeline's state is.
THREAD = np.dtype([("cache", tls_cache.STATE), ("pipeline", np.uint64)], align=True)
thread_at = record_at(THREAD)
_WORD = types.uint64
ZERO = np.uint64(0)


@EntryPoint(_WORD, _WORD)
def validate_entry(thread_address, address):
    thread = thread_at(thread_address)
    return for_python(ptr_validator.validate(state_at(thread.pipeline), thread.cache, address))


@EntryPoint(_WORD, _WORD, _WORD)
def allocate_entry(state_address, size, align):
    return ptr_validator.allocate_aligned(state_at(state_address), size, align)


@EntryPoint(_WORD, _WORD)
def free_entry(state_address, address):
    return ptr_validator.free(state_at(state_address), address)


@EntryPoint(_WORD, _WORD, _WORD)
def free_epoch_entry(state_address, address, epoch):
    return ptr_validator.free_epoch(state_at(state_address), address, epoch)


@EntryPoint(_WORD, _WORD, _WORD)
def register_entry(state_address, base, size):
    ptr_validator.register_allocation(state_at(state_address), base, size)


@EntryPoint(_WORD, _WORD, _WORD)
def deregister_entry(state_address, base, size):
    ptr_validator.deregister_allocation(state_at(state_address), base, size)


@EntryPoint(_WORD, _WORD)
def pin_entry(state_address, raw):
    return arena.pin(state_at(state_address).arena, raw)


@EntryPoint(_WORD, _WORD)
def pin_around_entry(state_address, address):
    return arena.pin_around(state_at(state_address).arena, address)


@EntryPoint(_WORD, _WORD, _WORD, _WORD)
def unpin_entry(state_address, raw, total, align):
    arena.unpin(state_at(state_address).arena, raw, total, align)


@EntryPoint(_WORD, _WORD)
def locate_entry(state_address, address):
    state = state_at(state_address).arena
    identity, place = arena.locate(state, address)
    if place == 0:
        return place, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    slot = blocks.slot_at(blocks.slot_address(state, identity))
    return (
        place,
        slot.raw_base,
        slot.user_base,
        slot.user_size,
        np.uint64(slot.generation),
        np.uint64(slot.state),
        slot.epoch,
        slot.total,
        slot.align,
    )


@EntryPoint(_WORD, _WORD, _WORD)
def disown_entry(state_address, address, size):
    return arena.disown(state_at(state_address).arena, address, size)


@EntryPoint(_WORD, _WORD, _WORD)
def mapped_span_entry(state_address, address, size):
    return foreign.mapped_span(state_at(state_address).foreign, address, size)


@EntryPoint(_WORD, _WORD, _WORD)
def foreign_span_entry(state_address, address, size):
    state = state_at(state_address)
    return foreign.foreign_span(state.foreign, state.arena, address, size)


@EntryPoint(_WORD)
def release_entry(state_address):
    ptr_validator.release(state_at(state_address))


@EntryPoint(_WORD, *[types.int64] * 2, *[_WORD] * 7)
def start_entry(
    state_address, mode, repaired, key0, key1, max_bytes, max_entries, page, bits, hashes
):
    state = state_at(state_address)
    arena.init(state.arena, repaired != 0, key0, key1, max_bytes, max_entries)
    bloom.init(state.bloom, bits, hashes)
    ptr_validator.init(state, mode, page)
