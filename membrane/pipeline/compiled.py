"""Compiled entry points of the pipeline's Python face: states come as addresses of records."""

import functools

import numpy as np
from numba import types

from membrane.blocks import arena, foreign, lookup, quarantine
from membrane.blocks.slots import slot_address, slot_at
from membrane.pipeline.outcome import for_python
from membrane.stages import allocation, call_regions, state, tls_cache, validator
from membrane.tables import bloom
from membrane.tables.words import ZERO
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.numerics.record_at import record_at

state_at = record_at(state.STATE)
# What a thread brings to a validation: its cache, and where the pipeline's state is.
THREAD = np.dtype([("cache", tls_cache.STATE), ("pipeline", np.uint64)], align=True)
thread_at = record_at(THREAD)
_WORD = types.uint64


@EntryPoint(_WORD, _WORD)
def validate_entry(thread_address, address):
    thread = thread_at(thread_address)
    return for_python(validator.validate(state_at(thread.pipeline), thread.cache, address))


@EntryPoint(_WORD, _WORD, _WORD)
def allocate_entry(state_address, size, align):
    return allocation.allocate_aligned(state_at(state_address), size, align)


@EntryPoint(_WORD, _WORD)
def free_entry(state_address, address):
    return allocation.free(state_at(state_address), address)


@EntryPoint(_WORD, _WORD, _WORD)
def free_epoch_entry(state_address, address, epoch):
    return allocation.free_epoch(state_at(state_address), address, epoch)


@EntryPoint(_WORD, _WORD, _WORD)
def register_entry(state_address, base, size):
    allocation.register_allocation(state_at(state_address), base, size)


@EntryPoint(_WORD, _WORD, _WORD)
def deregister_entry(state_address, base, size):
    allocation.deregister_allocation(state_at(state_address), base, size)


@EntryPoint(_WORD, _WORD)
def pin_entry(state_address, raw):
    return quarantine.pin(state_at(state_address).arena, raw)


@EntryPoint(_WORD, _WORD, _WORD)
def hold_entry(state_address, region_address, address):
    return call_regions.hold(state_address, call_regions.region_at(region_address), address)


@EntryPoint(_WORD, types.int64)
def damage_entry(regions_address, count):
    return call_regions.damage(regions_address, count)


@EntryPoint(_WORD, types.int64)
def unpin_regions_entry(regions_address, count):
    return call_regions.unpin_regions(regions_address, count)


@EntryPoint(_WORD, _WORD, _WORD, _WORD)
def unpin_entry(state_address, raw, total, align):
    quarantine.unpin(state_at(state_address).arena, raw, total, align)


@EntryPoint(_WORD, _WORD)
def locate_entry(state_address, address):
    blocks = state_at(state_address).arena
    identity, place = lookup.locate(blocks, address)
    if place == lookup.NOWHERE:
        return place, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO, ZERO
    slot = slot_at(slot_address(blocks, identity))
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
    return quarantine.disown(state_at(state_address).arena, address, size)


@EntryPoint(_WORD, _WORD, _WORD)
def mapped_span_entry(state_address, address, size):
    return foreign.mapped_span(state_at(state_address).foreign, address, size)


@EntryPoint(_WORD, _WORD, _WORD)
def foreign_span_entry(state_address, address, size):
    record = state_at(state_address)
    return foreign.foreign_span(record.foreign, record.arena, address, size)


@EntryPoint(_WORD)
def release_entry(state_address):
    state.release(state_at(state_address))


@EntryPoint(_WORD, *[types.int64] * 2, *[_WORD] * 7)
def start_entry(
    state_address, mode, repaired, key0, key1, max_bytes, max_entries, page, bits, hashes
):
    record = state_at(state_address)
    arena.init(record.arena, repaired != 0, key0, key1, max_bytes, max_entries)
    bloom.init(record.bloom, bits, hashes)
    state.init(record, mode, page)


@functools.cache
def load() -> None:
    """Load all entry points, so that no call has to do it at a bad moment.

    Such as when memory has run out, in a child that was forked while another thread compiled, or
    in the garbage collector.
    """
    for point in list(globals().values()):
        if isinstance(point, EntryPoint):
            point.address_call  # noqa: B018 (a cached property that compiles)
