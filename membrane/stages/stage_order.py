"""In which order do the stages run?

The kernel learns which order ends validations soonest; only orders in which each stage has what it
needs are used. Orders are packed into one integer, four bits a stage, the first stage lowest.
"""

import numpy as np

from membrane.stages import kernel_link
from membrane.tables import page_oracle
from membrane.tables.words import ZERO
from runtime_math.numerics.compilation import jitted
from runtime_math.types import CheckStage

STAGE_COUNT = len(CheckStage)
BITS_PER_STAGE = 4
STAGE_MASK = 15
NULL = int(CheckStage.NULL)
# Null comes first; then, in the kernel's order, those that find a block; then those that need one.
FINDERS = (int(CheckStage.TLS_CACHE), int(CheckStage.ARENA))
CHECKS = (int(CheckStage.FINGERPRINT), int(CheckStage.BOUNDS))
ALIGNMENT_MASK = np.uint64(7)


@jitted
def stage_at(order, position):
    """Return the stage at a position of a packed order."""
    return (order >> (BITS_PER_STAGE * position)) & STAGE_MASK


@jitted
def safe_order(order):
    """Reorder stages so that each has what it needs; all other wishes of the order are kept."""
    safe = NULL
    shift = BITS_PER_STAGE
    for first, last in (FINDERS, CHECKS):
        for position in range(STAGE_COUNT):
            stage = stage_at(order, position)
            if first <= stage <= last:
                safe |= stage << shift
                shift += BITS_PER_STAGE
    return safe


@jitted
def ask_order(state, address):
    """Ask the kernel for the order of the stages; returns it in its safe form."""
    trace = state.trace
    trace.aligned = address & ALIGNMENT_MASK == ZERO
    trace.recent_page = page_oracle.query(state.pages, address)
    order = kernel_link.check_ordering(state.link, trace.aligned, trace.recent_page)
    if order != state.order_seen:
        state.order_seen = order
        state.order_safe = safe_order(order)
    trace.asked = True
    trace.ordering = order
    trace.safe_ordering = state.order_safe
    return state.order_safe
