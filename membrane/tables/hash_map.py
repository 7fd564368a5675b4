"""A map from 64-bit keys to 64-bit values that jitted code can grow.

Open addressing with linear probing at a load of at most one half; a removal shifts its successors
back, so there are no grave markers and a table never slows down with age (D. Knuth, "The Art of
Computer Programming", vol. 3, section 6.4, algorithm R). The record holds the address of the
entries, which live in the C heap.
"""

import numpy as np

from membrane.tables.memory import c_allocate_zeroed, c_free, load_word, store_word
from membrane.tables.words import GOLDEN, LARGEST_WORD, ONE, WORD_SIZE, ZERO
from runtime_math.numerics.compilation import jitted

MISSING = LARGEST_WORD
FIRST_CAPACITY = np.uint64(64)
ENTRY_SIZE = np.uint64(16)

HASH_MAP = np.dtype(
    [("entries", np.uint64), ("capacity", np.uint64), ("count", np.uint64)], align=True
)


@jitted
def slot_of(key, capacity):
    """Return the place where the search for a key begins: the high bits of a product."""
    mixed = key * GOLDEN
    return (mixed ^ (mixed >> np.uint64(29))) & (capacity - ONE)


@jitted
def find(table, key):
    """Return the value of a key, or `MISSING`. The key 2^64 - 1 can not be stored."""
    capacity = table.capacity
    if capacity == ZERO:
        return MISSING
    mark = key + ONE
    place = slot_of(key, capacity)
    while True:
        entry = table.entries + place * ENTRY_SIZE
        stored = load_word(entry)
        if stored == mark:
            return load_word(entry + WORD_SIZE)
        if stored == ZERO:
            return MISSING
        place = (place + ONE) & (capacity - ONE)


@jitted
def _place(entries, capacity, mark, value):
    """Store an entry; returns whether its key is new."""
    place = slot_of(mark - ONE, capacity)
    while True:
        entry = entries + place * ENTRY_SIZE
        stored = load_word(entry)
        if stored in (ZERO, mark):
            store_word(entry, mark)
            store_word(entry + WORD_SIZE, value)
            return stored == ZERO
        place = (place + ONE) & (capacity - ONE)


@jitted
def _grow(table):
    capacity = table.capacity + table.capacity if table.capacity else FIRST_CAPACITY
    entries = c_allocate_zeroed(capacity, ENTRY_SIZE)
    if entries == ZERO:
        return False
    for index in range(table.capacity):
        entry = table.entries + np.uint64(index) * ENTRY_SIZE
        mark = load_word(entry)
        if mark != ZERO:
            _place(entries, capacity, mark, load_word(entry + WORD_SIZE))
    c_free(table.entries)
    table.entries = entries
    table.capacity = capacity
    return True


@jitted
def reserve(table):
    """Make room for one more key; False when the C heap is exhausted."""
    if (table.count + ONE) * np.uint64(2) > table.capacity:
        return _grow(table)
    return True


@jitted
def store(table, key, value):
    """Give a key its value, new or not; False when the C heap is exhausted."""
    if not reserve(table):
        return False
    if _place(table.entries, table.capacity, key + ONE, value):
        table.count += ONE
    return True


@jitted
def remove(table, key):
    """Forget a key; returns whether it was there."""
    capacity = table.capacity
    if capacity == ZERO:
        return False
    last = capacity - ONE
    mark = key + ONE
    hole = slot_of(key, capacity)
    while load_word(table.entries + hole * ENTRY_SIZE) != mark:
        if load_word(table.entries + hole * ENTRY_SIZE) == ZERO:
            return False
        hole = (hole + ONE) & last
    place = hole
    while True:
        place = (place + ONE) & last
        entry = table.entries + place * ENTRY_SIZE
        stored = load_word(entry)
        if stored == ZERO:
            break
        # An entry may fill the hole unless its own search would begin after it.
        if ((place - slot_of(stored - ONE, capacity)) & last) >= ((place - hole) & last):
            store_word(table.entries + hole * ENTRY_SIZE, stored)
            store_word(table.entries + hole * ENTRY_SIZE + WORD_SIZE, load_word(entry + WORD_SIZE))
            hole = place
    store_word(table.entries + hole * ENTRY_SIZE, ZERO)
    table.count -= ONE
    return True


@jitted
def release(table):
    """Free the entries and leave an empty table."""
    c_free(table.entries)
    table.entries = ZERO
    table.capacity = ZERO
    table.count = ZERO
