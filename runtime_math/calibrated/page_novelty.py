"""Has this page been seen lately?

A direct-mapped table of 1,024 page tags: a page is familiar when it was the last one to fall into
its slot. Unlike a Bloom filter it forgets by itself, and unlike an exact set it is small; pages
that share a slot make each other look new at a rate that is learnt with everything else.

References
----------
.. [1] M. Dietzfelbinger et al., "A reliable randomized algorithm for the closest-pair problem",
       J. Algorithms 25, 1997 (multiplicative hashing).
.. [2] A. J. Smith, "Cache memories", ACM Comput. Surv. 14(3), 1982 (direct mapping).
"""

import numpy as np

from runtime_math.monitors.base import Monitor, operation, uint64
from runtime_math.numerics.compilation import jitted

SLOT_COUNT = 1024
PAGE_SHIFT = np.uint64(12)
MULTIPLIER = np.uint64(0x9E37_79B9_7F4A_7C15)
SLOT_SHIFT = np.uint64(54)
TAG_SHIFT = np.uint64(22)
TAG_MASK = np.uint64(0xFFFF_FFFF)

STATE = np.dtype([("tags", np.uint32, (SLOT_COUNT,))], align=True)


@jitted
def init(state):
    """Know no page."""
    for index in range(SLOT_COUNT):
        state.tags[index] = 0


@jitted
def observe(state, addr_hint):
    """Remember the page of an address; returns whether it is new."""
    # One is added so that the page of the null address does not look like an empty slot.
    mixed = ((addr_hint >> PAGE_SHIFT) + np.uint64(1)) * MULTIPLIER
    slot = np.int64(mixed >> SLOT_SHIFT)
    tag = np.uint32((mixed >> TAG_SHIFT) & TAG_MASK)
    new = state.tags[slot] != tag
    state.tags[slot] = tag
    return new


class PageNovelty(Monitor):
    """Table of recently seen pages.

    Examples
    --------
    >>> pages = PageNovelty()
    >>> pages.observe(0x7F00_1000), pages.observe(0x7F00_1FF0), pages.observe(0x7F00_2000)
    (True, False, True)
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, addr_hint=uint64)
