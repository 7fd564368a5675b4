"""How a block ends: quarantine, release of its memory, grave.

A freed block waits in a first-in first-out quarantine. When that is too full, the memory of its
oldest block goes back to the source, at once or, where a pin keeps it, with the last pin. Under the
repaired rules the slot then remembers the block as a grave, until its place is taken, somebody else
is known to own the memory, or too many graves have come after it.
"""

import numpy as np

from membrane.blocks import memory_source
from membrane.blocks.lookup import covering, shard_of
from membrane.blocks.slots import (
    GRAVE,
    NO_SLOT,
    dequeue,
    enqueue,
    give_slot,
    note_drained,
    slot_address,
    slot_at,
    take_epoch,
)
from membrane.tables import hash_map, page_index
from membrane.tables.words import ONE, PAGE_MASK, ZERO
from runtime_math.numerics.compilation import jitted


@jitted
def _release_memory(state, slot):
    """Give the memory of a block back, now or when the last pin goes."""
    if slot.pins == ZERO:
        memory_source.release(state.source, slot.raw_base, slot.total, slot.align)
        return
    # Without room for the note the memory is never given back, which harms nobody.
    hash_map.store(state.pins, slot.raw_base, np.uint64(slot.pins))
    slot.pins = np.uint32(0)


@jitted
def _forget(state, identity):
    """Take a slot out of all tables that still lead to it, and recycle it."""
    slot = slot_at(slot_address(state, identity))
    if hash_map.find(state.index.anchors, slot.raw_base) == identity:
        page_index.remove(state.index, slot.raw_base, slot.total, identity)
    if state.repaired and hash_map.find(state.retired, slot.user_base) == identity:
        hash_map.remove(state.retired, slot.user_base)
    give_slot(state, state.shards[shard_of(slot.user_base)], identity)


@jitted
def _drain(state, quarantine):
    """Release the oldest blocks until the quarantine is within its limits."""
    while (
        quarantine.bytes > state.quarantine_max_bytes
        or quarantine.count > state.quarantine_max_entries
    ):
        identity = dequeue(state, quarantine)
        note_drained(state, identity)
        slot = slot_at(slot_address(state, identity))
        _release_memory(state, slot)
        if state.repaired:
            slot.state = np.uint8(GRAVE)
            slot.epoch = take_epoch(state)
            hash_map.store(state.retired, slot.user_base, identity)
            enqueue(state, state.graves, identity)
            if state.graves.count > state.graves_max:
                _forget(state, dequeue(state, state.graves))
        else:
            _forget(state, identity)


@jitted
def admit(state, identity):
    """Take a freed block in, and release what has waited longest where that is too much."""
    slot = slot_at(slot_address(state, identity))
    # Under the repaired rules there is but one quarantine.
    number = 0 if state.repaired else shard_of(slot.user_base)
    quarantine = state.shards[number].quarantine
    enqueue(state, quarantine, identity)
    _drain(state, quarantine)


@jitted
def unearth(state, address, size, disowned):
    """Take the graves in a range out of the index, and forget their bases if disowned."""
    end = address + max(size, ONE) - ONE
    while address <= end:
        address = page_index.next_page_in_use(state.index, address)
        stop = address | PAGE_MASK
        if address > end or address == ZERO:
            return
        while True:
            identity = page_index.candidate(state.index, min(stop, end))
            if identity == page_index.NONE:
                break
            slot = slot_at(slot_address(state, identity))
            if slot.state != GRAVE or slot.raw_base + slot.total <= address:
                break
            page_index.remove(state.index, slot.raw_base, slot.total, identity)
            if disowned and hash_map.find(state.retired, slot.user_base) == identity:
                hash_map.remove(state.retired, slot.user_base)
        address = stop + ONE


@jitted
def disown(state, address, size):
    """Forget the graves in a range: somebody else is known to own it now.

    Not if the range is in a grave whose memory is still pinned: then it is a view of that block.
    """
    identity = covering(state, address)
    if identity != NO_SLOT:
        slot = slot_at(slot_address(state, identity))
        if slot.pins != ZERO or hash_map.find(state.pins, slot.raw_base) != hash_map.MISSING:
            return False
    unearth(state, address, size, True)
    hash_map.remove(state.retired, address)
    return True


@jitted
def pin(slot):
    """Keep the memory of a block that is not released from being so, even after a free."""
    slot.pins += np.uint32(1)


@jitted
def unpin(state, identity, raw, total, align):
    """Undo one `pin` of the memory at `raw`, which began in a slot and may have left it.

    The last one releases the memory of a block that was drained meanwhile.
    """
    slot = slot_at(slot_address(state, identity))
    if slot.pins != ZERO and slot.raw_base == raw:
        slot.pins -= np.uint32(1)
        return
    pins = hash_map.find(state.pins, raw)
    if pins == hash_map.MISSING:
        return
    if pins > ONE:
        hash_map.store(state.pins, raw, pins - ONE)
        return
    hash_map.remove(state.pins, raw)
    memory_source.release(state.source, raw, total, align)
