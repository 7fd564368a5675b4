"""Which addresses did this thread validate last?

A direct-mapped cache with one entry per page slot: all addresses of a page, and of pages 4 MiB
apart, share an entry. Each entry carries the epoch of the block it describes, a number that
changes whenever the block's life changes; the repaired rules compare it, the reference ignores it.
"""

from typing import NamedTuple

import numpy as np

from membrane.blocks.lattice import UNKNOWN, SafetyState
from membrane.tables.words import ONE, PAGE_BITS, ZERO
from runtime_math.monitors.base import Monitor
from runtime_math.numerics.compilation import jitted
from runtime_math.validation import member, uint32, uint64

ENTRY_COUNT = 1024

ENTRY = np.dtype(
    [
        ("address", np.uint64),
        ("user_base", np.uint64),
        ("user_size", np.uint64),
        ("epoch", np.uint64),
        ("slot", np.uint64),
        ("generation", np.uint32),
        ("state", np.uint8),
        ("filled", np.bool_),
    ],
    align=True,
)
STATE = np.dtype(
    [("entries", ENTRY, (ENTRY_COUNT,)), ("hits", np.uint64), ("misses", np.uint64)], align=True
)


class CachedBlock(NamedTuple):
    """The block recorded for an address."""

    user_base: int
    user_size: int
    generation: int
    state: SafetyState


@jitted
def init(state):
    """Empty the cache and its counters."""
    invalidate_all(state)
    state.hits = ZERO
    state.misses = ZERO


@jitted
def index(address):
    """Return the number of the entry that an address may use."""
    return np.int64((address >> PAGE_BITS) & np.uint64(ENTRY_COUNT - 1))


@jitted
def holds(state, address):
    """Whether the entry of an address describes exactly this address; counts nothing."""
    entry = state.entries[index(address)]
    return entry.filled and entry.address == address


@jitted
def lookup(state, address):
    """Search an address, count the hit or miss; gives found, base, size, generation, state."""
    entry = state.entries[index(address)]
    if entry.filled and entry.address == address:
        state.hits += ONE
        return (
            True,
            entry.user_base,
            entry.user_size,
            np.int64(entry.generation),
            np.int64(entry.state),
        )
    state.misses += ONE
    return False, ZERO, ZERO, 0, UNKNOWN


@jitted
def insert(state, address, user_base, user_size, generation, region_state):
    """Record the block around an address, in place of whatever its entry held."""
    entry = state.entries[index(address)]
    entry.address = address
    entry.user_base = user_base
    entry.user_size = user_size
    entry.epoch = ZERO
    entry.slot = ZERO
    entry.generation = np.uint32(generation)
    entry.state = np.uint8(region_state)
    entry.filled = True
    return index(address)


@jitted
def invalidate(state, user_base):
    """Empty every entry that describes a block."""
    for number in range(ENTRY_COUNT):
        entry = state.entries[number]
        if entry.user_base == user_base:
            entry.filled = False


@jitted
def invalidate_all(state):
    """Empty every entry; the counters of hits and misses stay."""
    for number in range(ENTRY_COUNT):
        state.entries[number].filled = False


class ValidationCache(Monitor):
    """Direct-mapped cache of validated addresses, one per thread.

    Examples
    --------
    >>> cache = ValidationCache()
    >>> cache.insert(0x5008, 0x5000, 64, 1, SafetyState.VALID)
    5
    >>> cache.lookup(0x5008).user_size
    64
    >>> cache.lookup(0x5010) is None
    True
    """

    STATE = STATE
    initialise = init

    def lookup(self, address: int) -> CachedBlock | None:
        """Search an address, and count the hit or miss."""
        found, base, size, generation, state = lookup(self.record, uint64("address", address))
        return CachedBlock(base, size, generation, SafetyState(state)) if found else None

    def insert(
        self,
        address: int,
        user_base: int,
        user_size: int,
        generation: int,
        region_state: SafetyState,
    ) -> int:
        """Record the block around an address; returns the number of the entry it took."""
        facts = (
            uint64("address", address),
            uint64("user_base", user_base),
            uint64("user_size", user_size),
            uint32("generation", generation),
            member(SafetyState)("region_state", region_state),
        )
        return int(insert(self.record, *facts))

    def invalidate(self, user_base: int) -> None:
        """Empty every entry that describes a block."""
        invalidate(self.record, uint64("user_base", user_base))

    def invalidate_all(self) -> None:
        """Empty every entry; the counters of hits and misses stay."""
        invalidate_all(self.record)

    @property
    def hits(self) -> int:
        """Number of lookups that found their address."""
        return int(self.record["hits"])

    @property
    def misses(self) -> int:
        """Number of lookups that did not."""
        return int(self.record["misses"])
