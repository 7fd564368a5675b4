"""Header and canary of a block in memory: writing them, and comparing what is there."""

import numpy as np

from membrane import fingerprint, source
from runtime_math.numerics.compilation import jitted

REFERENCE_HEADER = np.uint64(fingerprint.FINGERPRINT_SIZE)
REPAIRED_HEADER = np.uint64(fingerprint.REPAIRED_FINGERPRINT_SIZE)
CANARY_SIZE = np.uint64(fingerprint.CANARY_SIZE)
REFERENCE_CANARY_OFFSET = np.uint64(16)
WORD = np.uint64(8)


@jitted
def block_hash(state, slot):
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
        source.store(state.source, header, slot.hash)
        source.store(state.source, header + WORD, slot.epoch)
        source.store(state.source, header + np.uint64(16), slot.user_size)
        source.store(state.source, header + np.uint64(24), canary)
    else:
        header = slot.user_base - REFERENCE_HEADER
        packed = np.uint64(slot.generation) | (slot.user_size << np.uint64(32))
        source.store(state.source, header, slot.hash)
        source.store(state.source, header + WORD, packed)
    source.store(state.source, slot.user_base + slot.user_size, canary)


@jitted
def header_intact(state, slot):
    """Whether the header (of the repaired layout) is what was written."""
    header = slot.user_base - REPAIRED_HEADER
    return (
        source.load(state.source, header) == slot.hash
        and source.load(state.source, header + WORD) == slot.epoch
        and source.load(state.source, header + np.uint64(16)) == slot.user_size
        and source.load(state.source, header + np.uint64(24)) == fingerprint.canary_word(slot.hash)
    )


@jitted
def canary_intact(state, slot):
    """Whether the canary is what was written, at the place where the rule set looks for it."""
    place = slot.user_base + slot.user_size
    if not state.repaired:
        place = slot.raw_base + REFERENCE_CANARY_OFFSET + slot.user_size
    return source.load(state.source, place) == fingerprint.canary_word(slot.hash)
