"""Header and canary of a block in memory: writing them, and comparing what is there."""

import numpy as np

from membrane.blocks import fingerprint
from membrane.blocks.memory_source import load, store
from membrane.tables.words import BITS_32, WORD_SIZE
from runtime_math.numerics.compilation import jitted

REFERENCE_HEADER = np.uint64(16)
REPAIRED_HEADER = np.uint64(32)
CANARY_SIZE = np.uint64(fingerprint.CANARY_SIZE)
# Words of the repaired header, after the hash.
EPOCH_AT, SIZE_AT, CANARY_AT = WORD_SIZE, np.uint64(16), np.uint64(24)


@jitted
def block_hash(state, slot):
    """Return the hash that goes into the header of a block."""
    if state.repaired:
        return fingerprint.repaired_hash(
            state.key0, state.key1, slot.user_base, slot.user_size, slot.epoch
        )
    return fingerprint.reference_hash(
        state.key0, state.key1, slot.user_base, slot.user_size, np.uint64(slot.generation)
    )


@jitted
def write_guards(state, slot):
    """Write the header and the canary of a block."""
    canary = fingerprint.canary_word(slot.hash)
    if state.repaired:
        header = slot.user_base - REPAIRED_HEADER
        store(state.source, header, slot.hash)
        store(state.source, header + EPOCH_AT, slot.epoch)
        store(state.source, header + SIZE_AT, slot.user_size)
        store(state.source, header + CANARY_AT, canary)
    else:
        header = slot.user_base - REFERENCE_HEADER
        packed = np.uint64(slot.generation) | (slot.user_size << BITS_32)
        store(state.source, header, slot.hash)
        store(state.source, header + WORD_SIZE, packed)
    store(state.source, slot.user_base + slot.user_size, canary)


@jitted
def header_intact(state, slot):
    """Whether the header (of the repaired layout) is what was written."""
    header = slot.user_base - REPAIRED_HEADER
    return (
        load(state.source, header) == slot.hash
        and load(state.source, header + EPOCH_AT) == slot.epoch
        and load(state.source, header + SIZE_AT) == slot.user_size
        and load(state.source, header + CANARY_AT) == fingerprint.canary_word(slot.hash)
    )


@jitted
def canary_intact(state, slot):
    """Whether the canary is what was written, at the place where the rule set looks for it."""
    place = slot.user_base + slot.user_size
    if not state.repaired:
        place = slot.raw_base + REFERENCE_HEADER + slot.user_size
    return load(state.source, place) == fingerprint.canary_word(slot.hash)
