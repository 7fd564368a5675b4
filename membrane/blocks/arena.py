"""Which blocks are ours, whose turn is it to be released, and what happens on a free?

Every block stands between a header and a canary (see `membrane.blocks.fingerprint`). A freed block
first waits in a first-in first-out quarantine, where uses of it are still recognised; only then
does its memory go back to the source. A block has a generation, which changes when it is freed.

Two rule sets. The reference's has sixteen shards chosen by the page of an address, each with a
quarantine of its own; it looks for the canary in the wrong place when the alignment is above 16,
never reads a header, finds interior addresses only in pages of the base's shard, and forgets a
block when it leaves the quarantine. The repaired rules have one quarantine, compare header and
canary where they were written, find every address of a block in any page, and remember released
blocks (as graves) until their place is taken: a base address is not issued a second time while a
grave remembers it, so a stale free can not hit the next owner.

References
----------
.. [1] K. Serebryany, D. Bruening, A. Potapenko, D. Vyukov, "AddressSanitizer: a fast address
       sanity checker", USENIX ATC 2012.
"""

import ctypes
from enum import IntEnum
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

import numpy as np

from membrane.blocks import memory_source
from membrane.blocks.block_guards import (
    CANARY_SIZE,
    REPAIRED_HEADER,
    block_hash,
    canary_intact,
    header_intact,
    write_guards,
)
from membrane.blocks.fingerprint import REFERENCE_KEY
from membrane.blocks.lattice import QUARANTINED, VALID, SafetyState
from membrane.blocks.lookup import Place, based, contains, holding, locate, remaining_from, shard_of
from membrane.blocks.memory_source import MemorySource
from membrane.blocks.quarantine import admit, unearth
from membrane.blocks.slots import (
    DRAINED,
    NO_SLOT,
    SHARD_COUNT,
    SLOT,
    STATE,
    reserve_slot,
    slot_address,
    slot_at,
    take_epoch,
    take_generation,
    take_slot,
)
from membrane.tables import hash_map, page_index
from membrane.tables.component import TableComponent
from membrane.tables.memory import c_free
from membrane.tables.words import GRANULE, ONE, SIZE_LIMIT, ZERO
from runtime_math.numerics.compilation import jitted
from runtime_math.validation import flag, uint64

QUARANTINE_MAX_BYTES = 67_108_864
QUARANTINE_MAX_ENTRIES = 65_536
GRAVES_MAX = 65_536
LARGEST_LAYOUT = np.uint64(SIZE_LIMIT - 1)


Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]
Result = TypeVar("Result")


class FreeResult(IntEnum):
    """What a free found."""

    FREED = 0
    FREED_WITH_CANARY_CORRUPTION = 1
    DOUBLE_FREE = 2
    FOREIGN_POINTER = 3
    INVALID_POINTER = 4


# By their codes.
FREE_RESULTS: tuple[FreeResult, ...] = tuple(FreeResult)
# The codes as plain numbers, for jitted code.
FREED, FREED_WITH_CANARY_CORRUPTION, DOUBLE_FREE, FOREIGN_POINTER, INVALID_POINTER = map(
    int, FreeResult
)


@jitted
def init(state, repaired, key0, key1, quarantine_max_bytes, quarantine_max_entries):
    """Start without blocks; the record must be zero."""
    state.repaired = repaired
    state.key0 = key0
    state.key1 = key1
    state.next_generation = ONE
    state.next_epoch = ONE
    state.quarantine_max_bytes = quarantine_max_bytes
    state.quarantine_max_entries = quarantine_max_entries
    state.graves_max = np.uint64(GRAVES_MAX)
    for number in range(SHARD_COUNT):
        state.shards[number].free_slots = NO_SLOT


@jitted
def _reserve(state):
    """Make room in all tables for one more block, so that nothing fails half-way."""
    return reserve_slot(state) and hash_map.reserve(state.index.anchors)


@jitted
def _obtain(state, total, align):
    """Get memory from the source; anything but aligned, unwrapped memory is a failure."""
    if total > LARGEST_LAYOUT - (align - ONE):
        return ZERO
    raw = memory_source.allocate(state.source, total, align)
    if raw == ZERO:
        return ZERO
    if raw & (align - ONE) != ZERO or raw + total < raw:
        memory_source.release(state.source, raw, total, align)
        return ZERO
    return raw


@jitted
def _obtain_unburied(state, offset, size, align):
    """Get memory with a user base that no grave remembers; returns (raw, user base, total)."""
    fixed = offset + size + CANARY_SIZE
    slack = ZERO
    while True:
        total = fixed + slack
        if total < fixed:
            return ZERO, ZERO, ZERO
        raw = _obtain(state, total, align)
        if raw == ZERO:
            return ZERO, ZERO, ZERO
        user = raw + offset
        while user <= raw + offset + slack:
            if hash_map.find(state.retired, user) == hash_map.MISSING:
                return raw, user, total
            user += align
        memory_source.release(state.source, raw, total, align)
        slack = slack + slack + align


@jitted
def _record_block(state, raw, user, size, total, align, generation):
    """Enter a new block in a slot and in the tables."""
    shard = state.shards[shard_of(user)]
    identity = take_slot(state, shard)
    slot = slot_at(slot_address(state, identity))
    slot.raw_base = raw
    slot.user_base = user
    slot.user_size = size
    slot.total = total
    slot.align = align
    slot.epoch = take_epoch(state)
    slot.generation = np.uint32(generation)
    slot.state = np.uint8(VALID)
    slot.hash = block_hash(state, slot)
    write_guards(state, slot)
    page_index.insert(state.index, raw, total, identity)
    state.live_count += ONE
    state.live_bytes += size
    return user


@jitted
def allocate_aligned(state, size, align):
    """Return the user base of a new block, or 0; a generation is used up once the size is sane."""
    align = max(align, GRANULE)
    if align & (align - ONE) != ZERO:
        return ZERO
    offset = max(align, REPAIRED_HEADER) if state.repaired else align
    total = offset + size + CANARY_SIZE
    if offset + size < size or total < CANARY_SIZE:
        return ZERO
    generation = take_generation(state)
    if not _reserve(state):
        return ZERO
    if state.repaired:
        raw, user, total = _obtain_unburied(state, offset, size, align)
    else:
        raw = _obtain(state, total, align)
        user = raw + offset
    if raw == ZERO:
        return ZERO
    if state.repaired:
        unearth(state, raw, total, False)
    return _record_block(state, raw, user, size, total, align, generation)


@jitted
def refusal(state, address):
    """Return why an address is not the base of a block that could be freed."""
    if not state.repaired:
        return FOREIGN_POINTER
    if hash_map.find(state.retired, address) != hash_map.MISSING:
        return DOUBLE_FREE
    identity, _ = locate(state, address)
    return FOREIGN_POINTER if identity == NO_SLOT else INVALID_POINTER


@jitted
def free(state, address):
    """Free the block at a base address; returns a `FreeResult` code and fills the drained list."""
    state.drained_count = ZERO
    identity = based(state, address)
    if identity == NO_SLOT:
        return refusal(state, address)
    return free_slot(state, identity)


@jitted
def free_slot(state, identity):
    """Free the block of a slot; returns a `FreeResult` code."""
    state.drained_count = ZERO
    slot = slot_at(slot_address(state, identity))
    if slot.state != VALID:
        return DOUBLE_FREE
    intact = canary_intact(state, slot)
    if state.repaired:
        intact = header_intact(state, slot) and intact
    slot.state = np.uint8(QUARANTINED)
    slot.generation = np.uint32(take_generation(state))
    slot.epoch = take_epoch(state)
    state.live_count -= ONE
    state.live_bytes -= slot.user_size
    admit(state, identity)
    return FREED if intact else FREED_WITH_CANARY_CORRUPTION


@jitted
def is_block(state, identity, epoch):
    """Whether a slot still has the block in use that had this epoch."""
    slot = slot_at(slot_address(state, identity))
    return slot.epoch == epoch and slot.state == VALID


@jitted
def free_block(state, identity, epoch):
    """Free the block of a slot only if it still is the one that had this epoch."""
    return free_slot(state, identity) if is_block(state, identity, epoch) else DOUBLE_FREE


@jitted
def release(state):
    """Give all memory back: of blocks in use or in quarantine, and of the tables."""
    for number in range(state.slot_count):
        slot = slot_at(slot_address(state, np.uint64(number)))
        if slot.state >= QUARANTINED:
            memory_source.release(state.source, slot.raw_base, slot.total, slot.align)
    state.slot_count = ZERO
    c_free(state.slots)
    c_free(state.drained)
    state.slots = ZERO
    state.drained = ZERO
    hash_map.release(state.retired)
    hash_map.release(state.pins)
    page_index.release(state.index)


class Block(NamedTuple):
    """What the arena knows about a block."""

    raw_base: int
    user_base: int
    user_size: int
    generation: int
    state: SafetyState

    @classmethod
    def of(cls, raw_base: int, user_base: int, user_size: int, generation: int, code: int) -> Self:
        """Make a block from plain numbers, as compiled code returns them."""
        return cls(raw_base, user_base, user_size, generation, SafetyState(code))


class DrainedBlock(NamedTuple):
    """A block whose memory was given back."""

    user_base: int
    raw_base: int
    total: int
    align: int


class ShardStatistics(NamedTuple):
    """Counts of one shard."""

    slots: int
    free_slots: int
    quarantine_entries: int
    quarantine_bytes: int


def view_table(address: int, count: int, dtype: np.dtype[Any]) -> Rows:
    """View records at an address as a read-only array, without a copy."""
    if not count:
        return np.zeros(0, dtype)
    memory: Any = (ctypes.c_char * (count * dtype.itemsize)).from_address(address)
    array = np.frombuffer(memory, dtype)
    array.flags.writeable = False
    return array


class Arena(TableComponent):
    """Blocks of real memory with guards, generations and a quarantine.

    Parameters
    ----------
    repaired : bool, default True
        Which rule set.
    source : MemorySource or None
        Where memory comes from; None: the C library.
    key0, key1 : int
        Key of the fingerprints; by default the reference's.
    quarantine_max_bytes, quarantine_max_entries : int
        Limits of the quarantine (reference rules: of each of its sixteen).

    Examples
    --------
    >>> arena = Arena()
    >>> address = arena.allocate(100)
    >>> arena.lookup(address + 99).user_size, arena.lookup(address + 100)
    (100, None)
    >>> arena.free(address)
    (<FreeResult.FREED: 0>, [])
    >>> arena.free(address)[0]
    <FreeResult.DOUBLE_FREE: 2>
    """

    STATE = STATE
    PARAMETERS = {
        "repaired": (flag, True),
        "key0": (uint64, REFERENCE_KEY[0]),
        "key1": (uint64, REFERENCE_KEY[1]),
        "quarantine_max_bytes": (uint64, QUARANTINE_MAX_BYTES),
        "quarantine_max_entries": (uint64, QUARANTINE_MAX_ENTRIES),
    }
    initialise = init
    release = release

    def __init__(self, source: MemorySource | None = None, **parameters: int) -> None:
        self._source = source
        super().__init__(**parameters)
        if source is not None:
            source.connect(self.record["source"])

    def _checked(self, result: Result) -> Result:
        if self._source is not None:
            self._source.raise_pending()
        return result

    def allocate(self, size: int) -> int | None:
        """Return the user base of a new block, or None."""
        return self.allocate_aligned(size, int(GRANULE))

    def allocate_aligned(self, size: int, align: int) -> int | None:
        """Return the user base of a new block of a given alignment, or None."""
        address = allocate_aligned(self.record, uint64("size", size), uint64("align", align))
        return self._checked(int(address)) or None

    def free(self, address: int) -> tuple[FreeResult, list[DrainedBlock]]:
        """Free a block; returns the result and the blocks whose memory went back to the source."""
        result = FreeResult(free(self.record, uint64("address", address)))
        return self._checked((result, self.drained()))

    def drained(self) -> list[DrainedBlock]:
        """Return the blocks that the latest free released."""
        record = self.record
        rows = view_table(int(record["drained"]), int(record["drained_count"]), DRAINED)
        return [DrainedBlock(*map(int, row.tolist()[:4])) for row in rows]

    def slots(self) -> Rows:
        """View all slots, in the order in which they were first used."""
        return view_table(int(self.record["slots"]), int(self.record["slot_count"]), SLOT)

    def lookup(self, address: int) -> Block | None:
        """Return the block whose user bytes hold an address, or None."""
        identity = int(holding(self.record, uint64("address", address)))
        return None if identity == int(NO_SLOT) else self._block(identity)

    def locate(self, address: int) -> tuple[Place, Block | None]:
        """Return the place of an address and the block it belongs to, or NOWHERE and None."""
        identity, place = locate(self.record, uint64("address", address))
        if place == Place.NOWHERE:
            return Place.NOWHERE, None
        return Place(place), self._block(int(identity))

    def _block(self, identity: int) -> Block:
        slot = self.slots()[identity]
        return Block.of(*(int(slot[name]) for name in Block._fields))

    def contains(self, address: int) -> bool:
        """Whether `lookup` finds an address."""
        return bool(contains(self.record, uint64("address", address)))

    def remaining_from(self, address: int) -> int | None:
        """Return the bytes from an address to the end of its block, or None outside of blocks."""
        known, rest = remaining_from(self.record, uint64("address", address))
        return int(rest) if known else None

    def shard_statistics(self, shard: int) -> ShardStatistics:
        """Return the counts of a shard."""
        values = self.record["shards"][shard]
        quarantine = values["quarantine"]
        return ShardStatistics(
            int(values["slot_count"]),
            int(values["free_count"]),
            int(quarantine["count"]),
            int(quarantine["bytes"]),
        )
