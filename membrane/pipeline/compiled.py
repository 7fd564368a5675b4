"""Compiled entry points of the pipeline's Python face: states come as addresses of records."""

import functools

import numpy as np
from numba import types

from membrane.blocks import arena, foreign, lookup, quarantine
from membrane.blocks.slots import slot_address, slot_at
from membrane.pipeline.lost import tell
from membrane.pipeline.outcome import for_python
from membrane.stages import (
    allocation,
    call_regions,
    heal,
    leases,
    metrics,
    state,
    tls_cache,
    validator,
)
from membrane.tables import bloom
from membrane.tables.words import ZERO
from runtime_math.numerics.builtins.emission import c_function, give
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.numerics.record_at import record_at

state_at = record_at(state.STATE)
# What a thread brings to a validation: its cache, and where the pipeline's state is.
THREAD = np.dtype([("cache", tls_cache.STATE), ("pipeline", np.uint64)], align=True)
thread_at = record_at(THREAD)
_WORD = types.uint64
HEALS = int(metrics.Counter.HEALS)
capsule_pointer = c_function("PyCapsule_GetPointer", types.uintp, types.uintp, types.uintp)


@EntryPoint(_WORD, _WORD)
def validate_entry(thread_address, address):
    thread = thread_at(thread_address)
    leases.settle_departed(thread.pipeline)
    return for_python(validator.validate(state_at(thread.pipeline), thread.cache, address))


@EntryPoint(_WORD, _WORD, _WORD)
def allocate_entry(state_address, size, align):
    leases.settle_departed(state_address)
    return allocation.allocate_aligned(state_at(state_address), size, align)


@EntryPoint(_WORD, _WORD)
def free_entry(state_address, address):
    leases.settle_departed(state_address)
    return allocation.free(state_at(state_address), address)


@EntryPoint()
def new_lease_entry():
    return leases.new_lease()


@EntryPoint(_WORD, _WORD, _WORD, _WORD, _WORD, _WORD)
def allocate_leased_entry(state_address, lease_address, owner, holder, size, align):
    leases.settle_departed(state_address)
    return leases.allocate(state_address, lease_address, owner, holder, size, align)


@EntryPoint(_WORD)
def lease_facts_entry(lease_address):
    lease = leases.lease_at(lease_address)
    return lease.address, lease.size, lease.generation, lease.owner


@EntryPoint(_WORD, _WORD)
def free_leased_entry(state_address, lease_address):
    leases.settle_departed(state_address)
    return leases.free(lease_address)


@EntryPoint(_WORD)
def is_freed_entry(lease_address):
    return leases.is_freed(lease_address)


@EntryPoint(_WORD)
def detach_entry(lease_address):
    leases.lease_at(lease_address).freed = np.uint64(1)


@EntryPoint(_WORD)
def settle_entry(state_address):
    leases.settle(state_address)


@EntryPoint(_WORD)
def drop_lease_entry(capsule):
    record = capsule_pointer((capsule, ZERO))
    lease = leases.lease_at(record)
    holder = lease.holder
    if lease.pipeline != ZERO and lease.freed == ZERO and not leases.is_freed(record):
        own = state_at(lease.pipeline)
        if own.released == ZERO and own.on_lost != ZERO:
            tell(own.on_lost, lease.address)
    leases.depart(record)
    if holder != ZERO:
        give((holder,))


@EntryPoint(_WORD)
def drop_regions_entry(capsule):
    call_regions.drop_regions(capsule_pointer((capsule, ZERO)))


@EntryPoint(_WORD, _WORD, _WORD)
def register_entry(state_address, base, size):
    allocation.register_allocation(state_at(state_address), base, size)


@EntryPoint(_WORD, _WORD, _WORD)
def deregister_entry(state_address, base, size):
    allocation.deregister_allocation(state_at(state_address), base, size)


@EntryPoint(types.int64)
def new_regions_entry(count):
    return call_regions.new_regions(count)


@EntryPoint(_WORD, _WORD, types.int64, _WORD, _WORD, types.boolean)
def hold_entry(state_address, regions_address, number, owner, address, is_write):
    leases.settle_departed(state_address)
    return call_regions.hold(state_address, regions_address, number, owner, address, is_write)


@EntryPoint(_WORD, types.int64, types.int64)
def note_healing_entry(state_address, kind, counter):
    record = state_at(state_address)
    heal.record(record.healing, kind)
    metrics.increment(record.metrics, HEALS)
    if counter >= 0:
        metrics.increment(record.metrics, counter)


@EntryPoint(_WORD, types.int64)
def damage_entry(regions_address, count):
    return call_regions.damage(regions_address + call_regions.HEAD_SIZE, count)


@EntryPoint(_WORD, _WORD)
def locate_entry(state_address, address):
    leases.settle_departed(state_address)
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
