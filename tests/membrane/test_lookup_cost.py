"""Finding the block around an address reads a few words, however many blocks there are.

The functions of the lookup are run as plain Python, with every word and record that they read
counted. The addresses are made up, so the counts are the same in every run.
"""

import contextlib
import ctypes

import numpy as np
import pytest

from membrane.blocks import lookup, slots
from membrane.blocks.arena import Arena
from membrane.blocks.memory_source import MemorySource
from membrane.blocks.slots import NO_SLOT, SLOT
from membrane.tables import hash_map, page_index
from membrane.tables.page_index import CHUNK
from membrane.tables.words import PAGE_MASK

FEW, MANY = 64, 16_384
SEARCHES = 400
MOST_READS = 40
MOST_READS_ON_AVERAGE = 16


class PaperSource(MemorySource):
    """Blocks side by side in memory that is never touched."""

    def __init__(self):
        super().__init__()
        self.next = 0x7000_0000_0000

    def allocate(self, total, align):
        raw = self.next
        self.next += -(-total // 16) * 16
        return raw

    def release(self, raw, total, align):
        pass

    def load_word(self, address):
        return 0

    def store_word(self, address, word):
        pass


class Reads:
    """Counts what is read at addresses."""

    def __init__(self):
        self.count = 0

    def word(self, address):
        self.count += 1
        return np.uint64(ctypes.c_uint64.from_address(int(address)).value)

    def record_at(self, dtype):
        def at(address):
            self.count += 1
            memory = (ctypes.c_char * dtype.itemsize).from_address(int(address))
            return np.ndarray(1, np.dtype((np.record, dtype)), memory)[0]

        return at


@contextlib.contextmanager
def interpreted():
    """Run the lookup as plain Python meanwhile, and count its reads; compile nothing of it."""
    reads = Reads()
    with pytest.MonkeyPatch.context() as patch:
        for module in (lookup, slots, page_index, hash_map):
            for name, value in list(vars(module).items()):
                function = getattr(value, "py_func", None)
                if getattr(function, "__module__", "").startswith("membrane."):
                    patch.setattr(module, name, function)
        for module in (page_index, hash_map):
            patch.setattr(module, "load_word", reads.word)
        patch.setattr(page_index, "chunk_at", reads.record_at(CHUNK))
        for module in (lookup, slots):
            patch.setattr(module, "slot_at", reads.record_at(SLOT))
        with np.errstate(over="ignore"):
            yield reads


def counts(arena, addresses, **replaced):
    """Reads of each search; every address must be found. Functions of the lookup are replaced."""
    state = arena._storage.view(np.dtype((np.record, arena.STATE)))[0]
    found = []
    with interpreted() as reads, pytest.MonkeyPatch.context() as patch:
        for name, function in replaced.items():
            patch.setattr(lookup, name, function)
        for address in addresses:
            before = reads.count
            assert lookup.holding(state, address) != NO_SLOT
            found.append(reads.count - before)
    return np.array(found)


@contextlib.contextmanager
def arena_of(rules, size, blocks):
    """An arena with blocks of a size, and some of their bases."""
    with contextlib.closing(Arena(PaperSource(), repaired=rules == "repaired")) as arena:
        bases = np.array([arena.allocate(size) for _ in range(blocks)], np.uint64)
        yield arena, np.random.default_rng(5).choice(bases, SEARCHES)


def interior(rules, size, bases):
    """An address inside each block."""
    offsets = np.random.default_rng(6).integers(1, size, len(bases), dtype=np.uint64)
    if rules == "reference":  # which looks in pages of the base's shard only
        offsets = np.minimum(offsets, PAGE_MASK - (bases & PAGE_MASK))
    return bases + offsets


@pytest.mark.parametrize(
    ("rules", "size"),
    [
        ("reference", 16),
        ("reference", 200),
        ("repaired", 16),
        ("repaired", 200),
        ("repaired", 100_000),
        ("repaired", 1_000_000),
        ("repaired", 30_000_000),
    ],
)
def test_a_lookup_reads_as_little_among_many_blocks_as_among_few(rules, size):
    for blocks in (FEW, MANY if size <= 200 else 512):
        with arena_of(rules, size, blocks) as (arena, bases):
            for addresses in (bases, interior(rules, size, bases)):
                found = counts(arena, addresses)
                assert found.max() <= MOST_READS
                assert found.mean() <= MOST_READS_ON_AVERAGE


def linear(state, address):
    """Look for the block around an address in one slot after the other."""
    for number in range(int(state.slot_count)):
        slot = lookup.slot_at(slots.slot_address(state, np.uint64(number)))
        if slot.raw_base <= address < slot.raw_base + slot.total:
            return np.uint64(number)
    return NO_SLOT


def test_a_linear_search_would_be_noticed():
    with arena_of("repaired", 200, FEW) as (arena, bases):
        found = counts(arena, interior("repaired", 200, bases), covering=linear)
        assert found.max() > MOST_READS
        assert found.mean() > MOST_READS_ON_AVERAGE
