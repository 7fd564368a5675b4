"""How far does memory reach that is not ours?

The membrane knows nothing about foreign memory but what the system tells: which pages the process
has. That is enough to tell a wild pointer from a foreign one before it is used.
"""

import numpy as np

from membrane.blocks.slots import GRAVE, slot_address, slot_at
from membrane.tables import page_index
from membrane.tables.memory import address_of, c_residency
from membrane.tables.words import GRANULE, LARGEST_WORD, ONE, PAGE_BITS, ZERO
from runtime_math.numerics.compilation import jitted

REMEMBERED_PAGES = 64
PAGES_PER_QUESTION = np.uint64(64)
RECHECK_MASK = np.uint64(63)

# `residency` is first: its address is the record's. The system writes one byte per page there.
STATE = np.dtype(
    [
        ("residency", np.uint8, (int(PAGES_PER_QUESTION),)),
        ("remembered", np.uint64, (REMEMBERED_PAGES,)),
        ("questions", np.uint64),
        ("page_mask", np.uint64),
    ],
    align=True,
)


@jitted
def init(state, page_size):
    """Start remembering nothing; `page_size` is the system's."""
    state.page_mask = LARGEST_WORD - (page_size - ONE)


@jitted
def is_mapped(state, address):
    """Whether the process has memory at an address; asks the system."""
    return c_residency(address & state.page_mask, ONE, address_of(state)) == 0


@jitted
def was_mapped(state, address):
    """Whether the process has, or lately had, memory at an address.

    Pages found mapped are remembered; one answer in 64 is asked of the system all the same.
    """
    page = address & state.page_mask
    place = np.int64((page >> PAGE_BITS) & np.uint64(REMEMBERED_PAGES - 1))
    state.questions += ONE
    if state.remembered[place] == page + ONE and state.questions & RECHECK_MASK != ZERO:
        return True
    mapped = is_mapped(state, address)
    state.remembered[place] = page + ONE if mapped else ZERO
    return mapped


@jitted
def mapped_span(state, address, size):
    """Return how many of `size` bytes from an address on are mapped before the first hole."""
    page_size = LARGEST_WORD - state.page_mask + ONE
    end = address + min(size, LARGEST_WORD - address)
    here = address
    while here < end:
        first = here & state.page_mask
        pages = min((end - ONE - first) // page_size + ONE, PAGES_PER_QUESTION)
        if c_residency(first, pages * page_size, address_of(state)) != 0:
            # Somewhere in these pages is a hole: ask one by one.
            pages = ONE
            if c_residency(first, page_size, address_of(state)) != 0:
                break
        stop = first + pages * page_size
        here = end if stop < first or stop > end else stop
    return here - address


@jitted
def foreign_span(state, arena, address, size):
    """Return how many of `size` bytes are mapped and come before the first block of ours."""
    span = mapped_span(state, address, size)
    start = address
    while span != ZERO and start - address < span:
        start = page_index.first_start(arena.index, start, address + (span - ONE))
        if start == page_index.NONE:
            break
        identity = page_index.candidate(arena.index, start)
        slot = slot_at(slot_address(arena, identity))
        if slot.state != GRAVE:
            return start - address
        start += GRANULE
    return span
