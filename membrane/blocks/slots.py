"""The records of the arena, and the growing array of its slots."""

import numpy as np

from membrane.blocks.lattice import FREED, UNKNOWN
from membrane.blocks.memory_source import SOURCE
from membrane.tables import page_index
from membrane.tables.hash_map import HASH_MAP
from membrane.tables.memory import c_reallocate
from membrane.tables.words import LOW_32, ONE, ZERO
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.record_at import record_at

SHARD_COUNT = 16
NO_SLOT = page_index.NONE
# State of a slot whose block was released: it only remembers what was there.
GRAVE = FREED
FIRST_CAPACITY = np.uint64(64)

SLOT = np.dtype(
    [
        ("raw_base", np.uint64),
        ("user_base", np.uint64),
        ("user_size", np.uint64),
        ("total", np.uint64),
        ("align", np.uint64),
        ("hash", np.uint64),
        ("epoch", np.uint64),
        ("next", np.uint64),
        ("generation", np.uint32),
        ("number", np.uint32),
        ("pins", np.uint32),  # that keep the memory, while it is this slot's
        ("state", np.uint8),
    ],
    align=True,
)
SLOT_SIZE = np.uint64(SLOT.itemsize)
slot_at = record_at(SLOT)

# A queue of slots, linked through their `next` fields.
QUEUE = np.dtype(
    [("first", np.uint64), ("last", np.uint64), ("count", np.uint64), ("bytes", np.uint64)],
    align=True,
)
SHARD = np.dtype(
    [
        ("slot_count", np.uint64),
        ("free_slots", np.uint64),
        ("free_count", np.uint64),
        ("quarantine", QUEUE),
    ],
    align=True,
)
DRAINED = np.dtype(
    [
        ("user_base", np.uint64),
        ("raw_base", np.uint64),
        ("total", np.uint64),
        ("align", np.uint64),
        ("user_size", np.uint64),
    ],
    align=True,
)
DRAINED_SIZE = np.uint64(DRAINED.itemsize)
drained_at = record_at(DRAINED)

STATE = np.dtype(
    [
        ("source", SOURCE),
        ("key0", np.uint64),
        ("key1", np.uint64),
        ("next_generation", np.uint64),
        ("next_epoch", np.uint64),
        ("slots", np.uint64),
        ("slot_capacity", np.uint64),
        ("slot_count", np.uint64),
        ("drained", np.uint64),
        ("drained_capacity", np.uint64),
        ("drained_count", np.uint64),
        ("index", page_index.STATE),
        ("retired", HASH_MAP),
        ("pins", HASH_MAP),  # of memory that has left its slot
        ("quarantine_max_bytes", np.uint64),
        ("quarantine_max_entries", np.uint64),
        ("graves_max", np.uint64),
        ("graves", QUEUE),
        ("shards", SHARD, (SHARD_COUNT,)),
        ("live_count", np.uint64),
        ("live_bytes", np.uint64),
        ("repaired", np.bool_),
    ],
    align=True,
)


@jitted
def slot_address(state, identity):
    """Return the address of a slot; valid until the next allocation."""
    return state.slots + identity * SLOT_SIZE


@jitted
def take_generation(state):
    """Return the next generation, which counts modulo 2^32."""
    generation = state.next_generation
    state.next_generation = (generation + ONE) & LOW_32
    return generation


@jitted
def take_epoch(state):
    """Return the next epoch, a number that no block had before."""
    epoch = state.next_epoch
    state.next_epoch += ONE
    return epoch


@jitted
def reserve_slot(state):
    """Make room for one more slot; False when the C heap is exhausted."""
    if state.slot_count < state.slot_capacity:
        return True
    capacity = state.slot_capacity + state.slot_capacity
    if capacity == ZERO:
        capacity = FIRST_CAPACITY
    slots = c_reallocate(state.slots, capacity * SLOT_SIZE)
    if slots == ZERO:
        return False
    state.slots = slots
    state.slot_capacity = capacity
    return True


@jitted
def take_slot(state, shard):
    """Return a slot of a shard: the one freed last, or a new one (room must be reserved)."""
    if shard.free_count != ZERO:
        identity = shard.free_slots
        slot = slot_at(slot_address(state, identity))
        shard.free_slots = slot.next
        shard.free_count -= ONE
        return identity
    identity = state.slot_count
    state.slot_count += ONE
    slot = slot_at(slot_address(state, identity))
    slot.number, slot.pins = np.uint32(shard.slot_count), np.uint32(0)
    shard.slot_count += ONE
    return identity


@jitted
def give_slot(state, shard, identity):
    """Put a slot on the free stack of its shard."""
    slot = slot_at(slot_address(state, identity))
    slot.next = shard.free_slots
    slot.state = np.uint8(UNKNOWN)
    shard.free_slots = identity
    shard.free_count += ONE


@jitted
def enqueue(state, queue, identity):
    """Append a slot to a queue."""
    slot = slot_at(slot_address(state, identity))
    slot.next = NO_SLOT
    if queue.count == ZERO:
        queue.first = identity
    else:
        last = slot_at(slot_address(state, queue.last))
        last.next = identity
    queue.last = identity
    queue.count += ONE
    queue.bytes += slot.total


@jitted
def dequeue(state, queue):
    """Take the first slot out of a queue that is not empty."""
    identity = queue.first
    slot = slot_at(slot_address(state, identity))
    queue.first = slot.next
    queue.count -= ONE
    queue.bytes -= slot.total
    return identity


@jitted
def note_drained(state, identity):
    """Append a block to the list of those that the present free released."""
    if state.drained_count == state.drained_capacity:
        capacity = state.drained_capacity + state.drained_capacity
        if capacity == ZERO:
            capacity = FIRST_CAPACITY
        drained = c_reallocate(state.drained, capacity * DRAINED_SIZE)
        if drained == ZERO:
            return
        state.drained = drained
        state.drained_capacity = capacity
    slot = slot_at(slot_address(state, identity))
    entry = drained_at(state.drained + state.drained_count * DRAINED_SIZE)
    entry.user_base = slot.user_base
    entry.raw_base = slot.raw_base
    entry.total = slot.total
    entry.align = slot.align
    entry.user_size = slot.user_size
    state.drained_count += ONE
