"""Blocks come and go, and the stages hear of it: the filter of a base, the page oracle of pages."""

import numpy as np

from membrane.blocks import arena
from membrane.blocks.slots import DRAINED_SIZE, drained_at
from membrane.tables import bloom, page_oracle
from membrane.tables.words import ZERO
from runtime_math.numerics.compilation import jitted


@jitted
def register_allocation(state, base, size):
    """Declare a range as ours: its base to the filter, its pages to the page oracle."""
    bloom.insert(state.bloom, base)
    page_oracle.insert(state.pages, base, size)


@jitted
def deregister_allocation(state, base, size):
    """Take a range out of the page oracle; the filter never forgets."""
    page_oracle.remove(state.pages, base, size)


@jitted
def allocate_aligned(state, size, align):
    """Return the user base of a new registered block, or 0."""
    address = arena.allocate_aligned(state.arena, size, align)
    if address != ZERO:
        register_allocation(state, address, size)
    return address


@jitted
def _deregister_drained(state):
    for number in range(state.arena.drained_count):
        entry = drained_at(state.arena.drained + np.uint64(number) * DRAINED_SIZE)
        deregister_allocation(state, entry.user_base, entry.user_size)


@jitted
def free(state, address):
    """Free the block at a base address; returns a `FreeResult` code."""
    result = arena.free(state.arena, address)
    _deregister_drained(state)
    return result


@jitted
def free_block(state, identity, epoch):
    """Free the block of a slot only if it still has this epoch; else a double free."""
    result = arena.free_block(state.arena, identity, epoch)
    _deregister_drained(state)
    return result
