"""Which registered start lies nearest below an address?

The starts of blocks are multiples of 16. Their set is a tree of 64-bit words: a bit of a leaf says
that a block starts in one granule of 16 bytes, a bit of a word above says that the word below is
not empty. A search climbs until it meets a lower neighbour and descends along the highest bits, so
its cost depends on how far the neighbour is, not on how many blocks there are; an insertion
changes one word per level at most, whatever the size of the block. (The scheme of P. van Emde
Boas, "Preserving order in a forest in less than logarithmic time", FOCS 1975, with 64-way nodes
kept in a hash table.)
"""

import numpy as np

from membrane import table
from membrane.table import TABLE
from runtime_math.numerics.bits import leading_zeros
from runtime_math.numerics.compilation import jitted

GRANULE_BITS = np.uint64(4)
NODE_BITS = np.uint64(6)
LEVELS = 10  # 64^10 granules of 16 bytes cover every 64-bit address
ALL_BITS = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
NONE = table.MISSING
ZERO = np.uint64(0)
ONE = np.uint64(1)

STATE = np.dtype([("nodes", TABLE)], align=True)


@jitted
def highest_bit(word):
    """Return the number of the highest set bit of a word that is not zero."""
    return np.uint64(63 - leading_zeros(word))


@jitted
def _key(level, prefix):
    return (prefix << GRANULE_BITS) | np.uint64(level)


@jitted
def insert(state, start):
    """Add a start (a multiple of 16); False when the C heap is exhausted."""
    position = start >> GRANULE_BITS
    for level in range(LEVELS):
        prefix = position >> NODE_BITS
        bit = ONE << (position & np.uint64(63))
        word = table.find(state.nodes, _key(level, prefix))
        if word != table.MISSING:
            return table.store(state.nodes, _key(level, prefix), word | bit)
        if not table.store(state.nodes, _key(level, prefix), bit):
            return False
        position = prefix
    return True


@jitted
def remove(state, start):
    """Remove a start that was inserted."""
    position = start >> GRANULE_BITS
    for level in range(LEVELS):
        prefix = position >> NODE_BITS
        key = _key(level, prefix)
        word = table.find(state.nodes, key)
        if word == table.MISSING:
            return
        word &= ALL_BITS ^ (ONE << (position & np.uint64(63)))
        if word != ZERO:
            table.store(state.nodes, key, word)
            return
        table.remove(state.nodes, key)
        position = prefix


@jitted
def nearest_below(state, address):
    """Return the largest start that is at most `address`, or `NONE`."""
    position = address >> GRANULE_BITS
    below = ALL_BITS >> (np.uint64(63) - (position & np.uint64(63)))
    for level in range(LEVELS):
        prefix = position >> NODE_BITS
        word = table.find(state.nodes, _key(level, prefix))
        if word != table.MISSING and (word & below) != ZERO:
            position = (prefix << NODE_BITS) | highest_bit(word & below)
            for lower in range(level - 1, -1, -1):
                word = table.find(state.nodes, _key(lower, position))
                position = (position << NODE_BITS) | highest_bit(word)
            return position << GRANULE_BITS
        position = prefix
        below = (ONE << (position & np.uint64(63))) - ONE
    return NONE


@jitted
def release(state):
    """Free the tree and leave an empty set."""
    table.release(state.nodes)
