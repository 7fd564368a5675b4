"""Fingerprints against SipHash written with Python's integers."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from membrane.blocks import fingerprint

MASK = 2**64 - 1


def rotate(word, bits):
    return (word << bits | word >> (64 - bits)) & MASK


def sip_round(v):
    v[0] = (v[0] + v[1]) & MASK
    v[2] = (v[2] + v[3]) & MASK
    v[1] = rotate(v[1], 13) ^ v[0]
    v[3] = rotate(v[3], 16) ^ v[2]
    v[0] = (rotate(v[0], 32) + v[3]) & MASK
    v[2] = (v[2] + v[1]) & MASK
    v[3] = rotate(v[3], 21) ^ v[0]
    v[1] = rotate(v[1], 17) ^ v[2]
    v[2] = rotate(v[2], 32)


def sip_hash(key0, key1, words):
    """SipHash-2-4 of whole words, without the block that carries the length."""
    magic = b"somepseudorandomlygeneratedbytes"
    v = [int.from_bytes(magic[i : i + 8], "big") for i in range(0, 32, 8)]
    v = [word ^ key for word, key in zip(v, (key0, key1, key0, key1), strict=True)]
    for word in words:
        v[3] ^= word
        sip_round(v)
        sip_round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


words = st.integers(0, MASK)
halves = st.integers(0, 2**32 - 1)


@given(words, halves, halves, words, words)
def test_hash_is_siphash_of_two_words(address, size, generation, key0, key1):
    subject = fingerprint.compute(address, size, generation, (key0, key1))
    assert subject.hash == sip_hash(key0, key1, (address, size | generation << 32))
    assert fingerprint.Fingerprint.from_bytes(subject.to_bytes()) == subject
    assert fingerprint.verify(subject, address, (key0, key1))


@given(words, words, words, words, words)
def test_repaired_hash_is_siphash_of_three_words(address, size, epoch, key0, key1):
    u64 = fingerprint.np.uint64
    found = fingerprint.repaired_hash(*map(u64, (key0, key1, address, size, epoch)))
    assert found == sip_hash(key0, key1, (address, size, epoch))


@given(words, halves, halves)
def test_canary_carries_half_of_the_hash_twice(address, size, generation):
    word = int.from_bytes(
        fingerprint.canary(fingerprint.compute(address, size, generation)), "little"
    )
    assert word >> 32 == (word & 0xFFFFFFFF) ^ 0xDEADBEEF ^ 0xCAFEBABE


def test_all_parts_of_a_block_enter_its_hash():
    blocks = itertools.product((0x1000, 0x1010), (8, 16), (1, 2), ((1, 2), (1, 3)))
    hashes = {fingerprint.compute(*block).hash for block in blocks}
    assert len(hashes) == 16
