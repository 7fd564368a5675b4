"""Real libraries behind their declarations, used as they are meant to be and misused.

Each function is a process of its own in `test_guarded_libraries`. A misuse is refused: in strict
mode with an exception, in hardened mode by not making the call.
"""

import contextlib
import ctypes
import os
import socket
import sys
import tempfile

import pytest

from membrane import (
    DoubleFreeError,
    ForeignFreeError,
    Healing,
    InvalidFreeError,
    NullPointerError,
    OutOfBoundsError,
    OverlapError,
    SizeOverflowError,
    UnsafePointerError,
    UnterminatedStringError,
    UseAfterFreeError,
    ValidationPipeline,
    WrongKindError,
    guard_library,
    unreleased,
)
from membrane.declarations import read_declarations, shipped_declarations
from runtime_math import SafetyLevel
from tests.documents import ROOT
from tests.membrane.program_helpers import run_program

EXAMPLES = ROOT / "examples" / "guarded_libraries"
POINTER, SIZE = ctypes.c_void_p, ctypes.c_size_t


def guarded(mode, name, file=None):
    """(pipeline, library behind guards)."""
    pipeline = ValidationPipeline(mode)
    declarations = read_declarations(EXAMPLES / file) if file else shipped_declarations(name[0])
    return pipeline, guard_library(ctypes.CDLL(name[-1]), declarations, pipeline)


def libc_of(mode):
    return guarded(mode, ("libc", None))


def refuse(mode, kind, function, *arguments, mentions="."):
    """A call must not be made."""
    if mode == SafetyLevel.HARDENED:
        call = function.call(*arguments)
        assert call.value is None and call.healing.kind != Healing.NONE, call
        return
    with pytest.raises(kind, match=mentions) as caught:
        function(*arguments)
    assert str(caught.value).startswith(f"{function.__name__}: ")


def report(mode, kind, function, *arguments):
    """A call that has done something wrong is told about afterwards."""
    if mode == SafetyLevel.HARDENED:
        function(*arguments)  # made, and logged
        return
    with pytest.raises(kind):
        function(*arguments)


@contextlib.contextmanager
def text_file(content):
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name.encode()


# --- streams in structures ------------------------------------------------------------------------


def zlib_streams(mode):
    pipeline, zlib = guarded(mode, ("zlib", "libz.so.1"))
    stream = zlib.structures["z_stream"]()
    size = ctypes.sizeof(stream)
    refuse(mode, WrongKindError, zlib.deflate, stream, 4, mentions="no z_stream that was begun")
    assert zlib.deflateInit_(stream, 9, b"1.2", size) == 0
    text, packed = pipeline.allocate(4000), pipeline.allocate(100)
    text[:] = 97
    stream.next_in, stream.avail_in = text.address, 4001
    stream.next_out, stream.avail_out = packed.address, 100
    refuse(
        mode, OutOfBoundsError, zlib.deflate, stream, 4, mentions="strm->next_in .* 4000 of 4001"
    )
    stream.avail_in, stream.avail_out = 4000, 101
    refuse(mode, OutOfBoundsError, zlib.deflate, ctypes.byref(stream), 4, mentions="strm->next_out")
    stream.avail_out = 100
    stale = pipeline.allocate(4000)
    stream.next_in = stale.address
    stale.free()
    refuse(mode, UseAfterFreeError, zlib.deflate, ctypes.pointer(stream), 4, mentions="next_in")
    stream.next_in = text.address
    assert zlib.deflate(stream, 4) == 1
    assert zlib.deflateEnd(stream) == 0
    refuse(mode, UseAfterFreeError, zlib.deflate, stream, 4, mentions="deflateEnd has ended")
    refuse(mode, DoubleFreeError, zlib.deflateEnd, stream)
    assert zlib.inflateInit_(stream, b"1.2", size) == 0  # the same structure, begun again
    assert zlib.inflateEnd(stream) == 0
    in_block = pipeline.allocate(size)  # a stream in a block of ours
    in_block[:] = 0
    assert zlib.inflateInit_(in_block, b"1.2", size) == 0
    in_block.free()
    refuse(mode, UseAfterFreeError, zlib.inflate, in_block, 0)


def lzma_streams(mode):
    pipeline, lzma = guarded(mode, ("liblzma.so.5",), "lzma.toml")
    stream = lzma.structures["lzma_stream"]()
    refuse(mode, WrongKindError, lzma.lzma_code, stream, 3)
    assert lzma.lzma_easy_encoder(stream, 6, 4) == 0
    text, packed = ctypes.create_string_buffer(4000), pipeline.allocate(200)
    stream.next_in, stream.avail_in = ctypes.cast(text, POINTER), 4001
    stream.next_out, stream.avail_out = packed.address, 200
    refuse(mode, OutOfBoundsError, lzma.lzma_code, stream, 3, mentions="strm->next_in")
    stream.next_in, stream.avail_in = None, 4
    refuse(mode, NullPointerError, lzma.lzma_code, stream, 3)
    packed.free()
    stream.avail_in = 0
    refuse(mode, UseAfterFreeError, lzma.lzma_code, stream, 3, mentions="strm->next_out")
    lzma.lzma_end(stream)
    refuse(mode, UseAfterFreeError, lzma.lzma_code, stream, 3)


def png_images(mode):
    pipeline, png = guarded(mode, ("libpng16.so.16",), "png.toml")
    Image = png.structures["png_image"]  # noqa: N806
    image, length = Image(version=1, width=16, height=16, format=3), SIZE(4096)
    packed, pixels = bytearray(4096), bytes(1024)
    refuse(mode, OutOfBoundsError, png.png_image_write_to_memory,
           image, packed, length, 0, bytes(1023), 0, None, mentions="1023 of 1024")  # fmt: skip
    refuse(mode, OutOfBoundsError, png.png_image_write_to_memory,
           image, bytearray(4095), length, 0, pixels, 0, None, mentions="4095 of 4096")  # fmt: skip
    assert png.png_image_write_to_memory(image, packed, length, 0, pixels, 0, None) == 1
    read, again = Image(version=1), bytearray(1024)
    refuse(mode, WrongKindError, png.png_image_finish_read, read, None, again, 0, None)
    lent = pipeline.allocate(length.value)
    lent[:] = list(packed[: length.value])
    assert png.png_image_begin_read_from_memory(read, lent, length.value) == 1
    read.format = 3
    refuse(mode, OutOfBoundsError, png.png_image_finish_read, read, None, bytearray(1023), 0, None)
    lent.free()  # libpng reads it later
    report(mode, UseAfterFreeError, png.png_image_finish_read, read, None, again, 0, None)
    refuse(mode, DoubleFreeError, png.png_image_finish_read, read, None, again, 0, None)


# --- handles and what they keep -------------------------------------------------------------------


def sqlite3_statements(mode):
    pipeline, sqlite = guarded(mode, ("sqlite3", "libsqlite3.so.0"))
    database, statement = POINTER(), POINTER()
    assert sqlite.sqlite3_open(b":memory:", database) == 0
    refuse(mode, OutOfBoundsError, sqlite.sqlite3_prepare_v2,
           database, b"select 1", 100, statement, None, mentions="zSql")  # fmt: skip
    unterminated = pipeline.allocate(8)
    unterminated[:] = 97
    refuse(mode, UnterminatedStringError, sqlite.sqlite3_prepare_v2,
           database, unterminated, -1, statement, None)  # fmt: skip
    refuse(mode, WrongKindError, sqlite.sqlite3_step, database, mentions="sqlite3_stmt")
    refuse(mode, NullPointerError, sqlite.sqlite3_step, None)
    refuse(mode, WrongKindError, sqlite.sqlite3_step, bytearray(64), mentions="bytearray")
    tail = POINTER()
    sql = ctypes.create_string_buffer(b"select upper(?1); select 2")
    assert sqlite.sqlite3_prepare_v2(database, sql, -1, statement, tail) == 0
    assert tail.value == ctypes.addressof(sql) + len("select upper(?1);")
    assert sqlite.sqlite3_close(database) == 5  # busy: it goes on
    for size, destructor in ((-1, None), (4, None), (4, -1)):
        given = pipeline.allocate(5)
        given[:] = list(b"text\0")
        assert sqlite.sqlite3_bind_text(statement, 1, given, size, destructor) == 0
        given.free()
        if destructor is None:
            refuse(mode, UseAfterFreeError, sqlite.sqlite3_step, statement,
                   mentions="value of sqlite3_bind_text")  # fmt: skip
    assert sqlite.sqlite3_bind_text(statement, 1, b"kept" + bytes(1), -1, None) == 0
    assert sqlite.sqlite3_step(statement) == 100
    column = sqlite.sqlite3_column_text(statement, 0)
    assert ctypes.string_at(column) == b"KEPT" and column.memory.length == 5
    libc = guard_library(ctypes.CDLL(None), shipped_declarations("libc"), pipeline)
    assert libc.strlen(column) == libc.strlen(int(column)) == 4
    refuse(mode, OutOfBoundsError, libc.memset, column, 0, 5)  # it is sqlite's
    assert sqlite.sqlite3_reset(statement) == 0
    refuse(mode, UseAfterFreeError, libc.strlen, column, mentions="sqlite3_reset")
    refuse(mode, UseAfterFreeError, libc.strlen, int(column))
    assert sqlite.sqlite3_finalize(statement) == 0
    refuse(mode, UseAfterFreeError, sqlite.sqlite3_step, statement)
    refuse(mode, DoubleFreeError, sqlite.sqlite3_finalize, statement)
    assert sqlite.sqlite3_close(database) == 0
    refuse(mode, DoubleFreeError, sqlite.sqlite3_close, database)
    refuse(mode, UseAfterFreeError, sqlite.sqlite3_errmsg, database)
    assert not unreleased("sqlite3") and not unreleased("sqlite3_stmt")


def sqlite3_rebinding(mode):
    """Another value for the same index takes the place of the first, whoever binds it."""
    pipeline, sqlite = guarded(mode, ("sqlite3", "libsqlite3.so.0"))
    database, statement = POINTER(), POINTER()
    sqlite.sqlite3_open(b":memory:", database)
    sqlite.sqlite3_prepare_v2(database, b"select ?1", -1, statement, None)
    rebind = [
        lambda: sqlite.sqlite3_bind_int(statement, 1, 5),
        lambda: sqlite.sqlite3_bind_blob(statement, 1, b"x", 1, None),
        lambda: sqlite.sqlite3_clear_bindings(statement),
    ]
    for other in rebind:
        given = pipeline.allocate(4)
        given[:] = 97
        assert sqlite.sqlite3_bind_text(statement, 1, given, 4, None) == 0
        assert other() == 0
        given.free()
        assert sqlite.sqlite3_step(statement) == 100
        sqlite.sqlite3_reset(statement)
    sqlite.sqlite3_finalize(statement)
    sqlite.sqlite3_close(database)


def sqlite3_callbacks(mode):
    """Functions that outlive the call are held until what keeps them ends."""
    import gc
    import weakref

    _, sqlite = guarded(mode, ("sqlite3", "libsqlite3.so.0"))
    database = POINTER()
    sqlite.sqlite3_open(b":memory:", database)

    def twice(context, count, values):
        value = POINTER.from_address(values).value
        sqlite.sqlite3_result_int(context, 2 * sqlite.sqlite3_value_int(value))

    for name in (b"twice", b"doubled"):
        sqlite.sqlite3_create_function(database, name, 1, 1, None, twice, None, None)
    kept = weakref.ref(twice)
    del twice
    gc.collect()
    assert kept() is not None
    rows, error = [], POINTER()

    def row(argument, columns, values, names):
        rows.append(ctypes.c_char_p.from_address(values).value)
        return 0

    sql = b"select twice(21) union select doubled(22)"
    assert sqlite.sqlite3_exec(database, sql, row, None, error) == 0
    assert rows == [b"42", b"44"]
    assert sqlite.sqlite3_exec(database, b"no sql", None, None, error) == 1
    assert b"syntax error" in ctypes.string_at(error.value)
    sqlite.sqlite3_free(error)
    refuse(mode, DoubleFreeError, sqlite.sqlite3_free, error)
    assert sqlite.sqlite3_close(database) == 0
    gc.collect()
    assert kept() is None


def streams_of_stdio(mode):
    pipeline, libc = libc_of(mode)
    with text_file(b"hello\nworld\n") as name:
        stream = libc.fopen(name, b"r+")
        line = pipeline.allocate(6)
        refuse(mode, OutOfBoundsError, libc.fgets, line, 7, stream)
        refuse(mode, OutOfBoundsError, libc.fgets, b"immutable", 6, stream)
        assert libc.fgets(line, 6, stream) == line.address and bytes(line) == b"hello\0"
        refuse(mode, WrongKindError, libc.fgets, line, 6, line)
        buffer = pipeline.allocate(512)
        assert libc.setvbuf(stream, buffer, 0, 512) == 0
        assert libc.fputc(33, stream) == 33
        buffer.free()  # while the stream has it
        refuse(mode, UseAfterFreeError, libc.fputc, 33, stream, mentions="buf of setvbuf")
        report(mode, UseAfterFreeError, libc.fclose, stream)
        refuse(mode, UseAfterFreeError, libc.fgets, line, 6, stream, mentions="fclose has ended")
        refuse(mode, DoubleFreeError, libc.fclose, stream)
        for _ in range(100):  # until the address has a new owner
            other = libc.fopen(name, b"r")
            if other == stream:
                break
        assert other == stream
        refuse(mode, UseAfterFreeError, libc.fgetc, stream)
        assert libc.fgetc(other) == ord("h")
        libc.fclose(other)
        in_memory = pipeline.allocate(16)
        opened = libc.fmemopen(in_memory, 16, b"w")
        assert libc.fprintf(opened, b"%d bytes", 16) == 8
        in_memory.free()
        refuse(mode, UseAfterFreeError, libc.fputc, 33, opened, mentions="fmemopen")


def the_environment(mode):
    """`putenv` keeps what it is given."""
    pipeline, libc = libc_of(mode)
    entry = pipeline.allocate(9)
    entry[:] = list(b"NAME=one\0")
    assert libc.putenv(entry) == 0
    assert libc.getenv(b"NAME") == b"one"
    entry.free()
    refuse(mode, UseAfterFreeError, libc.getenv, b"NAME", mentions="string of putenv")
    assert libc.getenv.call(b"NAME").healing.kind != Healing.NONE if mode else True


def lines(mode):
    """getline: memory of the library that moves."""
    _, libc = libc_of(mode)
    line, capacity = POINTER(), SIZE()
    with text_file(b"one\n" + 500 * b"two " + b"\n") as name:
        stream = libc.fopen(name, b"r")
        assert libc.getline(line, capacity, stream) == 4
        first = line.value
        refuse(mode, OutOfBoundsError, libc.memset, first, 0, capacity.value + 1)
        assert libc.getline(line, capacity, stream) == 2001
        assert [each.size for each in unreleased("malloc")] == [capacity.value]
        capacity.value += 1
        refuse(mode, OutOfBoundsError, libc.getline, line, capacity, stream, mentions="lineptr")
        capacity.value -= 1
        libc.free(line)
        refuse(mode, UnsafePointerError, libc.getline, line, capacity, stream)
        refuse(mode, DoubleFreeError, libc.free, line)
        own = ctypes.create_string_buffer(64)  # not of malloc
        line.value, capacity.value = ctypes.addressof(own), 64
        wrong = ctypes.cast(own, POINTER)
        refuse(mode, UnsafePointerError, libc.getline, wrong, capacity, stream)
        libc.fclose(stream)


def memory_of_the_library(mode):
    pipeline, libc = libc_of(mode)
    copy = libc.strdup(b"hello")
    assert copy.memory.length == 6 and libc.strlen(copy) == 5
    for pointer in (copy, int(copy), POINTER(int(copy)), ctypes.c_char_p(int(copy))):
        refuse(mode, OutOfBoundsError, libc.memset, pointer, 0, 7)
    refuse(mode, OutOfBoundsError, libc.memset, copy + 4, 0, 3)
    refuse(mode, InvalidFreeError, libc.free, copy + 1)
    block = pipeline.allocate(16)
    for foreign in (block, block.address, bytearray(16), ctypes.create_string_buffer(16)):
        refuse(mode, ForeignFreeError, libc.free, foreign)
    assert libc.realloc(block, 32) is None if mode else True
    longer = libc.realloc(copy, 64)
    assert longer.memory.length == 64 and ctypes.string_at(longer) == b"hello"
    if longer != copy:
        refuse(mode, UseAfterFreeError, libc.strlen, copy)
    libc.free(longer)
    refuse(mode, UseAfterFreeError, libc.strlen, longer)
    refuse(mode, UseAfterFreeError, libc.strlen, int(longer))
    refuse(mode, DoubleFreeError, libc.free, int(longer))
    libc.free(None)
    aligned = POINTER()
    assert libc.posix_memalign(aligned, 64, 100) == 0
    refuse(mode, OutOfBoundsError, libc.memset, aligned, 0, 101)
    libc.free(aligned)
    assert not unreleased("malloc")


# --- pointers to pointers, arrays, results --------------------------------------------------------


def texts_of_iconv(mode):
    pipeline, libc = libc_of(mode)
    converter = libc.iconv_open(b"UTF-16LE", b"UTF-8")
    text, wide = pipeline.allocate(4), pipeline.allocate(8)
    text[:] = list(b"abcd")
    arguments = [POINTER(text.address), SIZE(4), POINTER(wide.address), SIZE(8)]
    source, source_left, target, target_left = arguments
    target_left.value = 9
    refuse(
        mode, OutOfBoundsError, libc.iconv, converter, *arguments, mentions=r"\*outbuf .* 8 of 9"
    )
    target_left.value, source_left.value = 8, 5
    refuse(mode, OutOfBoundsError, libc.iconv, converter, *arguments, mentions=r"\*inbuf")
    source_left.value = 4
    assert libc.iconv(converter, *map(ctypes.byref, arguments)) == 0
    assert bytes(wide) == "abcd".encode("utf-16-le") and target_left.value == 0
    assert libc.iconv(converter, None, None, None, None) == 0  # back to its first state
    source.value, source_left.value = text.address, 4
    target.value, target_left.value = wide.address, 8
    wide.free()
    refuse(mode, UseAfterFreeError, libc.iconv, converter, *arguments, mentions=r"\*outbuf")
    assert libc.iconv_close(converter) == 0
    refuse(mode, UseAfterFreeError, libc.iconv, converter, None, None, None, None)
    refuse(mode, DoubleFreeError, libc.iconv_close, converter)


def regular_expressions(mode):
    pipeline, libc = libc_of(mode)
    expression = libc.structures["regex_t"]()
    matches = (libc.structures["regmatch_t"] * 2)()
    refuse(mode, WrongKindError, libc.regexec, expression, b"text", 2, matches, 0)
    assert libc.regcomp(expression, b"(", 1) != 0
    refuse(mode, WrongKindError, libc.regexec, expression, b"text", 2, matches, 0)
    assert libc.regcomp(expression, b"t(e)", 1) == 0
    refuse(mode, OutOfBoundsError, libc.regexec, expression, b"text", 3, matches, 0,
           mentions="pmatch .* 16 of 24")  # fmt: skip
    small = pipeline.allocate(15)
    refuse(mode, OutOfBoundsError, libc.regexec, expression, b"text", 2, small, 0)
    stale = pipeline.allocate(5)
    stale[:] = list(b"text\0")
    assert libc.regexec(expression, stale, 2, matches, 0) == 0 and matches[1].rm_so == 1
    stale.free()
    refuse(mode, UseAfterFreeError, libc.regexec, expression, stale.lease.address, 2, matches, 0)
    libc.regfree(expression)
    refuse(mode, UseAfterFreeError, libc.regexec, expression, b"text", 2, matches, 0)
    refuse(mode, DoubleFreeError, libc.regfree, expression)


def sorted_arrays(mode):
    pipeline, libc = libc_of(mode)

    def ascending(first, second):
        one, other = (ctypes.c_int32.from_address(each).value for each in (first, second))
        return (one > other) - (one < other)

    block = pipeline.allocate(40)
    numbers = block.view("i4")
    numbers[:] = range(10, 0, -1)
    libc.qsort(block, 10, 4, ascending)
    assert numbers.tolist() == list(range(1, 11))
    key = ctypes.c_int32(7)
    found = libc.bsearch(ctypes.byref(key), block, 10, 4, ascending)
    assert found == block.address + 24 and ctypes.c_int32.from_address(found).value == 7
    refuse(mode, OutOfBoundsError, libc.qsort, block, 11, 4, ascending)
    refuse(mode, OutOfBoundsError, libc.qsort, bytes(40), 10, 4, ascending)

    def freeing(first, second):
        if not block.freed:
            block.free()
        return 0

    report(mode, UseAfterFreeError, libc.qsort, block, 10, 4, freeing)
    refuse(mode, UseAfterFreeError, libc.qsort, block, 10, 4, ascending)
    with pytest.raises(TypeError, match="compar must be a function"):
        libc.qsort(bytearray(8), 2, 4, None)


def vectors(mode):
    pipeline, libc = libc_of(mode)
    blocks = [pipeline.allocate(size) for size in (4, 8)]
    vector = (libc.structures["iovec"] * 2)(*((each.address, len(each)) for each in blocks))
    reading, writing = os.pipe()
    os.write(writing, b"headpayload!")
    refuse(mode, OutOfBoundsError, libc.readv, reading, vector, 3, mentions="iov .* 32 of 48")
    vector[1].iov_len = 9
    refuse(mode, OutOfBoundsError, libc.readv, reading, vector, 2, mentions=r"iov\[1\]\.iov_base")
    vector[1].iov_len = 8
    assert libc.readv(reading, vector, 2) == 12 and bytes(blocks[1]) == b"payload!"
    blocks[0].free()
    refuse(mode, UseAfterFreeError, libc.writev, writing, vector, 2, mentions=r"iov\[0\]\.iov_base")
    constant = ctypes.c_char_p(b"immutable")
    vector[0].iov_base, vector[0].iov_len = ctypes.cast(constant, POINTER), 9
    refuse(mode, OutOfBoundsError, libc.readv, reading, vector, 1, mentions="may not be written")
    assert libc.writev(writing, vector, 1) == 9


def messages(mode):
    """A structure with a pointer to an array of structures with pointers."""
    pipeline, libc = libc_of(mode)
    one, other = socket.socketpair()
    block = pipeline.allocate(5)
    block[:] = list(b"hello")
    iovec = libc.structures["iovec"](block.address, 5)
    message = libc.structures["msghdr"]()
    message.msg_iov, message.msg_iovlen = ctypes.cast(ctypes.pointer(iovec), POINTER), 1
    assert libc.sendmsg(one.fileno(), message, 0) == 5
    assert libc.recvmsg(other.fileno(), message, 0) == 5
    iovec.iov_len = 6
    refuse(mode, OutOfBoundsError, libc.sendmsg, one.fileno(), message, 0,
           mentions=r"msg->msg_iov\[0\]\.iov_base")  # fmt: skip
    iovec.iov_len, message.msg_iovlen = 5, 2
    refuse(mode, OutOfBoundsError, libc.sendmsg, one.fileno(), message, 0, mentions="msg->msg_iov")
    message.msg_iovlen = 1
    block.free()
    refuse(mode, UseAfterFreeError, libc.recvmsg, other.fileno(), message, 0)
    one.close(), other.close()


def addresses(mode):
    _, libc = libc_of(mode)
    found, host = POINTER(), ctypes.create_string_buffer(64)
    hints = (ctypes.c_int * 12)(4)
    refuse(mode, OutOfBoundsError, libc.getaddrinfo, b"127.0.0.1", None, bytes(47), found)
    refuse(mode, NullPointerError, libc.getaddrinfo, b"127.0.0.1", None, hints, None)
    assert libc.getaddrinfo(b"127.0.0.1", b"80", hints, found) == 0
    address = POINTER.from_address(found.value + 24).value
    refuse(mode, OutOfBoundsError, libc.getnameinfo, address, 16, host, 65, None, 0, 3)
    assert libc.getnameinfo(address, 16, host, 64, None, 0, 3) == 0 and host.value == b"127.0.0.1"
    refuse(mode, ForeignFreeError, libc.free, found, mentions="addrinfo, not to malloc")
    libc.freeaddrinfo(found)
    refuse(mode, DoubleFreeError, libc.freeaddrinfo, found)


def message_digests(mode):
    pipeline, crypto = guarded(mode, ("libcrypto.so.3",), "digest.toml")
    made, length = crypto.EVP_MD_CTX_new(), ctypes.c_uint()
    refuse(mode, WrongKindError, crypto.EVP_DigestInit_ex, bytearray(64), crypto.EVP_sha256(), None)
    assert crypto.EVP_DigestInit_ex(made, crypto.EVP_sha256(), None) == 1
    refuse(mode, OutOfBoundsError, crypto.EVP_DigestUpdate, made, b"hello", 6)
    refuse(mode, OutOfBoundsError, crypto.EVP_DigestFinal_ex, made, bytearray(31), length)
    stale = pipeline.allocate(8)
    stale.free()
    refuse(mode, UseAfterFreeError, crypto.EVP_DigestUpdate, made, stale, 8)
    crypto.EVP_MD_CTX_free(made)
    refuse(mode, UseAfterFreeError, crypto.EVP_DigestUpdate, made, b"hello", 5)
    refuse(mode, DoubleFreeError, crypto.EVP_MD_CTX_free, made)


def strings(mode):
    pipeline, libc = libc_of(mode)
    text = ctypes.create_string_buffer(b"hello", 16)
    assert libc.strchr(text, ord("l")) == ctypes.addressof(text) + 2
    assert libc.strchr(text, ord("x")) is None
    found = libc.strchr(b"hello", ord("l"))
    assert ctypes.string_at(found) == b"llo" and found.memory.length == 4
    refuse(mode, OutOfBoundsError, libc.memset, found, 0, 1)  # a constant
    inside = libc.strchr(text, ord("l"))
    libc.memset(inside, ord("x"), 14)
    refuse(mode, OutOfBoundsError, libc.memset, inside, 0, 15)
    small = pipeline.allocate(5)
    refuse(mode, OutOfBoundsError, libc.strcpy, small, b"hello")
    libc.strcpy(small, b"hell")
    refuse(mode, OutOfBoundsError, libc.strcat, small, b"o")
    refuse(mode, OverlapError, libc.strcpy, small, small.address + 1)
    refuse(mode, OverlapError, libc.memcpy, text, ctypes.byref(text, 4), 8)
    assert libc.memmove(text, ctypes.byref(text, 4), 8) == ctypes.addressof(text)
    assert libc.strnlen(bytearray(b"abcd"), 4) == 4
    refuse(mode, UnterminatedStringError, libc.strnlen, bytearray(b"abcd"), 5)
    separated = ctypes.create_string_buffer(b"one,two")
    rest = ctypes.cast(separated, POINTER)
    assert libc.strsep(rest, b",") == b"one" and libc.strsep(rest, b",") == b"two"
    assert rest.value is None
    end = POINTER()
    text.value = b"hello"
    assert libc.strtol(text, end, 10) == 0 and end.value == ctypes.addressof(text)
    refuse(mode, SizeOverflowError, libc.memset, text, 0, -1)
    wide = (ctypes.c_wchar * 6)()
    libc.wcscpy(wide, "hello")
    assert wide.value == "hello" and libc.wcslen("abc") == 3
    refuse(mode, OutOfBoundsError, libc.wcscpy, wide, "longer")


def formats(mode):
    pipeline, libc = libc_of(mode)
    text = ctypes.create_string_buffer(64)
    assert libc.snprintf(text, 64, b"%s %5.1f %ld %.*s %c%%", b"abc", 2.5, 2**40, 2, b"xyz", 65) > 0
    assert text.value == b"abc   2.5 1099511627776 xy A%"
    refuse(mode, OutOfBoundsError, libc.snprintf, text, 65, b"")
    stale = pipeline.allocate(4)
    stale.free()
    refuse(mode, UseAfterFreeError, libc.snprintf, text, 64, b"%s", stale)
    unterminated = bytearray(b"abcd")
    refuse(mode, UnterminatedStringError, libc.snprintf, text, 64, b"%s", unterminated)
    assert libc.snprintf(text, 64, b"%.4s", unterminated) == 4
    for arguments in ((b"%d",), (b"%d", 1, 2), (b"%d", b"text"), (b"%s", 1.5)):
        with pytest.raises(TypeError):
            libc.snprintf(text, 64, *arguments)
    number, word = ctypes.c_int(), ctypes.create_string_buffer(5)
    assert libc.sscanf(b"12 word", b"%d %4s", number, word) == 2
    assert (number.value, word.value) == (12, b"word")
    refuse(mode, OutOfBoundsError, libc.sscanf, b"12 words", b"%d %5s", number, word)
    refuse(mode, OutOfBoundsError, libc.sscanf, b"12", b"%ld", number)
    with pytest.raises(TypeError, match="without bound"):
        libc.sscanf(b"12 words", b"%d %s", number, word)
    printed = POINTER()
    assert libc.asprintf(printed, b"%d", 4096) == 4
    refuse(mode, OutOfBoundsError, libc.memset, printed, 0, 6)
    libc.free(printed)


if __name__ == "__main__":
    run_program(globals(), *sys.argv[1:])
