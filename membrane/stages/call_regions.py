"""The regions of one guarded call: looked up and pinned before it, compared and unpinned after it.

Jitted code. Whoever makes the call keeps an array of `REGION` records, on its stack or as an array.
A pin and the note of it are one step here, so that nothing that interrupts Python in between can
lose it; `unpin_regions` may be called any number of times.
"""

import numpy as np

from membrane.blocks.block_guards import canary_intact, header_intact
from membrane.blocks.lattice import QUARANTINED, VALID
from membrane.blocks.lookup import covering
from membrane.blocks.quarantine import pin, unpin
from membrane.blocks.slots import NO_SLOT, slot_address, slot_at
from membrane.stages import metrics
from membrane.stages.state import STATE
from membrane.tables import hash_map
from membrane.tables.words import ONE, ZERO
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.record_at import record_at

state_at = record_at(STATE)

REGION = np.dtype(
    [
        ("address", np.uint64),
        ("needed", np.uint64),  # bytes that the call will touch
        ("length", np.uint64),  # bytes that the object has, if it is an object
        ("is_object", np.uint64),
        ("is_handle", np.uint64),
        ("is_write", np.uint64),
        ("pipeline", np.uint64),  # address of the state whose block is pinned, or 0
        ("block", np.uint64),  # number of its slot, which may be another block's after the call
        ("epoch", np.uint64),
        ("raw_base", np.uint64),
        ("total", np.uint64),
        ("align", np.uint64),
    ],
    align=True,
)
REGION_SIZE = np.uint64(REGION.itemsize)
region_at = record_at(REGION)
# What may have happened to a block meanwhile.
INTACT, FREED, OVERWRITTEN = range(3)


@jitted
def hold(pipeline, region, address):
    """Pin the block around an address, unless its memory was released; whether there is one."""
    blocks = state_at(pipeline).arena
    identity = covering(blocks, address)
    if identity == NO_SLOT or slot_at(slot_address(blocks, identity)).state < QUARANTINED:
        return False
    return _hold_block(pipeline, region, identity)


@jitted
def _hold_block(pipeline, region, identity):
    state = state_at(pipeline)
    slot = slot_at(slot_address(state.arena, identity))
    if not pin(state.arena, slot.raw_base):
        return False
    region.block, region.epoch = identity, slot.epoch
    region.raw_base, region.total, region.align = slot.raw_base, slot.total, slot.align
    region.pipeline = pipeline
    state.call_pins += ONE
    return True


@jitted
def admit(pipeline, frame, count):
    """Whether a call may be made at once; if so, the blocks of its regions are pinned."""
    if state_at(pipeline).closing != ZERO:
        return False
    for index in range(count):
        region = region_at(frame + np.uint64(index) * REGION_SIZE)
        region.pipeline = ZERO
        if not _admit_region(pipeline, region):
            unpin_regions(frame, index)
            return False
    return True


@jitted
def _admit_region(pipeline, region):
    state = state_at(pipeline)
    metrics.increment(state.metrics, metrics.VALIDATIONS)
    blocks = state.arena
    if blocks.retired.count and hash_map.find(blocks.retired, region.address) != hash_map.MISSING:
        return False
    identity = covering(blocks, region.address)
    if identity == NO_SLOT:
        # Foreign memory: an object knows its own bounds, an address does not. The block of a
        # handle that is not here is another pipeline's.
        known = region.is_object != ZERO and region.is_handle == ZERO
        return known and region.needed <= region.length
    slot = slot_at(slot_address(blocks, identity))
    offset = region.address - slot.user_base
    return (
        slot.state == VALID
        and offset <= slot.user_size
        and region.needed <= slot.user_size - offset
        and (region.is_object == ZERO or region.needed <= region.length)
        and header_intact(blocks, slot)
        and canary_intact(blocks, slot)
        and _hold_block(pipeline, region, identity)
    )


@jitted
def damage(frame, count):
    """Return (number of the first region that a call has damaged, what happened to it)."""
    for index in range(count):
        region = region_at(frame + np.uint64(index) * REGION_SIZE)
        if region.pipeline != ZERO:
            blocks = state_at(region.pipeline).arena
            slot = slot_at(slot_address(blocks, region.block))
            if slot.state != VALID or slot.epoch != region.epoch:
                return index, FREED
            if not blocks.repaired or region.is_write == ZERO:
                continue
            if not (canary_intact(blocks, slot) and header_intact(blocks, slot)):
                return index, OVERWRITTEN
    return -1, INTACT


@jitted
def unpin_regions(frame, count):
    """Undo the pins; whether a pipeline among theirs waits for that to be closed."""
    waited_for = False
    for index in range(count):
        region = region_at(frame + np.uint64(index) * REGION_SIZE)
        if region.pipeline != ZERO:
            state = state_at(region.pipeline)
            region.pipeline = ZERO
            state.call_pins -= ONE
            unpin(state.arena, region.raw_base, region.total, region.align)
            waited_for = waited_for or state.closing != ZERO
    return waited_for
