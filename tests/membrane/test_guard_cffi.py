"""A guarded function of cffi: the same rules for another kind of pointer."""

import pytest

from membrane import OutOfBoundsError, UseAfterFreeError, ValidationPipeline, argument, guard

cffi = pytest.importorskip("cffi")


@pytest.fixture
def ffi():
    ffi = cffi.FFI()
    ffi.cdef("void *memset(void *, int, size_t);")
    return ffi


def test_blocks_are_validated_before_cffi_calls(ffi):
    library = ffi.dlopen(None)
    with ValidationPipeline(0) as pipeline:
        fill = guard(library.memset, writes={0: argument(2)}, pipeline=pipeline)
        block = pipeline.allocate(16)
        pointer = ffi.cast("void *", block.address)
        fill(pointer, 7, 16)
        assert bytes(block) == b"\x07" * 16
        with pytest.raises(OutOfBoundsError):
            fill(pointer, 9, 17)
        assert bytes(block) == b"\x07" * 16
        block.free()
        with pytest.raises(UseAfterFreeError):
            fill(pointer, 9, 1)
