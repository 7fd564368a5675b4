"""Correct programs that a guard must let pass unchanged, and what it may repair, one function each.

``python -m tests.membrane.correct_programs NAME [MODE]``
"""

import array
import contextlib
import ctypes
import hmac
import mmap
import os
import sys

import numpy as np

from membrane import (
    MembraneError,
    Outcome,
    OutOfBoundsError,
    UseAfterFreeError,
    ValidationPipeline,
    argument,
    guard,
    pointee,
    terminated,
)
from membrane.calls.library import GuardedLibrary
from tests.membrane.program_helpers import (
    HARDENED,
    INT,
    SIZE,
    STRICT,
    VOID,
    declared,
    memset,
    refused,
    run_program,
)

# --- correct programs -----------------------------------------------------------------------------


def bulk_operations_of_any_size(mode):
    """The kernel's limit is one of allocation requests."""
    pipeline = ValidationPipeline(mode)
    fill, libc, size = memset(pipeline), GuardedLibrary(pipeline), 300 << 20
    array_of_all = np.zeros(size, np.uint8)
    fill(array_of_all, 1, size)
    assert array_of_all[-1] == 1
    assert libc.memset(array_of_all, 2, size).value == size
    with pipeline.allocate(size) as block:
        fill(block, 3, size)
        assert block[-1] == 3
        assert libc.memset(block, 4, size).value == size
        assert libc.memcpy(array_of_all, block, size).value == size
    assert array_of_all[-1] == 4


def python_text_is_terminated(mode):
    """CPython guarantees the terminator of bytes and of wide text."""
    pipeline = ValidationPipeline(mode)
    libc = GuardedLibrary(pipeline)
    getenv = guard(declared("getenv", ctypes.c_char_p, ctypes.c_char_p), {0: terminated},
                   pipeline=pipeline)  # fmt: skip
    os.environ["FAULTS"] = "here"
    for name in (b"FAULTS", ctypes.c_char_p(b"FAULTS"), ctypes.create_string_buffer(b"FAULTS")):
        assert getenv(name) == b"here", name
    wcslen = guard(declared("wcslen", SIZE, ctypes.c_wchar_p), {0: terminated}, pipeline=pipeline)
    for text in ("four", ctypes.c_wchar_p("four"), ctypes.create_unicode_buffer("four")):
        assert wcslen(text) == 4, text
    bare = guard(ctypes.CDLL(None)["wcslen"], {0: terminated}, pipeline=pipeline)
    assert bare("four") == 4
    with pipeline.allocate(16) as block:
        assert libc.strcpy(block, b"abc").value == 3
        assert libc.strcat(block, b"def").value == 6
        assert libc.strlen(block).value == 6
        assert libc.strcmp(block, b"abcdef").value == 0
    assert libc.strlen(b"a" * 400_000).value == 400_000
    unterminated = np.full(8, 65, np.uint8)
    if mode == STRICT:
        with refused():
            getenv(unterminated)
        with refused():
            wcslen(np.full(8, 65, np.uint32))


def cffi_functions_take_what_ctypes_functions_take(mode):
    """A guard converts what cffi by itself would not take."""
    import cffi

    ffi = cffi.FFI()
    ffi.cdef("void *memset(void *, int, size_t); size_t strlen(const char *);")
    library, pipeline = ffi.dlopen(None), ValidationPipeline(mode)
    fill = guard(library.memset, writes={0: argument(2)}, pipeline=pipeline)
    length = guard(library.strlen, reads={0: terminated}, pipeline=pipeline)
    with pipeline.allocate(64) as block:
        fill(block, 1, 64)
        fill(block.address, 2, 32)
        fill(VOID(block.address), 3, 16)
        assert block.tolist() == [3] * 16 + [2] * 16 + [1] * 32
        fill(block, 0, 64)
        assert length(block) == 0
    for target in (bytearray(8), np.zeros(8, np.uint8), (ctypes.c_char * 8)(), ffi.new("char[8]")):
        fill(target, 7, 8)
        view = ffi.buffer(target) if isinstance(target, ffi.CData) else memoryview(target)
        assert bytes(view) == b"\7" * 8
    assert length(b"four") == 4
    if mode == STRICT:
        with refused(mentions=r"void \*\(\*\)\(void \*, int, size_t\): argument 0"):
            fill(ffi.new("char[4]"), 0, 5)
        with refused():
            fill(ffi.NULL, 0, 5)


class _Parameter:
    def __init__(self, value):
        self._as_parameter_ = value


def all_kinds_of_memory(mode):
    """Whatever has memory of its own can be passed."""
    pipeline = ValidationPipeline(mode)
    fill = memset(pipeline)

    class Pair(ctypes.Structure):
        _fields_ = [("a", INT), ("b", INT)]

    class Either(ctypes.Union):
        _fields_ = [("a", INT), ("b", ctypes.c_double)]

    mapping = mmap.mmap(-1, 4096)
    plain = np.zeros(16, np.uint8)
    targets = [
        array.array("i", [0, 0]), mapping, Pair(), Either(), plain.ctypes, _Parameter(plain),
        _Parameter(_Parameter(bytearray(16))), np.zeros((2, 4), np.uint8, order="F"),
        np.zeros(2, "M8[s]"), np.zeros(2, "m8[ns]"), np.zeros(2, "U2"), np.zeros(1, "f8,i4"),
        np.zeros(2, np.complex128), (INT * 4)(), (Pair * 2)(), np.zeros(8, bool), bytearray(16),
        memoryview(bytearray(16)), ctypes.pointer(Pair()), _Parameter(ctypes.byref(Pair())),
    ]  # fmt: skip
    for target in targets:
        fill(target, 1, 8)
    assert bytes(mapping[:9]) == b"\1" * 8 + b"\0"
    assert plain.tolist() == [1] * 8 + [0] * 8
    assert targets[0].tolist() == [0x01010101] * 2
    assert targets[2].b == 0x01010101
    assert targets[7].tobytes("A") == b"\1" * 8
    if mode == STRICT:
        for target in targets[2:4]:
            with refused(OutOfBoundsError):
                fill(target, 1, 9)
    copy = declared("memcpy", VOID, *[np.ctypeslib.ndpointer(np.uint8)] * 2, SIZE)
    checked = guard(copy, reads={1: argument(2)}, writes={0: argument(2)}, pipeline=pipeline)
    checked(plain, np.full(8, 3, np.uint8), 8)
    assert plain.tolist() == [3] * 8 + [0] * 8
    elsewhere = type("Copying", (VOID,), {"from_param": classmethod(lambda cls, value: b"copy")})
    checked = guard(declared("memset", VOID, elsewhere, INT, SIZE), writes={0: argument(2)},
                    pipeline=pipeline)  # fmt: skip
    with refused(TypeError, mentions="from_param"):
        checked(plain, 1, 8)
    with refused(ValueError):
        fill(np.zeros(16, np.uint8)[::2], 1, 1)
    with refused(TypeError):
        fill(INT(3), 1, 1)
    with refused(TypeError):
        fill(1.5, 1, 1)


def python_callables_get_what_was_passed(mode):
    """A guard in front of a Python function does not turn its arguments into pointers."""
    pipeline, seen = ValidationPipeline(mode), []
    checked = guard(lambda target, size: seen.append(target), writes={0: argument(1)},
                    pipeline=pipeline)  # fmt: skip
    passed = [
        bytearray(8),
        np.zeros(8, np.uint8),
        (ctypes.c_char * 8)(),
        array.array("b", b"12345678"),
    ]
    with pipeline.allocate(8) as block:
        for value in (*passed, block, block.address):
            checked(value, 8)
            assert seen.pop() is value or value == block.address
    if mode == STRICT:
        with refused(UseAfterFreeError):
            checked(block, 8)


# --- repairs --------------------------------------------------------------------------------------


def repairs_do_not_change_what_a_call_means(mode):
    """A shorter key is another key, a shorter comparison another answer."""
    pipeline = ValidationPipeline(HARDENED)
    crypto = ctypes.CDLL("libcrypto.so.3")
    crypto.EVP_sha256.restype = VOID
    digest = crypto.HMAC
    digest.argtypes = [VOID, VOID, INT, VOID, SIZE, VOID, VOID]
    digest.restype = VOID
    checked = guard(digest, reads={1: argument(2), 3: argument(4)}, writes={5: 32},
                    pipeline=pipeline)  # fmt: skip
    key, text, out = b"k" * 16, b"message", bytearray(32)
    checked(crypto.EVP_sha256(), key, 16, text, 7, out, None)
    assert bytes(out) == hmac.new(key, text, "sha256").digest()
    out[:] = bytes(32)
    call = checked.call(crypto.EVP_sha256(), key, 32, text, 7, out, None)
    assert call.value is None and call.healing.kind.name == "RETURN_SAFE_DEFAULT", call
    assert not any(out)
    compare = guard(declared("memcmp", INT, VOID, VOID, SIZE),
                    reads={0: argument(2), 1: argument(2)}, pipeline=pipeline)  # fmt: skip
    assert compare(b"abcdefgh", b"abcd", 8) is None
    short = memset(pipeline, clamp=True)
    target = bytearray(8)
    call = short.call(target, 7, 16)
    assert target == b"\7" * 8 and call.healing.kind.name == "CLAMP_SIZE", call
    assert memset(pipeline)(target, 1, 9) is None and target == b"\7" * 8


def a_repair_writes_into_nothing_immutable(mode):
    """The number behind a pointee is not corrected in a constant."""
    pipeline = ValidationPipeline(HARDENED)
    compress = ctypes.CDLL("libz.so.1").compress2
    for clamp in (False, True):
        checked = guard(compress, writes={0: pointee(1, clamp=clamp)}, reads={2: argument(3)},
                        pipeline=pipeline)  # fmt: skip
        length = (1 << 20).to_bytes(8, "little")
        assert checked(bytearray(100), length, b"text", 4, 9) is None
        assert int.from_bytes(length, "little") == 1 << 20


# --- addresses and sizes --------------------------------------------------------------------------


def numbers_that_are_no_addresses(mode):
    """An address outside of 64 bits is a wild pointer like others."""
    pipeline = ValidationPipeline(mode)
    fill, libc = memset(pipeline), GuardedLibrary(pipeline)
    for address in (-1, 2**64, 2**64 + 8, -(2**63), 10**30):
        if mode == STRICT:
            for call in (fill, libc.memset):
                with refused(MembraneError):
                    call(address, 0, 1)
        else:
            assert fill(address, 0, 1) is None
            assert libc.memset(address, 0, 1).value == 0
        assert pipeline.validate(address).outcome == Outcome.WILD
        assert pipeline.free(address).name == "FOREIGN_POINTER"
        with contextlib.suppress(MembraneError):
            libc.free(address)
            assert mode == HARDENED


def comparisons_beyond_31_bits(mode):
    """ctypes takes the sizes of its own functions for C ints."""
    size = 2**31 + 16
    left, right = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    libc = GuardedLibrary(ValidationPipeline(mode))
    assert libc.memcmp(left, right, size).value == 0
    right[-1] = 1
    assert libc.memcmp(left, right, size).value == -1
    assert libc.memchr(right, 1, size).value == right.ctypes.data + size - 1


if __name__ == "__main__":
    run_program(globals(), *sys.argv[1:])
