"""Leases: the memory of a block stays while arrays over it exist.

Jitted code. A lease is a record of the C heap that belongs to a capsule of Python's. The destructor
of the capsule is machine code, so that nothing which interrupts Python comes between the end of the
last array and the note of it. The end is only noted: the collector may run in the middle of an
operation on the same tables. The next operation of the pipeline does the rest.
"""

import numpy as np

from membrane.blocks import lookup
from membrane.blocks.arena import DOUBLE_FREE, is_block
from membrane.blocks.quarantine import pin, unpin
from membrane.blocks.slots import NO_SLOT, slot_address, slot_at
from membrane.stages import allocation, state
from membrane.tables.memory import c_allocate_zeroed, c_free
from membrane.tables.words import ONE, ZERO
from runtime_math.numerics.builtins.emission import give, take
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.record_at import record_at

state_at = record_at(state.STATE)

LEASE = np.dtype(
    [
        ("next", np.uint64),  # in the list of those that have departed
        ("pipeline", np.uint64),  # address of the state, or 0 before there is a block
        ("owner", np.uint64),  # the object that the state belongs to; a reference to it is held
        ("holder", np.uint64),  # the pipeline itself: one that nobody holds is closed; held too
        ("block", np.uint64),  # number of its slot, which may be another block's by now
        ("address", np.uint64),
        ("size", np.uint64),
        ("generation", np.int64),
        ("epoch", np.uint64),
        ("raw_base", np.uint64),
        ("total", np.uint64),
        ("align", np.uint64),
        ("freed", np.uint64),  # whether nothing is left to be freed
    ],
    align=True,
)
LEASE_SIZE = np.uint64(LEASE.itemsize)
lease_at = record_at(LEASE)


@jitted
def new_lease():
    """Address of a lease of nothing yet, or 0 without memory."""
    return c_allocate_zeroed(ONE, LEASE_SIZE)


@jitted
def _hold(pipeline, record, owner, holder, address):
    """Lease the block at a base address; False without such a block."""
    own = state_at(pipeline)
    identity = lookup.based(own.arena, address)
    if identity == NO_SLOT:
        return False
    slot = slot_at(slot_address(own.arena, identity))
    pin(slot)
    lease = lease_at(record)
    lease.block, lease.address, lease.epoch = identity, slot.user_base, slot.epoch
    lease.size, lease.generation = slot.user_size, np.int64(slot.generation)
    lease.raw_base, lease.total, lease.align = slot.raw_base, slot.total, slot.align
    lease.owner, lease.holder, lease.pipeline = owner, holder, pipeline
    take((owner,))
    take((holder,))
    own.leases += ONE
    return True


@jitted
def allocate(pipeline, record, owner, holder, size, align):
    """Allocate a block and lease it; returns its address, or 0."""
    own = state_at(pipeline)
    address = allocation.allocate_aligned(own, size, align)
    if address != ZERO and not _hold(pipeline, record, owner, holder, address):
        allocation.free(own, address)
        return ZERO
    return address


@jitted
def free(record):
    """Free the block of a lease, once; returns a `FreeResult` code."""
    lease = lease_at(record)
    if lease.freed != ZERO:
        return DOUBLE_FREE
    lease.freed = ONE
    own = state_at(lease.pipeline)
    return allocation.free_block(own, lease.block, lease.epoch)


@jitted
def is_freed(record):
    """Whether the block of a lease is freed, by its handle or by its address."""
    lease = lease_at(record)
    if lease.freed != ZERO:
        return True
    own = state_at(lease.pipeline)
    return own.released != ZERO or not is_block(own.arena, lease.block, lease.epoch)


@jitted
def depart(record):
    """Note that the last array over a leased block has gone."""
    lease = lease_at(record)
    if lease.pipeline == ZERO:
        c_free(record)
        return
    own = state_at(lease.pipeline)
    lease.next, own.departed = own.departed, record
    if own.closing != ZERO:
        settle(lease.pipeline)


@jitted
def settle_departed(pipeline):
    """Settle, if there is anything to do; what every operation begins with."""
    if state_at(pipeline).departed != ZERO:
        settle(pipeline)


@jitted
def settle(pipeline):
    """Unpin the blocks of leases that are gone, free what nobody freed; release all if that is due.

    All memory is released when the pipeline has been closed and the last pin is gone, that of a
    lease or of a call.
    """
    own = state_at(pipeline)
    last_owner = ZERO  # whose reference is given back at the end: the state may go with it
    while own.departed != ZERO:
        record = own.departed
        lease = lease_at(record)
        own.departed = lease.next
        own.leases -= ONE
        if own.released == ZERO:
            if lease.freed == ZERO:
                allocation.free_block(own, lease.block, lease.epoch)
            unpin(own.arena, lease.block, lease.raw_base, lease.total, lease.align)
        if last_owner != ZERO:
            give((last_owner,))
        last_owner = lease.owner
        c_free(record)
    pinned = own.leases != ZERO or own.call_pins != ZERO
    if own.closing != ZERO and own.released == ZERO and not pinned:
        own.released = ONE
        state.release(own)
    if last_owner != ZERO:
        give((last_owner,))
