"""May this address be the base of one of our blocks?

A Bloom filter: "no" is certain, "yes" is wrong with a small probability. Two hashes of the address
give all bit positions by double hashing. Bits are only ever set.

References
----------
.. [1] B. H. Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 13(7), 1970.
.. [2] A. Kirsch, M. Mitzenmacher, "Less hashing, same performance: building a better Bloom
       filter", ESA 2006.
"""

import math

import numpy as np

from membrane.tables.component import TableComponent
from membrane.tables.memory import c_allocate_zeroed, c_free, load_word, store_word
from membrane.tables.words import BIT_MASK, GOLDEN, ONE, WORD_SIZE, ZERO
from runtime_math.numerics.bits import count_ones
from runtime_math.numerics.compilation import jitted
from runtime_math.validation import real, uint64

DEFAULT_EXPECTED_ITEMS = 1_000_000
DEFAULT_FALSE_POSITIVE_RATE = 0.001
SMALLEST_RATE = 1e-10
LARGEST_RATE = 0.5
SMALLEST_BIT_COUNT = 64
MOST_HASHES = 16
LN_2 = 0.6931471805599453
WORD_BITS = np.uint64(6)
S27, S30, S33 = np.uint64(27), np.uint64(30), np.uint64(33)

STATE = np.dtype(
    [("words", np.uint64), ("bit_count", np.uint64), ("hash_count", np.uint64)], align=True
)


def sizing(expected: int, fp_rate: float) -> tuple[int, int]:
    """Bits and hash functions of a filter.

    Parameters
    ----------
    expected : int
        Number of addresses, unsigned 64-bit; 0 counts as 1.
    fp_rate : float
        Wanted false-positive rate, clamped to [1e-10, 0.5]; NaN gives the smallest filter.

    Returns
    -------
    tuple of int
        Bits (a multiple of 64) and hash functions (1 to 16).

    Examples
    --------
    >>> sizing(1000, 0.01)
    (9600, 7)
    """
    items = float(max(int(expected), 1))
    if not math.isnan(fp_rate):
        fp_rate = min(max(fp_rate, SMALLEST_RATE), LARGEST_RATE)
    wanted = math.nan if math.isnan(fp_rate) else (-items * math.log(fp_rate)) / (LN_2 * LN_2)
    bits = 0 if math.isnan(wanted) else min(max(math.ceil(wanted), 0), 2**64 - 1)
    bits = max(bits, SMALLEST_BIT_COUNT)
    hashes = min(max(math.ceil((float(bits) / items) * LN_2), 1), MOST_HASHES)
    return (bits + 63) // 64 * 64, hashes


@jitted
def init(state, bit_count, hash_count):
    """Start with no bit set; the filter is unusable (no words) when memory is exhausted."""
    state.words = c_allocate_zeroed(bit_count >> WORD_BITS, WORD_SIZE)
    state.bit_count = bit_count
    state.hash_count = hash_count


@jitted
def first_hash(address):
    """Position of the first bit, before the reduction to the filter's size."""
    mixed = address * GOLDEN
    mixed = (mixed ^ (mixed >> S30)) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> S27)


@jitted
def hash_step(address):
    """Distance from one position to the next, odd."""
    mixed = (address ^ (address >> S33)) * np.uint64(0xFF51AFD7ED558CCD)
    mixed = (mixed ^ (mixed >> S33)) * np.uint64(0xC4CEB9FE1A85EC53)
    return (mixed ^ (mixed >> S33)) | ONE


@jitted
def insert(state, address):
    """Add an address."""
    position = first_hash(address)
    step = hash_step(address)
    for _ in range(state.hash_count):
        bit = position % state.bit_count
        word = state.words + (bit >> WORD_BITS) * WORD_SIZE
        store_word(word, load_word(word) | (ONE << (bit & BIT_MASK)))
        position += step


@jitted
def might_contain(state, address):
    """Whether an address may have been added; never wrong when it says no."""
    position = first_hash(address)
    step = hash_step(address)
    for _ in range(state.hash_count):
        bit = position % state.bit_count
        word = load_word(state.words + (bit >> WORD_BITS) * WORD_SIZE)
        if (word >> (bit & BIT_MASK)) & ONE == ZERO:
            return False
        position += step
    return True


@jitted
def ones(state):
    """Return the number of set bits."""
    total = 0
    for index in range(state.bit_count >> WORD_BITS):
        total += count_ones(load_word(state.words + np.uint64(index) * WORD_SIZE))
    return total


@jitted
def release(state):
    """Free the bits."""
    c_free(state.words)
    state.words = ZERO


def _expected(name: str, value: int) -> int:
    number = int(uint64(name, value))
    if number > 2**32:
        raise ValueError(f"{name} must be an integer from 0 to {2**32}, got {number}")
    return number


class BloomFilter(TableComponent):
    """Bloom filter over 64-bit addresses.

    Parameters
    ----------
    expected : int, default 1 000 000
        Addresses it is made for, at most 2^32.
    fp_rate : float, default 0.001
        False-positive rate at that number, clamped to [1e-10, 0.5].

    Examples
    --------
    >>> bloom = BloomFilter(expected=1000, fp_rate=0.01)
    >>> bloom.insert(0x1000)
    >>> bloom.might_contain(0x1000), bloom.might_contain(0x2000)
    (True, False)
    >>> bloom.indices(0x1000)
    [7920, 3683, 5462, 1225, 6588, 2351, 7714]
    """

    STATE = STATE
    PARAMETERS = {"bit_count": (uint64, 64), "hash_count": (uint64, 1)}
    initialise = init
    release = release

    def __init__(
        self,
        expected: int = DEFAULT_EXPECTED_ITEMS,
        fp_rate: float = DEFAULT_FALSE_POSITIVE_RATE,
    ) -> None:
        self._size = sizing(_expected("expected", expected), real("fp_rate", fp_rate))
        super().__init__(bit_count=self._size[0], hash_count=self._size[1])
        if not self.record["words"]:
            raise MemoryError(f"no memory for a Bloom filter of {self.bit_count} bits")

    @property
    def bit_count(self) -> int:
        """Number of bits, a multiple of 64."""
        return self._size[0]

    @property
    def hash_count(self) -> int:
        """Number of hash functions."""
        return self._size[1]

    def insert(self, address: int) -> None:
        """Add an address."""
        insert(self.record, uint64("address", address))

    def might_contain(self, address: int) -> bool:
        """Whether an address may have been added; never wrong when it says no."""
        return bool(might_contain(self.record, uint64("address", address)))

    def ones(self) -> int:
        """Return the number of set bits."""
        return int(ones(self.record))

    def indices(self, address: int) -> list[int]:
        """Return the positions of the bits of an address, in the order of the hash functions."""
        start = int(first_hash(uint64("address", address)))
        step = int(hash_step(uint64("address", address)))
        return [(start + i * step) % 2**64 % self.bit_count for i in range(self.hash_count)]
