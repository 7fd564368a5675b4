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
    UnterminatedStringError,
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
from membrane.pipeline.layouts import layouts_are_known

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


# --- machine code ---------------------------------------------------------------------------------


def is_native(checked):
    return isinstance(type(checked).__call__, type(len))


@pytest.mark.parametrize(
    "name",
    ["memcpy", "memmove", "memset", "memcmp", "memchr", "strlen", "strcmp", "strcasecmp", "strchr",
     "strstr", "strspn", "atoi"],
)  # fmt: skip
def test_functions_of_bytes_and_strings_are_machine_code(libc, name):
    checked = getattr(libc, name)
    target, numbers = bytearray(b"text\0"), {"n": 4, "c": 116}
    texts = {"s2": b"text", "src": b"abcde"}
    given = {**numbers, **texts}
    for _ in range(2):
        checked(*(given.get(each, target) for each in checked.declaration.names))
    assert is_native(checked) == layouts_are_known()


def test_a_length_behind_a_pointer_in_machine_code(pipeline):
    zlib = guard_library(ctypes.CDLL("libz.so.1"), shipped_declarations("zlib"), pipeline)
    text, target = b"text " * 50, pipeline.allocate(100)
    lengths = [C_ULONG(100), pipeline.allocate(8), np.array([100, 0], np.uint64)]
    lengths[1].view(np.uint64)[0] = 100
    for length in (*lengths, ctypes.byref(C_ULONG(100)), ctypes.pointer(C_ULONG(100))):
        assert zlib.compress2(target, length, text, 250, 9) == 0
    assert is_native(zlib.compress2) == layouts_are_known()
    for length in (C_ULONG(101), ctypes.byref(C_ULONG(101)), np.array([101, 0], np.uint64)):
        with pytest.raises(OutOfBoundsError, match="100 of 101"):
            zlib.compress2(target, length, text, 250, 9)
    for short in (ctypes.c_uint(100), ctypes.byref(ctypes.c_uint(100)), bytearray(7)):
        with pytest.raises((OutOfBoundsError, TypeError)):
            zlib.compress2(target, short, text, 250, 9)
    inside = (C_ULONG * 2)(7, 100)
    assert zlib.compress2(target, ctypes.byref(inside, 8), text, 250, 9) == 0
    with pytest.raises(OutOfBoundsError):
        zlib.compress2(target, ctypes.byref(inside, 9), text, 250, 9)
    target.free()


def test_machine_code_compares_what_was_written(pipeline):
    library = ctypes.CDLL(None)
    returns = Function(s=Out(bytecount(3), written="return"), returns=SIZE)
    checked = guard(library["strlen"], returns, pipeline=pipeline)
    assert checked(bytearray(b"abc\0")) == 3
    with pytest.raises(CorruptionError, match="wrote more"):
        checked(bytearray(b"abcd\0"))
    behind = Function(s=InOut(C_ULONG), c=C_INT, n=SIZE, target=Out(bytecount("*s"), written="*s"))
    checked = guard(library["memset"], behind, pipeline=pipeline)  # which leaves the last alone
    checked(C_ULONG(8), 0, 8, bytearray(8))
    with pytest.raises(CorruptionError, match="wrote more"):
        checked(C_ULONG(8), 1, 8, bytearray(8))
    assert is_native(checked) == layouts_are_known()


def test_machine_code_compares_where_a_result_points(pipeline):
    wrong = Function(dest=Out(bytecount("n")), src=In(bytecount("n")), n=SIZE, returns=into("src"))
    checked = guard(ctypes.CDLL(None)["memcpy"], wrong, pipeline=pipeline)
    for _ in range(2):
        with pytest.raises(OutOfBoundsError, match=r"the result .* is outside of src"):
            checked(bytearray(8), b"12345678", 8)


def test_strings_in_machine_code_end_where_their_memory_does(libc, pipeline):
    block = pipeline.allocate(8)
    block[:] = 97
    for text in (
        block,
        block.address,
        block.address + 7,
        bytearray(8 * b"a"),
        np.full(8, 97, "u1"),
    ):
        libc.strlen(b"first")
        with pytest.raises(UnterminatedStringError):
            libc.strlen(text)
    block[7] = 0
    assert [libc.strlen(block.address + at) for at in range(8)] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert libc.strlen(b"") == 0 and libc.strlen(bytes(1)) == 0
    found = libc.strchr(block, 97)
    assert found == block.address and found.memory.length == 8
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
