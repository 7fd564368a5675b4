"""Is the memory around a block still what the allocator wrote there?

A keyed hash of the block's address, size and generation goes into a header in front of the block,
and a canary derived from it behind. The hash is the SipHash-2-4 permutation over whole words; it
omits the block with the message length that ends the standard function, which fixed-length
messages do not need.

Two layouts exist. The reference's header has 16 bytes: hash, generation and size as 32 bits each,
under a key everybody knows. The repaired one has 32: hash, generation, size, all of 64 bits, and
once more the canary, so that an underflow meets a canary first; its key is random per process.

References
----------
.. [1] J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012.
"""

import struct
from typing import NamedTuple, Self, TypeAlias

import numpy as np

from membrane.tables.words import BITS_32, LOW_32, ZERO
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.siphash import rotated, siphash_round
from runtime_math.validation import uint32, uint64

CANARY_SIZE = 8
REFERENCE_KEY = (np.uint64(0x0706050403020100), np.uint64(0x0F0E0D0C0B0A0908))
CANARY_MASK = np.uint64(0xDEADBEEFCAFEBABE)
C0 = np.uint64(0x736F6D6570736575)
C1 = np.uint64(0x646F72616E646F6D)
C2 = np.uint64(0x6C7967656E657261)
C3 = np.uint64(0x7465646279746573)


Key: TypeAlias = tuple[np.uint64, np.uint64]


class Fingerprint(NamedTuple):
    """Header of a block under the reference rules."""

    hash: int
    generation: int
    size: int

    def to_bytes(self) -> bytes:
        """Return the 16 bytes that stand in front of the block."""
        return struct.pack("<QII", self.hash, self.generation, self.size)

    @classmethod
    def from_bytes(cls, header: bytes) -> Self:
        """Read a header back."""
        return cls(*struct.unpack("<QII", header))


@jitted
def _absorb(v0, v1, v2, v3, message):
    v3 ^= message
    v0, v1, v2, v3 = siphash_round(v0, v1, v2, v3)
    v0, v1, v2, v3 = siphash_round(v0, v1, v2, v3)
    return v0 ^ message, v1, v2, v3


@jitted
def hash_words(key0, key1, first, second, third, three):
    """Hash two words, or three."""
    v0, v1, v2, v3 = _absorb(key0 ^ C0, key1 ^ C1, key0 ^ C2, key1 ^ C3, first)
    v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, second)
    if three:
        v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, third)
    v2 ^= np.uint64(0xFF)
    for _ in range(4):
        v0, v1, v2, v3 = siphash_round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@jitted
def reference_hash(key0, key1, address, size, generation):
    """Hash of a block under the reference rules: size and generation modulo 2^32."""
    packed = (size & LOW_32) | (generation << BITS_32)
    return hash_words(key0, key1, address, packed, ZERO, False)


@jitted
def repaired_hash(key0, key1, address, size, generation):
    """Hash of a block under the repaired rules: all 64 bits of everything."""
    return hash_words(key0, key1, address, size, generation, True)


@jitted
def canary_word(block_hash):
    """Canary of a hash, as the word stored behind the block."""
    return block_hash ^ rotated(block_hash, 32) ^ CANARY_MASK


def compute(addr: int, size: int, generation: int, key: Key = REFERENCE_KEY) -> Fingerprint:
    """Fingerprint of a block under the reference rules.

    Parameters
    ----------
    addr : int
        Address of the user's first byte, unsigned 64-bit.
    size, generation : int
        Unsigned 32-bit numbers.
    key : tuple of int, optional
        Two unsigned 64-bit words.

    Returns
    -------
    Fingerprint

    Examples
    --------
    >>> compute(0x1000, 256, 1).to_bytes().hex()
    '1242a81c4f7c5bb20100000000010000'
    >>> canary(compute(0x1000, 256, 1)).hex()
    'e3840d64b2805e70'
    """
    checked = (uint64("addr", addr), uint32("size", size), uint32("generation", generation))
    block_hash = reference_hash(
        uint64("key", key[0]), uint64("key", key[1]), *map(np.uint64, checked)
    )
    return Fingerprint(int(block_hash), checked[2], checked[1])


def verify(fingerprint: Fingerprint, addr: int, key: Key = REFERENCE_KEY) -> bool:
    """Whether a fingerprint belongs to a block at `addr`."""
    return compute(addr, fingerprint.size, fingerprint.generation, key).hash == fingerprint.hash


def canary(fingerprint: Fingerprint) -> bytes:
    """Return the 8 bytes that stand behind the block of a fingerprint."""
    return int(canary_word(np.uint64(fingerprint.hash))).to_bytes(CANARY_SIZE, "little")
