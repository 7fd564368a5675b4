"""The regions of one guarded call: looked up and pinned before it, compared and unpinned after it.

Jitted code. Whoever makes the call keeps `REGION` records: machine code on its stack, Python in the
C heap, where they belong to a capsule whose destructor undoes the pins. A pin and the note of it
are one step here, so that nothing that interrupts Python in between can lose it; `unpin_regions`
may be called any number of times.
"""

import numpy as np

from membrane.blocks.block_guards import canary_intact, header_intact
from membrane.blocks.lattice import QUARANTINED, VALID
from membrane.blocks.lookup import around, covering
from membrane.blocks.quarantine import pin, unpin
from membrane.blocks.slots import NO_SLOT, slot_address, slot_at
from membrane.stages import leases, metrics
from membrane.stages.state import STATE
from membrane.tables import hash_map
from membrane.tables.memory import c_allocate_zeroed, c_free, load_word, store_word
from membrane.tables.words import ONE, ZERO
from runtime_math.numerics.builtins.emission import give, take
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
        ("owner", np.uint64),  # an object that the pipeline's state belongs to, held; or 0
    ],
    align=True,
)
# What Python keeps of a call: how many regions, then the regions.
HEAD_SIZE = np.uint64(8)
REGION_SIZE = np.uint64(REGION.itemsize)
region_at = record_at(REGION)
# What may have happened to a block meanwhile.
INTACT, FREED, OVERWRITTEN = range(3)


@jitted
def new_regions(count):
    """Address of memory for the regions of a call, or 0 without memory."""
    memory = c_allocate_zeroed(ONE, HEAD_SIZE + np.uint64(count) * REGION_SIZE)
    if memory != ZERO:
        store_word(memory, np.uint64(count))
    return memory


@jitted
def drop_regions(memory):
    """Undo the pins of a call, and give the memory of its regions back."""
    unpin_regions(memory + HEAD_SIZE, np.int64(load_word(memory)))
    c_free(memory)


@jitted
def hold(pipeline, memory, number, owner, address, is_write):
    """Pin the block around an address, unless its memory was released; whether there is one.

    The pipeline's state stays until the pin is undone.
    """
    region = region_at(memory + HEAD_SIZE + np.uint64(number) * REGION_SIZE)
    if not _hold_around(pipeline, region, address):
        return False
    region.is_write, region.owner = np.uint64(is_write), owner
    take((owner,))
    return True


@jitted
def _hold_around(pipeline, region, address):
    blocks = state_at(pipeline).arena
    identity = covering(blocks, address)
    if identity == NO_SLOT or slot_at(slot_address(blocks, identity)).state < QUARANTINED:
        return False
    _hold_block(pipeline, region, identity)
    return True


@jitted
def _hold_block(pipeline, region, identity):
    state = state_at(pipeline)
    slot = slot_at(slot_address(state.arena, identity))
    pin(slot)
    region.block, region.epoch = identity, slot.epoch
    region.raw_base, region.total, region.align = slot.raw_base, slot.total, slot.align
    region.pipeline = pipeline
    state.call_pins += ONE


@jitted
def admit(pipeline, frame, count):
    """Whether a call may be made at once; if so, the blocks of its regions are pinned."""
    if state_at(pipeline).closing != ZERO:
        return False
    for index in range(count):
        region = region_at(frame + np.uint64(index) * REGION_SIZE)
        region.pipeline = region.owner = ZERO
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
    identity = around(blocks, region.address)
    if identity == NO_SLOT:
        # Foreign memory: an object knows its own bounds, an address does not. The block of a
        # handle that is not here is another pipeline's.
        known = region.is_object != ZERO and region.is_handle == ZERO
        return known and region.needed <= region.length
    slot = slot_at(slot_address(blocks, identity))
    offset = region.address - slot.user_base
    if not (
        slot.state == VALID
        and offset <= slot.user_size
        and region.needed <= slot.user_size - offset
        and (region.is_object == ZERO or region.needed <= region.length)
        and header_intact(blocks, slot)
        and canary_intact(blocks, slot)
    ):
        return False
    _hold_block(pipeline, region, identity)
    return True


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
    """Undo the pins; whether a pipeline of a call of machine code waits for that to be closed."""
    waited_for = False
    for index in range(count):
        region = region_at(frame + np.uint64(index) * REGION_SIZE)
        if region.pipeline != ZERO:
            pipeline = region.pipeline
            state = state_at(pipeline)
            region.pipeline = ZERO
            state.call_pins -= ONE
            unpin(state.arena, region.block, region.raw_base, region.total, region.align)
            if region.owner == ZERO:
                waited_for = waited_for or state.closing != ZERO
                continue
            if state.closing != ZERO:
                leases.settle(pipeline)
            give((region.owner,))
            region.owner = ZERO
    return waited_for
