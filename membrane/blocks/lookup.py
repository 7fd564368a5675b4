"""Which block does an address belong to, and where in the block does it lie?

Jitted code on the arena's record. A base address is found through the start of its block, any
other through the index of pages.
"""

from enum import IntEnum

import numpy as np

from membrane.blocks.block_guards import CANARY_SIZE, REFERENCE_HEADER, REPAIRED_HEADER
from membrane.blocks.slots import GRAVE, NO_SLOT, SHARD_COUNT, slot_address, slot_at
from membrane.tables import hash_map, page_index
from membrane.tables.words import GRANULE_MASK, PAGE_BITS, ZERO
from runtime_math.numerics.compilation import jitted


class Place(IntEnum):
    """Where in the memory of a block an address lies."""

    NOWHERE = 0
    BASE = 1
    INTERIOR = 2
    END = 3
    CANARY = 4
    HEADER = 5
    GAP = 6


# The codes as plain numbers, for jitted code.
NOWHERE, BASE, INTERIOR, END, CANARY, HEADER, GAP = map(int, Place)


@jitted
def shard_of(address):
    """Return the number of the shard of an address."""
    return np.int64((address >> PAGE_BITS) & np.uint64(SHARD_COUNT - 1))


@jitted
def covering(state, address):
    """Return the slot of the block whose memory holds an address, or `NO_SLOT`."""
    identity = page_index.candidate(state.index, address)
    if identity == page_index.NONE:
        return NO_SLOT
    slot = slot_at(slot_address(state, identity))
    return identity if address - slot.raw_base < slot.total else NO_SLOT


@jitted
def based_closely(state, address):
    """Return the slot of the block with this base, if its header begins its memory."""
    header = REPAIRED_HEADER if state.repaired else REFERENCE_HEADER
    if address < header or address & GRANULE_MASK != ZERO:
        return NO_SLOT
    identity = hash_map.find(state.index.anchors, address - header)
    if identity == hash_map.MISSING:
        return NO_SLOT
    slot = slot_at(slot_address(state, identity))
    return identity if slot.user_base == address else NO_SLOT


@jitted
def around(state, address):
    """Return what `covering` does, faster where the address is the base of a block."""
    identity = based_closely(state, address)
    return covering(state, address) if identity == NO_SLOT else identity


@jitted
def based(state, address):
    """Return the slot of the block with this base, graves excluded, or `NO_SLOT`."""
    identity = based_closely(state, address)
    if identity == NO_SLOT:
        identity = covering(state, address)
        if identity == NO_SLOT:
            return NO_SLOT
    slot = slot_at(slot_address(state, identity))
    return identity if slot.user_base == address and slot.state != GRAVE else NO_SLOT


@jitted
def holding(state, address):
    """Return the slot of the block whose user bytes hold an address, or `NO_SLOT`.

    A base address counts even of an empty block. Under the reference rules an address in a page of
    another shard than the base is not found.
    """
    identity = based_closely(state, address)
    if identity == NO_SLOT:
        identity, where = place(state, address)
        if where != BASE and where != INTERIOR:
            return NO_SLOT
    slot = slot_at(slot_address(state, identity))
    if slot.state == GRAVE:
        return NO_SLOT
    if not state.repaired and shard_of(address) != shard_of(slot.user_base):
        return NO_SLOT
    return identity


@jitted
def place(state, address):
    """Return the slot around an address (or `NO_SLOT`), and the `Place` code."""
    identity = covering(state, address)
    if identity == NO_SLOT:
        return NO_SLOT, NOWHERE
    slot = slot_at(slot_address(state, identity))
    if address < slot.user_base:
        header = REPAIRED_HEADER if state.repaired else REFERENCE_HEADER
        return identity, (HEADER if slot.user_base - address <= header else GAP)
    offset = address - slot.user_base
    if offset < slot.user_size:
        return identity, (BASE if offset == ZERO else INTERIOR)
    if offset == slot.user_size:
        return identity, (BASE if offset == ZERO else END)
    return identity, (CANARY if offset < slot.user_size + CANARY_SIZE else GAP)


@jitted
def locate(state, address):
    """Return the slot that an address belongs to, graves included, and the `Place` code.

    The user bytes of a present block come before a grave's base, which comes before the guards of
    a present block.
    """
    identity = based_closely(state, address)
    where = BASE
    if identity == NO_SLOT:
        identity, where = place(state, address)
    if identity != NO_SLOT and where <= INTERIOR:
        slot = slot_at(slot_address(state, identity))
        if slot.state != GRAVE:
            return identity, where
    retired = hash_map.find(state.retired, address) if state.retired.count else hash_map.MISSING
    if retired != hash_map.MISSING:
        return retired, BASE
    return identity, where


@jitted
def remaining_from(state, address):
    """Return (known, bytes from an address to the end of its block)."""
    identity = holding(state, address)
    if identity == NO_SLOT:
        return False, ZERO
    slot = slot_at(slot_address(state, identity))
    rest = slot.user_base + slot.user_size - address
    return rest > ZERO, rest


@jitted
def contains(state, address):
    """Whether `holding` finds an address."""
    return holding(state, address) != NO_SLOT
