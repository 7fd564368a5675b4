"""64-bit words and addresses: the constants that all jitted code of the membrane shares."""

import numpy as np

ZERO = np.uint64(0)
ONE = np.uint64(1)
LARGEST_WORD = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
BITS_32 = np.uint64(32)
LOW_32 = np.uint64(0xFFFF_FFFF)
WORD_SIZE = np.uint64(8)
# Which bit of a word.
BIT_MASK = np.uint64(63)
# 2^64 over the golden ratio: its products spread neighbouring words.
GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)

# Blocks start at multiples of 16.
GRANULE = np.uint64(16)
GRANULE_BITS = np.uint64(4)
GRANULE_MASK = np.uint64(15)

PAGE_BITS = np.uint64(12)
PAGE_MASK = np.uint64(4095)
# Tables of pages come in chunks of 4096 pages, 16 MiB.
CHUNK_PAGES = np.uint64(4096)
CHUNK_PAGE_BITS = np.uint64(12)
CHUNK_PAGE_MASK = np.uint64(4095)
CHUNK_BITS = np.uint64(24)
CHUNK_MASK = np.uint64((1 << 24) - 1)

# The C library is not asked for more at once, nor are more bytes counted page by page.
LARGEST_BLOCK = 2**40
# No object of C has that many bytes.
SIZE_LIMIT = 2**63
