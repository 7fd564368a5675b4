"""Which block covers this address?

Blocks start at multiples of 16 and never overlap, so the block around an address is the one that
starts last before it in the same page, or else the one that runs into the page from before. Per
page there are 256 bits for the starts in it and one number for the block that runs in; pages come
in chunks of 4096 (16 MiB), found through a hash table. Where one block covers a whole chunk, a
whole section (64 pages) or a whole group (4 pages), that takes a single number, so that the
entries of large blocks stay in the processor's caches. A search reads at most one number per level
and one page's entry, whatever the number of blocks.
"""

import numpy as np

from membrane.tables import hash_map
from membrane.tables.hash_map import HASH_MAP
from membrane.tables.memory import c_allocate_zeroed, c_free, load_word, store_word
from membrane.tables.words import (
    BIT_MASK,
    CHUNK_BITS,
    CHUNK_MASK,
    CHUNK_PAGE_BITS,
    CHUNK_PAGE_MASK,
    CHUNK_PAGES,
    GRANULE_BITS,
    GRANULE_MASK,
    LARGEST_WORD,
    ONE,
    PAGE_BITS,
    WORD_SIZE,
    ZERO,
)
from runtime_math.numerics.bits import leading_zeros, trailing_zeros
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.record_at import record_at

WORD_BITS = np.uint64(10)  # 64 starts of 16 bytes
CELL_MASK = np.uint64(3)  # four such words in a page
NONE = hash_map.MISSING

# A page's entry is its inflow and four words of start bits, together for the sake of caches.
# Behind the entries: the covers of the sections, then those of the groups.
# Covers and inflows are identities plus one; 0 means none.
ENTRY_SIZE = np.uint64(40)
GROUP_BITS, SECTION_BITS = np.uint64(2), np.uint64(6)
GROUP_LAST, SECTION_LAST = np.uint64(3), np.uint64(63)
SECTIONS_OFFSET = CHUNK_PAGES * ENTRY_SIZE
GROUPS_OFFSET = SECTIONS_OFFSET + (CHUNK_PAGES >> SECTION_BITS) * WORD_SIZE
PAGES_SIZE = GROUPS_OFFSET + (CHUNK_PAGES >> GROUP_BITS) * WORD_SIZE
CHUNK = np.dtype([("cover", np.uint64), ("pages", np.uint64)], align=True)
CHUNK_SIZE = np.uint64(CHUNK.itemsize)
chunk_at = record_at(CHUNK)

# `anchors`: start of a block -> its identity.
STATE = np.dtype([("chunks", HASH_MAP), ("anchors", HASH_MAP)], align=True)


@jitted
def _new_chunk(state, number):
    address = c_allocate_zeroed(ONE, CHUNK_SIZE)
    if address != ZERO and not hash_map.store(state.chunks, number, address):
        c_free(address)
        return ZERO
    return address


@jitted
def _starts_word(chunk, address):
    """Return the address of the word that holds the start bit of an address."""
    page = (address >> PAGE_BITS) & CHUNK_PAGE_MASK
    return (
        chunk.pages + page * ENTRY_SIZE + (((address >> WORD_BITS) & CELL_MASK) + ONE) * WORD_SIZE
    )


@jitted
def _ensure_pages(chunk):
    if chunk.pages == ZERO:
        chunk.pages = c_allocate_zeroed(ONE, PAGES_SIZE)
    return chunk.pages != ZERO


@jitted
def _mark_start(state, start):
    number = start >> CHUNK_BITS
    address = hash_map.find(state.chunks, number)
    if address == hash_map.MISSING:
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
def _section(chunk, page):
    """Return the address of the cover of a page's section."""
    return chunk.pages + SECTIONS_OFFSET + ((page & CHUNK_PAGE_MASK) >> SECTION_BITS) * WORD_SIZE


@jitted
def _group(chunk, page):
    """Return the address of the cover of a page's group."""
    return chunk.pages + GROUPS_OFFSET + ((page & CHUNK_PAGE_MASK) >> GROUP_BITS) * WORD_SIZE


@jitted
def _mark_in_chunk(chunk, page, last, whole_end, mark, expected):
    """Mark the pages of one chunk in words as large as possible."""
    while page <= last:
        if page & SECTION_LAST == ZERO and page + SECTION_LAST < whole_end:
            word, span = _section(chunk, page), SECTION_LAST
        elif page & GROUP_LAST == ZERO and page + GROUP_LAST < whole_end:
            word, span = _group(chunk, page), GROUP_LAST
        else:
            word, span = chunk.pages + (page & CHUNK_PAGE_MASK) * ENTRY_SIZE, ZERO
        if load_word(word) == expected:
            store_word(word, mark)
        page += span + ONE


@jitted
def _mark_inflow(state, start, size, mark, expected):
    """Set the words for the pages that a block runs into, where they are `expected`, to `mark`."""
    page = (start >> PAGE_BITS) + ONE
    last = (start + size - ONE) >> PAGE_BITS
    # Other blocks may start in a page that this one only runs into.
    whole_end = (start + size) >> PAGE_BITS
    while page <= last:
        number = page >> CHUNK_PAGE_BITS
        stop = min(last, page | CHUNK_PAGE_MASK)
        address = hash_map.find(state.chunks, number)
        if address == hash_map.MISSING:
            if mark == ZERO:
                page = stop + ONE
                continue
            address = _new_chunk(state, number)
            if address == ZERO:
                return False
        chunk = chunk_at(address)
        if page & CHUNK_PAGE_MASK == ZERO and page + CHUNK_PAGE_MASK < whole_end:
            if chunk.cover == expected:
                chunk.cover = mark
        else:
            if not _ensure_pages(chunk):
                return False
            _mark_in_chunk(chunk, page, stop, whole_end, mark, expected)
        page = stop + ONE
    return True


@jitted
def insert(state, start, size, identity):
    """Enter a block of `size` bytes; False when the C heap is exhausted."""
    return (
        hash_map.store(state.anchors, start, identity)
        and _mark_start(state, start)
        and _mark_inflow(state, start, size, identity + ONE, ZERO)
    )


@jitted
def remove(state, start, size, identity):
    """Take a block out again."""
    hash_map.remove(state.anchors, start)
    chunk = chunk_at(hash_map.find(state.chunks, start >> CHUNK_BITS))
    word = _starts_word(chunk, start)
    bit = ONE << ((start >> GRANULE_BITS) & BIT_MASK)
    store_word(word, load_word(word) & (LARGEST_WORD ^ bit))
    _mark_inflow(state, start, size, ZERO, identity + ONE)


@jitted
def _last_start(chunk, address):
    """Return the last start at or before an address in its page, or `NONE`."""
    word = _starts_word(chunk, address)
    starts = load_word(word) & (LARGEST_WORD >> (BIT_MASK - ((address >> GRANULE_BITS) & BIT_MASK)))
    cell = (address >> WORD_BITS) & CELL_MASK
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
    found = hash_map.find(state.chunks, address >> CHUNK_BITS)
    if found == hash_map.MISSING:
        return NONE
    chunk = chunk_at(found)
    mark = chunk.cover
    if mark == ZERO:
        if chunk.pages == ZERO:
            return NONE
        page = address >> PAGE_BITS
        # At most one of the two is there: blocks do not overlap.
        mark = load_word(_section(chunk, page)) | load_word(_group(chunk, page))
        if mark == ZERO:
            start = _last_start(chunk, address)
            if start != NONE:
                return hash_map.find(state.anchors, start)
            mark = load_word(chunk.pages + (page & CHUNK_PAGE_MASK) * ENTRY_SIZE)
    return mark - ONE


@jitted
def first_start(state, address, last):
    """Return the first start from `address` to `last`, or `NONE`."""
    address = (address + GRANULE_MASK) & (LARGEST_WORD ^ GRANULE_MASK)
    while address <= last:
        found = hash_map.find(state.chunks, address >> CHUNK_BITS)
        following = (address | CHUNK_MASK) + ONE
        if found != hash_map.MISSING:
            chunk = chunk_at(found)
            if chunk.pages != ZERO:
                starts = load_word(_starts_word(chunk, address))
                starts &= LARGEST_WORD << ((address >> GRANULE_BITS) & BIT_MASK)
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
    if hash_map.find(state.chunks, address >> CHUNK_BITS) != hash_map.MISSING:
        return address
    return (address | CHUNK_MASK) + ONE


@jitted
def release(state):
    """Free everything and leave an empty index."""
    for place in range(state.chunks.capacity):
        entry = state.chunks.entries + np.uint64(place) * hash_map.ENTRY_SIZE
        if load_word(entry) != ZERO:
            address = load_word(entry + WORD_SIZE)
            chunk = chunk_at(address)
            c_free(chunk.pages)
            c_free(address)
    hash_map.release(state.chunks)
    hash_map.release(state.anchors)
