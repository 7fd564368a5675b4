"""Does this page hold a registered block?

A two-level table of one counter per 4 KiB page: how many registered ranges touch it. The counters
stop at 255 and then stay there, so a page that many ranges share is never disowned by mistake.
Chunks of 4096 counters (16 MiB of address space) appear at first use and stay.
"""

import numpy as np

from membrane.tables import hash_map
from membrane.tables.component import TableComponent
from membrane.tables.hash_map import HASH_MAP
from membrane.tables.memory import c_allocate_zeroed, c_free, load_byte, load_word, store_byte
from membrane.tables.words import (
    CHUNK_PAGE_BITS,
    CHUNK_PAGE_MASK,
    CHUNK_PAGES,
    LARGEST_BLOCK,
    LARGEST_WORD,
    ONE,
    PAGE_BITS,
    WORD_SIZE,
    ZERO,
)
from runtime_math.numerics.compilation import jitted
from runtime_math.validation import flag, integer, uint64

LARGEST_COUNT = 255

STATE = np.dtype([("chunks", HASH_MAP), ("wraps", np.bool_)], align=True)


@jitted
def init(state, wraps):
    """Start owning nothing; `wraps`: ranges end modulo 2^64, else at the last address."""
    state.wraps = wraps


@jitted
def last_page(state, base, size):
    """Return the page of the last byte of a range of at least one byte."""
    last = base + (size - ONE)
    if last < base and not state.wraps:
        last = LARGEST_WORD
    return last >> PAGE_BITS


@jitted
def _chunk(state, number, create):
    """Address of a chunk's counters, or 0."""
    counters = hash_map.find(state.chunks, number)
    if counters != hash_map.MISSING:
        return counters
    if not create:
        return ZERO
    counters = c_allocate_zeroed(CHUNK_PAGES, ONE)
    if counters != ZERO and not hash_map.store(state.chunks, number, counters):
        c_free(counters)
        return ZERO
    return counters


@jitted
def insert(state, base, size):
    """Count a range in all its pages; False when memory for counters is exhausted."""
    if size == ZERO:
        return True
    page = base >> PAGE_BITS
    end = last_page(state, base, size)
    while page <= end:
        counters = _chunk(state, page >> CHUNK_PAGE_BITS, True)
        if counters == ZERO:
            return False
        stop = min(end, page | CHUNK_PAGE_MASK)
        for slot in range(page & CHUNK_PAGE_MASK, (stop & CHUNK_PAGE_MASK) + ONE):
            counter = counters + np.uint64(slot)
            count = load_byte(counter)
            store_byte(counter, min(count + 1, LARGEST_COUNT))
        page = stop + ONE
    return True


@jitted
def remove(state, base, size):
    """Take a range out of its pages; counters of 0 and of 255 stay."""
    if size == ZERO:
        return
    page = base >> PAGE_BITS
    end = last_page(state, base, size)
    while page <= end:
        counters = _chunk(state, page >> CHUNK_PAGE_BITS, False)
        stop = min(end, page | CHUNK_PAGE_MASK)
        if counters != ZERO:
            for slot in range(page & CHUNK_PAGE_MASK, (stop & CHUNK_PAGE_MASK) + ONE):
                counter = counters + np.uint64(slot)
                count = load_byte(counter)
                if 0 < count < LARGEST_COUNT:
                    store_byte(counter, count - 1)
        page = stop + ONE


@jitted
def count(state, address):
    """Return the counter of the page of an address, -1 where no chunk exists."""
    page = address >> PAGE_BITS
    counters = _chunk(state, page >> CHUNK_PAGE_BITS, False)
    if counters == ZERO:
        return -1
    return load_byte(counters + (page & CHUNK_PAGE_MASK))


@jitted
def query(state, address):
    """Whether the page of an address holds a registered range."""
    return count(state, address) > 0


@jitted
def chunk_count(state):
    """Return the number of chunks."""
    return np.int64(state.chunks.count)


@jitted
def release(state):
    """Free all counters."""
    for index in range(state.chunks.capacity):
        entry = state.chunks.entries + np.uint64(index) * hash_map.ENTRY_SIZE
        if load_word(entry) != ZERO:
            c_free(load_word(entry + WORD_SIZE))
    hash_map.release(state.chunks)


# Two counters per page are a burden of 2^-11; a larger range is refused, not counted.
_range_size = integer(0, LARGEST_BLOCK, np.uint64)


class PageOracle(TableComponent):
    """Reference counts of pages.

    Parameters
    ----------
    wraps : bool, default False
        Whether a range may run over the end of the address space, as in the reference, where it
        then covers nothing; otherwise it ends at the last address.

    Examples
    --------
    >>> pages = PageOracle()
    >>> pages.insert(0x10FFF, 2)
    True
    >>> pages.query(0x10000), pages.query(0x11FFF), pages.query(0x12000)
    (True, True, False)
    """

    STATE = STATE
    PARAMETERS = {"wraps": (flag, False)}
    initialise = init
    release = release

    def __init__(self, wraps: bool = False) -> None:
        super().__init__(wraps=wraps)

    def insert(self, base: int, size: int) -> bool:
        """Count a range in all its pages; False when memory for counters is exhausted."""
        return bool(insert(self.record, uint64("base", base), _range_size("size", size)))

    def remove(self, base: int, size: int) -> None:
        """Take a range out of its pages; counters of 0 and of 255 stay."""
        remove(self.record, uint64("base", base), _range_size("size", size))

    def query(self, address: int) -> bool:
        """Whether the page of an address holds a registered range."""
        return bool(query(self.record, uint64("address", address)))

    def count(self, address: int) -> int:
        """Return the counter of the page of an address, -1 where no chunk exists."""
        return int(count(self.record, uint64("address", address)))

    def chunk_count(self) -> int:
        """Return the number of chunks."""
        return int(chunk_count(self.record))
