"""zlib's C functions behind guards: good calls pass unchanged, bad ones are stopped before."""

import ctypes
import ctypes.util
import zlib

import numpy as np
import pytest

from membrane import (
    Healing,
    HealingPlan,
    NullPointerError,
    OutOfBoundsError,
    SizeOverflowError,
    UnterminatedStringError,
    UseAfterFreeError,
    ValidationPipeline,
    WildPointerError,
    argument,
    guard,
    pointee,
    terminated,
)
from membrane.catalogue import flip

LIBRARY = ctypes.CDLL(ctypes.util.find_library("z") or "libz.so.1")
BYTES, LENGTH = ctypes.c_void_p, ctypes.POINTER(ctypes.c_ulong)
LIBRARY.compress2.argtypes = [BYTES, LENGTH, BYTES, ctypes.c_ulong, ctypes.c_int]
LIBRARY.uncompress.argtypes = [BYTES, LENGTH, BYTES, ctypes.c_ulong]
LIBRARY.crc32.argtypes = [ctypes.c_ulong, BYTES, ctypes.c_uint]
LIBRARY.crc32.restype = ctypes.c_ulong
TEXT = b"the quick brown fox jumps over the lazy dog " * 40


class Zlib:
    def __init__(self, mode):
        self.pipeline = pipeline = ValidationPipeline(mode)
        sizes = {"reads": {2: argument(3)}, "writes": {0: pointee(1)}, "pipeline": pipeline}
        self.compress2 = guard(LIBRARY.compress2, **sizes)
        self.uncompress = guard(LIBRARY.uncompress, **sizes)
        self.crc32 = guard(LIBRARY.crc32, reads={1: argument(2)}, pipeline=pipeline)


@pytest.fixture
def strict():
    library = Zlib(0)
    yield library
    library.pipeline.close()


def test_correct_calls_pass_unchanged(strict):
    source = strict.pipeline.allocate(len(TEXT))
    source[:] = list(TEXT)
    packed = strict.pipeline.allocate(4096)
    length = ctypes.c_ulong(4096)
    assert strict.compress2(packed, ctypes.byref(length), source, len(TEXT), 6) == 0
    assert zlib.decompress(bytes(packed[: length.value])) == TEXT
    back = np.zeros(len(TEXT), np.uint8)
    size = ctypes.c_ulong(back.size)
    assert strict.uncompress(back, ctypes.byref(size), packed, length.value) == 0
    assert bytes(back) == TEXT
    assert strict.crc32(0, source, len(TEXT)) == zlib.crc32(TEXT)
    assert strict.crc32(0, TEXT, len(TEXT)) == zlib.crc32(TEXT)
    assert strict.crc32(0, None, 0) == 0
    assert strict.pipeline.statistics()["repairs"]["total"] == 0
    source.free()
    packed.free()


def test_an_undersized_destination_is_stopped(strict):
    with strict.pipeline.allocate(10) as small:
        length = ctypes.c_ulong(4096)  # a lie: the block has 10
        with pytest.raises(OutOfBoundsError, match=r"argument 0 .* has 10 of 4096 bytes"):
            strict.compress2(small, ctypes.byref(length), TEXT, len(TEXT), 6)
        assert length.value == 4096


@pytest.mark.parametrize("as_address", [False, True])
def test_a_freed_buffer_is_stopped(strict, as_address):
    block = strict.pipeline.allocate(64)
    address = block.address
    block.free()
    with pytest.raises(UseAfterFreeError, match="crc32: argument 1"):
        strict.crc32(0, address if as_address else block, 64)


@pytest.mark.parametrize(("length", "error"), [(65, OutOfBoundsError), (-1, SizeOverflowError)])
def test_a_wrong_length_is_stopped(strict, length, error):
    with strict.pipeline.allocate(64) as block, pytest.raises(error):
        strict.crc32(0, block, length)
    with pytest.raises(error):
        strict.crc32(0, bytes(64), length)


def test_null_and_wild_pointers_are_stopped(strict):
    with pytest.raises(NullPointerError):
        strict.crc32(0, None, 4)
    with pytest.raises(WildPointerError):
        strict.crc32(0, 0xDEAD_BEEF_0000, 4)


def test_a_read_only_destination_is_stopped(strict):
    with pytest.raises(OutOfBoundsError, match="may not be written"):
        length = ctypes.c_ulong(64)
        strict.compress2(bytes(64), ctypes.byref(length), TEXT, len(TEXT), 6)


def test_hardened_mode_shortens_the_length_where_that_was_declared():
    library = Zlib(1)
    clamped = guard(LIBRARY.crc32, reads={1: argument(2, clamp=True)}, pipeline=library.pipeline)
    with library.pipeline.allocate(64) as block:
        block[:] = 7
        # The checksum of fewer bytes is another checksum: it is not made up.
        assert library.crc32(0, block, 1000) is None
        made = clamped.call(0, block, 1000)
        assert made == (zlib.crc32(bytes([7] * 64)), HealingPlan(Healing.CLAMP_SIZE, 1000, 64))
        repairs = library.pipeline.statistics()["repairs"]
        assert (repairs["clamp_size"], repairs["return_safe_default"]) == (1, 1)
        assert library.crc32(0, 0xDEAD_BEEF_0000, 4) is None
        assert library.pipeline.healing.counters()[Healing.RETURN_SAFE_DEFAULT.name.lower()] == 2
    library.pipeline.close()


def test_a_function_that_lies_about_its_writes_is_found_out(strict):
    overflow = guard(
        lambda address: flip(address, 33), writes={0: 32}, pipeline=strict.pipeline, name="flip"
    )
    address = strict.pipeline.allocate_address(32)
    with pytest.raises(Exception, match="wrote beside the block"):
        overflow(address)


def test_strings_need_their_terminator(strict):
    strlen = ctypes.CDLL(None).strlen
    strlen.argtypes, strlen.restype = [ctypes.c_void_p], ctypes.c_size_t
    safe = guard(strlen, reads={0: terminated}, pipeline=strict.pipeline)
    with strict.pipeline.allocate(4) as block:
        block[:] = list(b"abc\0")
        assert safe(block) == 3
        block[3] = 100
        with pytest.raises(UnterminatedStringError, match="no terminator in 4 bytes"):
            safe(block)


def test_positions_are_checked():
    with pytest.raises(TypeError, match="positions"):
        guard(LIBRARY.crc32, reads={"buf": 4})
    with pytest.raises(TypeError, match="argument 1, which is missing"):
        guard(LIBRARY.crc32, reads={1: 4})(0)
