"""Guarded C library calls: like the C library where a call is safe, repaired where it is not."""

import ctypes
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from membrane import (
    CorruptionError,
    DeniedError,
    DoubleFreeError,
    ForeignFreeError,
    FreeResult,
    Healing,
    InvalidFreeError,
    OutOfBoundsError,
    OverlapError,
    SizeOverflowError,
    UseAfterFreeError,
    ValidationPipeline,
    libc,
)
from membrane.catalogue import flip

C = ctypes.CDLL(None)
C.memcmp.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
C.strlen.restype = ctypes.c_size_t


@pytest.fixture
def strict():
    with ValidationPipeline(0) as pipeline:
        yield libc.GuardedLibrary(pipeline)


@pytest.fixture
def hardened():
    with ValidationPipeline(1) as pipeline:
        yield libc.GuardedLibrary(pipeline)


def put(library, data):
    """A new block with these bytes."""
    address = library.malloc(len(data)).value
    ctypes.memmove(address, data, len(data))
    return address


text = st.binary(max_size=40).filter(lambda data: 0 not in data)


@pytest.fixture(scope="module")
def shared():
    with ValidationPipeline(0) as pipeline:
        yield libc.GuardedLibrary(pipeline)


@given(text, text, st.integers(0, 60))
def test_safe_string_calls_do_what_c_does(shared, left, right, limit):
    first, second = put(shared, left + b"\0"), put(shared, right + b"\0")
    room = put(shared, bytes([255]) * 128)
    assert shared.strlen(first).value == C.strlen(left)
    assert shared.strnlen(first, limit).value == min(len(left), limit)
    assert shared.strcmp(first, second).value == (left > right) - (left < right)
    assert shared.strcpy(room, first).value == len(left)
    assert shared.strcat(room, second).value == len(left + right)
    assert ctypes.string_at(room) == left + right
    shared.strncpy(room, second, limit)
    if limit:
        assert ctypes.string_at(room, limit) == right[:limit].ljust(limit, b"\0")
    for byte in set(left) | {0}:
        assert shared.strchr(first, byte).value == first + (left + b"\0").index(byte)
    for address in (first, second, room):
        assert shared.free(address).value == FreeResult.FREED


@given(st.binary(min_size=1, max_size=64), st.data())
def test_safe_memory_calls_do_what_c_does(shared, data, draw):
    size = draw.draw(st.integers(0, len(data)))
    block, copy = put(shared, data), put(shared, bytes(len(data)))
    assert shared.memcpy(copy, block, size).value == size
    assert ctypes.string_at(copy, len(data)) == data[:size].ljust(len(data), b"\0")
    sign = shared.memcmp(copy, block, len(data)).value
    expected = C.memcmp(ctypes.string_at(copy, len(data)), data, len(data))
    assert sign == (expected > 0) - (expected < 0)
    offset = draw.draw(st.integers(0, len(data) - size))
    shared.memmove(block + offset, block, size)
    assert ctypes.string_at(block + offset, size) == data[:size]
    shared.memset(copy, data[0], len(data))
    assert shared.memchr(copy, data[0], len(data)).value == copy
    assert shared.memchr(copy, data[0] ^ 1, len(data)).value is None
    bigger = shared.realloc(copy, len(data) + 10).value
    assert ctypes.string_at(bigger, len(data)) == data[:1] * len(data)
    shared.free(block)
    shared.free(bigger)


def test_safe_calls_are_not_counted_as_repairs(shared):
    assert shared.pipeline.statistics()["repairs"]["total"] == 0


def test_calloc_is_zeroed_even_where_memory_was_used(shared):
    for _ in range(50):
        address = shared.calloc(10, 7).value
        assert ctypes.string_at(address, 70) == bytes(70)
        shared.memset(address, 255, 70)
        shared.free(address)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c, b: c.memcpy(b, b"x" * 9, 9), OutOfBoundsError),
        (lambda c, b: c.memcpy(b, b"x" * 8, 9), OutOfBoundsError),
        (lambda c, b: c.memcpy(b"x" * 8, b, 8), OutOfBoundsError),
        (lambda c, b: c.memcpy(b, b + 4, 4 + 1), OutOfBoundsError),
        (lambda c, b: c.memcpy(b + 1, b, 4), OverlapError),
        (lambda c, b: c.memset(b, 0, -1), SizeOverflowError),
        (lambda c, b: c.memset(b, 0, 2**63), SizeOverflowError),
        (lambda c, b: c.malloc(2**63), SizeOverflowError),
        (lambda c, b: c.malloc(2**40), DeniedError),
        (lambda c, b: c.free(b + 1), InvalidFreeError),
        (lambda c, b: c.free(np.zeros(9, np.uint8)), ForeignFreeError),
        (lambda c, b: c.realloc(b + 1, 4), InvalidFreeError),
        (lambda c, b: (c.free(b), c.free(b)), DoubleFreeError),
        (lambda c, b: (c.free(b), c.realloc(b, 4)), UseAfterFreeError),
        (lambda c, b: (flip(b, 9), c.memset(b, 0, 1)), CorruptionError),
        (lambda c, b: (flip(b, 9), c.free(b)), CorruptionError),
    ],
)
def test_strict_errors_are_precise(strict, call, error):
    block = strict.malloc(8).value
    with pytest.raises(error):
        call(strict, block)
    assert strict.pipeline.statistics()["repairs"]["total"] == 0


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda c, b: c.memcpy(b, b"x" * 99, 99), Healing.CLAMP_SIZE),
        (lambda c, b: c.memset(b, 0, -1), Healing.CLAMP_SIZE),
        (lambda c, b: c.strcpy(b, b"x" * 99 + b"\0"), Healing.TRUNCATE_WITH_NULL),
        (lambda c, b: c.memcpy(b + 1, b, 4), Healing.UPGRADE_TO_SAFE_VARIANT),
        (lambda c, b: (c.free(b), c.free(b))[1], Healing.IGNORE_DOUBLE_FREE),
        (lambda c, b: c.free(b + 8), Healing.IGNORE_FOREIGN_FREE),
        (lambda c, b: c.realloc(b + 1, 4), Healing.REALLOC_AS_MALLOC),
        (lambda c, b: c.memset(None, 0, 4), Healing.RETURN_SAFE_DEFAULT),
        (lambda c, b: c.malloc(2**40), Healing.RETURN_SAFE_DEFAULT),
    ],
)
def test_hardened_repairs_are_returned_counted_and_logged(hardened, caplog, call, kind):
    block = hardened.malloc(8).value
    with caplog.at_level(logging.WARNING, "membrane"):
        result = call(hardened, block)
    assert result.healing.kind == kind
    figures = hardened.pipeline.statistics()
    assert figures["repairs"]["total"] == figures["repairs"][kind.name.lower()] == 1
    assert figures["metrics"]["heals"] == 1
    assert kind.name.lower() in caplog.text
    assert hardened.pipeline.validate(block).outcome != 9


def test_a_truncated_string_ends_with_its_block(hardened):
    block = hardened.malloc(8).value
    assert hardened.strcpy(block, b"0123456789\0").healing[1:] == (10, 7)
    assert ctypes.string_at(block) == b"0123456"
    assert hardened.strcat(block, b"89\0").healing.kind == Healing.TRUNCATE_WITH_NULL
    assert ctypes.string_at(block) == b"0123456"
    assert hardened.strcpy(hardened.malloc(0).value, b"a\0").healing.applied == 0
    assert hardened.pipeline.free(block) == FreeResult.FREED


def test_zero_bytes_are_always_fine(strict):
    for call in (strict.memcpy, strict.memmove, strict.memcmp):
        assert call(None, None, 0).value == 0
    assert strict.free(None).value is None
    empty = strict.malloc(0).value
    assert strict.memset(empty, 0, 0).value == 0
    assert strict.realloc(empty, 0).value is None


def test_the_kernel_hears_of_bad_frees():
    with ValidationPipeline(1, policy="faithful") as pipeline:
        # The conformal risk of a family grows with its adverse outcomes only.
        before = pipeline.kernel.states[0]["risk"].copy()
        libc.GuardedLibrary(pipeline).free(np.zeros(100, np.uint8))
        assert pipeline.kernel.states[0]["risk"] != before


def test_module_functions_share_one_pipeline():
    address = libc.malloc(16).value
    assert libc.default_library().pipeline.validate(address).can_write
    assert libc.free(address).value == FreeResult.FREED
    with pytest.raises(AttributeError, match="strtok"):
        libc.strtok  # noqa: B018
