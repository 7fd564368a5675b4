"""The regions of a native call: looked up and pinned before it, compared and unpinned after it.

Jitted code. A region's record is filled by the builtin and lives on its stack.
"""

import numpy as np

from membrane.blocks.block_guards import canary_intact, header_intact
from membrane.blocks.lattice import VALID
from membrane.blocks.lookup import covering
from membrane.blocks.quarantine import pin, unpin
from membrane.blocks.slots import NO_SLOT, slot_address, slot_at
from membrane.stages import metrics
from membrane.stages.state import STATE
from membrane.tables import hash_map
from membrane.tables.words import ZERO
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.record_at import record_at

state_at = record_at(STATE)

REGION = np.dtype(
    [
        ("address", np.uint64),
        ("needed", np.uint64),  # bytes that the call will touch
        ("length", np.uint64),  # bytes that the object has, if it is an object
        ("is_object", np.uint64),
        ("is_write", np.uint64),
        ("state", np.uint64),  # of the pipeline whose block it is, while that is pinned
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


@jitted
def admit(pipeline, frame, count):
    """Whether a call may be made at once; if so, the blocks of its regions are pinned."""
    for index in range(count):
        region = region_at(frame + np.uint64(index) * REGION_SIZE)
        region.state = ZERO
        if not _admit_region(state_at(pipeline), pipeline, region):
            _unpin_regions(frame, index)
            return False
    return True


@jitted
def _admit_region(state, pipeline, region):
    metrics.increment(state.metrics, metrics.VALIDATIONS)
    blocks = state.arena
    if blocks.retired.count and hash_map.find(blocks.retired, region.address) != hash_map.MISSING:
        return False
    identity = covering(blocks, region.address)
    if identity == NO_SLOT:
        # Foreign memory: an object knows its own bounds, an address does not.
        return region.is_object != ZERO and region.needed <= region.length
    slot = slot_at(slot_address(blocks, identity))
    offset = region.address - slot.user_base
    if (
        slot.state != VALID
        or offset > slot.user_size
        or region.needed > slot.user_size - offset
        or (region.is_object != ZERO and region.needed > region.length)
        or not header_intact(blocks, slot)
        or not canary_intact(blocks, slot)
        or not pin(blocks, slot.raw_base)
    ):
        return False
    region.state, region.block, region.epoch = pipeline, identity, slot.epoch
    region.raw_base, region.total, region.align = slot.raw_base, slot.total, slot.align
    return True


@jitted
def leave(frame, count):
    """Unpin the blocks of a call; whether all is as a call must leave it.

    It is not if a block was freed meanwhile, or if the bytes beside one were overwritten.
    """
    intact = True
    for index in range(count):
        region = region_at(frame + np.uint64(index) * REGION_SIZE)
        if region.state != ZERO:
            blocks = state_at(region.state).arena
            slot = slot_at(slot_address(blocks, region.block))
            intact = intact and slot.state == VALID and slot.epoch == region.epoch
            if region.is_write != ZERO and intact:
                intact = canary_intact(blocks, slot) and header_intact(blocks, slot)
    _unpin_regions(frame, count)
    return intact


@jitted
def _unpin_regions(frame, count):
    for index in range(count):
        region = region_at(frame + np.uint64(index) * REGION_SIZE)
        if region.state != ZERO:
            unpin(state_at(region.state).arena, region.raw_base, region.total, region.align)
            region.state = ZERO
