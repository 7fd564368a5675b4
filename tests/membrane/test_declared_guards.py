"""Declared guards on functions that lie, on cffi's, and with what people pass by mistake."""

import ctypes
import threading

import numpy as np
import pytest

from membrane import (
    CorruptionError,
    DoubleFreeError,
    NullPointerError,
    OutOfBoundsError,
    UseAfterFreeError,
    ValidationPipeline,
    guard,
    guard_library,
    unreleased,
)
from membrane.declarations import (
    Function,
    In,
    InOut,
    Out,
    bytecount,
    callback,
    count,
    into,
    pointer_to,
    resource,
    shipped_declarations,
    terminated,
)

C_INT, C_ULONG, VOID, SIZE = ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_size_t


@pytest.fixture
def pipeline():
    with ValidationPipeline(mode=0) as made:
        yield made


@pytest.fixture
def libc(pipeline):
    return guard_library(ctypes.CDLL(None), shipped_declarations("libc"), pipeline)


def c_function(result, *parameters):
    """A function of C that is written in Python."""
    return ctypes.CFUNCTYPE(result, *parameters)


# --- callees that lie -----------------------------------------------------------------------------


@pytest.mark.parametrize("says", [63, 64, 65, 1000])
def test_a_length_that_comes_back_is_compared_with_the_capacity(pipeline, says):
    @c_function(C_INT, VOID, VOID)
    def fill(target, length):
        C_ULONG.from_address(length).value = says
        return 0

    declaration = Function(target=Out(bytecount("*length"), written="*length"),
                           length=InOut(C_ULONG), returns=C_INT)  # fmt: skip
    checked, length = guard(fill, declaration, pipeline=pipeline), C_ULONG(64)
    if says <= 64:
        assert checked(bytearray(64), length) == 0
        return
    with pytest.raises(CorruptionError, match=f"wrote {says} bytes at target, which had room"):
        checked(bytearray(64), length)


@pytest.mark.parametrize("returns", [-1, 4, 5])
def test_a_number_of_elements_that_is_returned(pipeline, returns):
    declaration = Function(items=Out(count("n", ctypes.c_int64), written="return"), n=C_INT,
                           returns=C_INT)  # fmt: skip
    made = c_function(C_INT, VOID, C_INT)(lambda items, n: returns)
    checked = guard(made, declaration, pipeline=pipeline)
    if returns <= 4:
        assert checked(np.zeros(4, np.int64), 4) == returns
    else:
        with pytest.raises(CorruptionError, match="wrote 40 bytes at items, which had room for 32"):
            checked(np.zeros(4, np.int64), 4)


@pytest.mark.parametrize("offset", [-1, 0, 8, 9])
def test_a_pointer_into_an_argument_is_in_it(pipeline, offset):
    declaration = Function(text=In(bytecount(8)), returns=into("text"))
    made = c_function(VOID, VOID)(lambda text: text + offset)
    block = pipeline.allocate(8)
    checked = guard(made, declaration, pipeline=pipeline)
    if 0 <= offset <= 8:
        found = checked(block)
        assert found == block.address + offset and found.memory.length == 8 - offset
    else:
        with pytest.raises(OutOfBoundsError, match=r"the result .* is outside of text"):
            checked(block)
    block.free()


@pytest.mark.parametrize("step", [0, 4, 5, -1])
def test_a_pointer_that_moves_stays_in_its_memory(pipeline, step):
    @c_function(C_INT, VOID)
    def move(pointer):
        variable = VOID.from_address(pointer)
        variable.value += step
        return 0

    declaration = Function(pointer=pointer_to(In(bytecount(4))), returns=C_INT)
    checked, block = guard(move, declaration, pipeline=pipeline), pipeline.allocate(4)
    variable = VOID(block.address)
    if 0 <= step <= 4:
        assert checked(variable) == 0 and variable.value == block.address + step
    else:
        with pytest.raises(OutOfBoundsError, match=r"\*pointer points to .* outside of its 4"):
            checked(variable)
    block.free()


# --- what people pass -----------------------------------------------------------------------------


def test_text_of_the_other_kind(libc):
    with pytest.raises(TypeError, match="strlen: s takes bytes, got str"):
        libc.strlen("hello")
    with pytest.raises(TypeError, match="wcslen: s takes str, got bytes"):
        libc.wcslen(b"hello")
    assert libc.strlen(b"hello") == libc.wcslen("hello") == 5


def test_arguments_by_name(libc):
    target = bytearray(4)
    libc.memset(target, n=4, c=7)
    assert target == bytes([7] * 4)
    libc.memcpy(target, n=2, src=b"ab")
    assert target == b"ab\7\7"
    for arguments, named, mentions in [
        ((target,), {"c": 1}, "misses its argument 'n'"),
        ((target, 1, 4), {"n": 4}, "'n' twice"),
        ((target, 1), {"n": 4, "size": 4}, "'size' but has s, c, n"),
        ((target, 1, 4, 5), {}, "takes 3 arguments, got 4"),
    ]:
        with pytest.raises(TypeError, match=mentions):
            libc.memset(*arguments, **named)


def test_null_pointers(libc):
    with pytest.raises(NullPointerError, match=r"s \(0x0\) is null"):
        libc.strlen(None)
    with pytest.raises(NullPointerError):
        libc.memcpy(None, b"abcd", 4)
    assert libc.memcpy(None, None, 0) is None
    libc.free(None)
    assert libc.fflush(None) == 0


def test_names_of_a_guarded_library(libc):
    assert "strdup" in dir(libc) and "gets" not in dir(libc)
    with pytest.raises(AttributeError, match="no declaration of 'gets'"):
        _ = libc.gets
    assert "fopen Function(" in repr(libc.fopen)
    assert libc.structures["iovec"].iov_len.offset == 8
    missing = guard_library(ctypes.CDLL(None), {"no_such_function": Function()})
    with pytest.raises(AttributeError, match="no_such_function"):
        missing.no_such_function()


def test_a_declaration_leaves_the_library_alone(pipeline):
    library = ctypes.CDLL(None)
    library.strlen.argtypes = [ctypes.c_char_p]
    checked = guard(library.strlen, shipped_declarations("libc")["strlen"], pipeline=pipeline)
    assert checked(b"abc") == 3 and library.strlen.argtypes == [ctypes.c_char_p]
    with pytest.raises(TypeError, match="beside a declaration"):
        guard(library.strlen, shipped_declarations("libc")["strlen"], {0: 1})


def test_functions_of_cffi(pipeline):
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef(
        "char *strdup(const char *); void free(void *); size_t strlen(const char *);"
        "char *strchr(const char *, int); void *memcpy(void *, const void *, size_t);"
    )
    libc = guard_library(ffi.dlopen(None), shipped_declarations("libc"), pipeline)
    text = ffi.new("char[]", b"hello")
    copy = libc.strdup(text)
    assert ffi.string(copy) == b"hello" and libc.strlen(copy) == 5
    assert ffi.string(libc.strchr(text, 108)) == b"llo"
    with pytest.raises(OutOfBoundsError):
        libc.memcpy(copy, bytes(7), 7)
    libc.free(copy)
    for use in (libc.strlen, libc.free):
        with pytest.raises((UseAfterFreeError, DoubleFreeError)):
            use(copy)


# --- things ---------------------------------------------------------------------------------------


def test_only_one_thread_frees(libc):
    """Two threads that free the same memory: one of them is refused, whichever it is."""
    for _ in range(200):
        copy, results = libc.strdup(b"text"), []
        barrier = threading.Barrier(2)

        def free(copy=copy, results=results, barrier=barrier):
            barrier.wait()
            try:
                results.append(libc.free(copy))
            except DoubleFreeError as error:
                results.append(error)

        threads = [threading.Thread(target=free) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {type(result) for result in results} == {DoubleFreeError, type(None)}
    assert not unreleased("malloc")


def test_memory_that_somebody_else_has_by_now(libc):
    """An address that a library has freed is usable once Python owns it."""
    freed = {int(copy) for copy in (libc.malloc(5000) for _ in range(50)) if not libc.free(copy)}
    arrays = [np.zeros(5000, np.uint8) for _ in range(200)]
    assert any(array.ctypes.data in freed for array in arrays), "the allocator reuses nothing"
    for array in arrays:
        libc.memset(array, 1, 5000)


def test_a_call_that_could_not_be_made_ends_nothing(libc):
    copy = libc.strdup(b"text")
    with pytest.raises(ctypes.ArgumentError):
        libc.realloc(copy, 1.5)
    assert libc.strlen(copy) == 4
    libc.free(copy)


def test_an_owner_takes_its_own_with_it(pipeline):
    made = c_function(VOID)(lambda: 4096 * 4096)
    inner = c_function(VOID, VOID)(lambda owner: owner + 4096)
    end = c_function(None, VOID)(lambda owner: None)
    use = c_function(None, VOID)(lambda thing: None)
    begin = guard(made, Function(returns=resource("box", begins=True)), pipeline=pipeline)
    open_ = guard(inner, Function(box=resource("box"), returns=resource(
        "door", begins=True, owner="box")), pipeline=pipeline)  # fmt: skip
    close = guard(end, Function(box=resource("box", ends=True)), pipeline=pipeline)
    knock = guard(use, Function(door=resource("door")), pipeline=pipeline)
    box = begin()
    door = open_(box)
    knock(door)
    close(box)
    for stale in (door, int(door)):
        with pytest.raises(UseAfterFreeError, match=r"door that .* has ended"):
            knock(stale)


def test_a_callback_is_held_for_the_call(pipeline):
    seen = []

    @c_function(C_INT, ctypes.CFUNCTYPE(C_INT, C_INT), C_INT)
    def call_it(function, number):
        return function(number)

    declaration = Function(function=callback(C_INT, C_INT), number=C_INT, returns=C_INT)
    checked = guard(call_it, declaration, pipeline=pipeline)
    assert checked(lambda number: seen.append(number) or 2 * number, 21) == 42 and seen == [21]


def test_an_array_of_strings(pipeline):
    declaration = Function(texts=In(count("n", In(terminated))), n=C_INT, returns=C_INT)
    total = c_function(C_INT, VOID, C_INT)(
        lambda texts, n: sum(map(len, (ctypes.c_char_p * n).from_address(texts)))
    )
    checked = guard(total, declaration, pipeline=pipeline)
    texts = (ctypes.c_char_p * 3)(b"one", b"two", b"three")
    assert checked(texts, 3) == 11
    with pytest.raises(OutOfBoundsError, match=r"texts .* 24 of 32"):
        checked(texts, 4)
    texts[1] = None
    with pytest.raises(NullPointerError, match=r"texts\[1\] .* is null"):
        checked(texts, 3)
