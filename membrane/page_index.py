"""Which block covers this address?

Blocks start at multiples of 16 and never overlap, so the block around an address is the one that
starts last before it in the same page, or else the one that runs into the page from before. Per
page there are 256 bits for the starts in it and one number for the block that runs in; pages come
in chunks of 4096 (16 MiB), found through a hash table. A chunk that one block covers completely
needs a single number. A search reads one page's entry whatever the number of blocks.
"""

import numpy as np

from membrane import table
from membrane.memory import (
    c_allocate_zeroed,
    c_free,
    load_word,
    record_at,
    store_word,
)
from membrane.table import TABLE
from runtime_math.numerics.bits import leading_zeros, trailing_zeros
from runtime_math.numerics.compilation import jitted

PAGE_BITS = np.uint64(12)
CHUNK_BITS = np.uint64(24)
PAGE_MASK = np.uint64(4095)
PAGES_PER_CHUNK = np.uint64(4096)
WORD_BITS = np.uint64(10)  # 64 starts of 16 bytes
GRANULE_BITS = np.uint64(4)
BIT_MASK = np.uint64(63)
ALL_BITS = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
WORD_SIZE = np.uint64(8)
CHUNK_LAST = np.uint64((1 << 24) - 1)
THREE = np.uint64(3)
ROUND_UP = np.uint64(15)
ZERO = np.uint64(0)
ONE = np.uint64(1)
NONE = ALL_BITS

# A page's entry is its inflow and four words of start bits, together for the sake of caches.
# `cover` and inflows are identities plus one; 0 means none.
ENTRY_SIZE = np.uint64(40)
CHUNK = np.dtype([("cover", np.uint64), ("pages", np.uint64)], align=True)
CHUNK_SIZE = np.uint64(CHUNK.itemsize)
chunk_at = record_at(CHUNK)

# `anchors`: start of a block -> its identity.
STATE = np.dtype([("chunks", TABLE), ("anchors", TABLE)], align=True)


@jitted
def _new_chunk(state, number):
    address = c_allocate_zeroed(ONE, CHUNK_SIZE)
    if address != ZERO and not table.store(state.chunks, number, address):
        c_free(address)
        return ZERO
    return address


@jitted
def _starts_word(chunk, address):
    """Return the address of the word that holds the start bit of an address."""
    page = (address >> PAGE_BITS) & PAGE_MASK
    return chunk.pages + page * ENTRY_SIZE + (((address >> WORD_BITS) & THREE) + ONE) * WORD_SIZE


@jitted
def _ensure_pages(chunk):
    if chunk.pages == ZERO:
        chunk.pages = c_allocate_zeroed(PAGES_PER_CHUNK, ENTRY_SIZE)
    return chunk.pages != ZERO


@jitted
def _mark_start(state, start):
    number = start >> CHUNK_BITS
    address = table.find(state.chunks, number)
    if address == table.MISSING:
        address = _new_chunk(state, number)
        if address == ZERO:
            return False
    chunk = chunk_at(address)
    if not _ensure_pages(chunk):
        return False
    word = _starts_word(chunk, start)
    bit = ONE << ((start >> GRANULE_BITS) & BIT_MASK)
    store_word(word, load_word(word) | bit)
    return True


@jitted
def _mark_inflow(state, first, last, mark, expected):
    """Set the inflow of pages `first` to `last`, where it is `expected`, to `mark`."""
    page = first
    while page <= last:
        number = page >> PAGE_BITS
        stop = min(last, page | PAGE_MASK)
        address = table.find(state.chunks, number)
        if address == table.MISSING:
            if mark == ZERO:
                page = stop + ONE
                continue
            address = _new_chunk(state, number)
            if address == ZERO:
                return False
        chunk = chunk_at(address)
        whole = page & PAGE_MASK == ZERO and stop & PAGE_MASK == PAGE_MASK
        if whole and chunk.cover == expected:
            chunk.cover = mark
        elif not whole:
            if not _ensure_pages(chunk):
                return False
            for number_in_chunk in range(page & PAGE_MASK, (stop & PAGE_MASK) + ONE):
                entry = chunk.pages + np.uint64(number_in_chunk) * ENTRY_SIZE
                if load_word(entry) == expected:
                    store_word(entry, mark)
        page = stop + ONE
    return True


@jitted
def insert(state, start, size, identity):
    """Enter a block of `size` bytes; False when the C heap is exhausted."""
    first = (start >> PAGE_BITS) + ONE
    last = (start + size - ONE) >> PAGE_BITS
    return (
        table.store(state.anchors, start, identity)
        and _mark_start(state, start)
        and _mark_inflow(state, first, last, identity + ONE, ZERO)
    )


@jitted
def remove(state, start, size, identity):
    """Take a block out again."""
    table.remove(state.anchors, start)
    chunk = chunk_at(table.find(state.chunks, start >> CHUNK_BITS))
    word = _starts_word(chunk, start)
    bit = ONE << ((start >> GRANULE_BITS) & BIT_MASK)
    store_word(word, load_word(word) & (ALL_BITS ^ bit))
    first = (start >> PAGE_BITS) + ONE
    last = (start + size - ONE) >> PAGE_BITS
    _mark_inflow(state, first, last, ZERO, identity + ONE)


@jitted
def _last_start(chunk, address):
    """Return the last start at or before an address in its page, or `NONE`."""
    word = _starts_word(chunk, address)
    starts = load_word(word) & (ALL_BITS >> (BIT_MASK - ((address >> GRANULE_BITS) & BIT_MASK)))
    cell = (address >> WORD_BITS) & THREE
    while starts == ZERO:
        if cell == ZERO:
            return NONE
        cell -= ONE
        word -= WORD_SIZE
        starts = load_word(word)
    bit = np.uint64(63 - leading_zeros(starts))
    page = address >> PAGE_BITS
    return (page << PAGE_BITS) | (cell << WORD_BITS) | (bit << GRANULE_BITS)


@jitted
def candidate(state, address):
    """Return the only block that can cover an address, or `NONE`; the caller knows its end."""
    found = table.find(state.chunks, address >> CHUNK_BITS)
    if found == table.MISSING:
        return NONE
    chunk = chunk_at(found)
    mark = ZERO
    if chunk.pages != ZERO:
        start = _last_start(chunk, address)
        if start != NONE:
            return table.find(state.anchors, start)
        page = (address >> PAGE_BITS) & PAGE_MASK
        mark = load_word(chunk.pages + page * ENTRY_SIZE)
    if mark == ZERO:
        mark = chunk.cover
    return mark - ONE


@jitted
def first_start(state, address, last):
    """Return the first start from `address` to `last`, or `NONE`."""
    address = (address + ROUND_UP) & (ALL_BITS ^ ROUND_UP)
    while address <= last:
        found = table.find(state.chunks, address >> CHUNK_BITS)
        following = (address | CHUNK_LAST) + ONE
        if found != table.MISSING:
            chunk = chunk_at(found)
            if chunk.pages != ZERO:
                starts = load_word(_starts_word(chunk, address))
                starts &= ALL_BITS << ((address >> GRANULE_BITS) & BIT_MASK)
                if starts != ZERO:
                    bit = np.uint64(trailing_zeros(starts))
                    start = ((address >> WORD_BITS) << WORD_BITS) | (bit << GRANULE_BITS)
                    return start if start <= last else NONE
                following = ((address >> WORD_BITS) + ONE) << WORD_BITS
        if following < address:
            break
        address = following
    return NONE


@jitted
def next_page_in_use(state, address):
    """Return `address`, or the start of a later chunk if the present one has no entries."""
    if table.find(state.chunks, address >> CHUNK_BITS) != table.MISSING:
        return address
    return (address | CHUNK_LAST) + ONE


@jitted
def release(state):
    """Free everything and leave an empty index."""
    for place in range(state.chunks.capacity):
        entry = state.chunks.entries + np.uint64(place) * table.ENTRY_SIZE
        if load_word(entry) != ZERO:
            address = load_word(entry + table.WORD_SIZE)
            chunk = chunk_at(address)
            c_free(chunk.pages)
            c_free(address)
    table.release(state.chunks)
    table.release(state.anchors)
