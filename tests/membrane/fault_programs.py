"""What real programs do with pointers, one function each, run in processes of their own.

``python -m tests.membrane.fault_programs NAME [MODE]``: some of these end the process, or overwrite
memory, where a guard does not hold. Each function says in its first line what must not happen.
"""

import array
import contextlib
import ctypes
import gc
import hmac
import mmap
import os
import resource
import signal
import sys
import threading
import time
import warnings
import zlib

import numpy as np
import pytest

from membrane import (
    MembraneError,
    Outcome,
    OutOfBoundsError,
    UnsafePointerError,
    UseAfterFreeError,
    ValidationPipeline,
    argument,
    guard,
    pointee,
    terminated,
)
from membrane import libc as default_libc
from membrane.calls.library import GuardedLibrary
from runtime_math import SafetyLevel

C = ctypes.CDLL(None)
VOID, SIZE, INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
STRICT, HARDENED, OFF = SafetyLevel
RELEASES_AT_ONCE = {"quarantine_max_bytes": 0, "quarantine_max_entries": 0}


def declared(name, result, *parameters):
    """A function of the C library with its types, apart from what others set on it."""
    function = ctypes.CDLL(None)[name]
    function.restype, function.argtypes = result, parameters
    return function


def memset(pipeline, **options):
    return guard(declared("memset", VOID, VOID, INT, SIZE), writes={0: argument(2, **options)},
                 pipeline=pipeline)  # fmt: skip


@contextlib.contextmanager
def refused(*kinds, mentions="."):
    """The body must be refused, in words that a person can read."""
    with pytest.raises(kinds or UnsafePointerError, match=mentions) as caught:
        yield
    assert "<cdata" not in str(caught.value)


def pins(pipeline):
    return int(pipeline.states["call_pins"][0])


# --- what is checked, and what is passed ----------------------------------------------------------


def the_address_checked_is_the_address_passed(mode):
    """Without argtypes ctypes passes 32 bits of an address of 64."""
    pipeline = ValidationPipeline(mode)
    library = ctypes.CDLL("libz.so.1")
    library.crc32.restype = ctypes.c_ulong
    checked = guard(library.crc32, reads={1: argument(2)}, pipeline=pipeline)
    with pipeline.allocate(64) as block:
        block[:] = range(64)
        pointers = [block.address, block, VOID(block.address), np.asarray(block), bytes(block)]
        pointers += [(ctypes.c_char * 64).from_buffer(block), bytearray(block), memoryview(block)]
        for pointer in pointers:
            assert checked(0, pointer, 64) == zlib.crc32(bytes(block)), pointer
        fill = guard(ctypes.CDLL(None)["memset"], writes={0: argument(2)}, pipeline=pipeline)
        fill(block.address + 32, 7, 32)
        assert block.tolist() == [*range(32), *[7] * 32]


def a_narrow_declaration_is_refused(mode):
    """An address does not fit into the c_int that it is declared as."""
    pipeline = ValidationPipeline(mode)
    fill = guard(declared("memset", VOID, INT, INT, SIZE), writes={0: 64}, pipeline=pipeline)
    with pipeline.allocate(64) as block, refused(TypeError, mentions="argtypes"):
        fill(block.address, 1, 64)
    fill = guard(ctypes.CDLL(None)["memset"], pipeline=pipeline)
    with pipeline.allocate(64) as block, refused(TypeError, mentions="argtypes"):
        fill(block.address, 1, 64)


# --- bounds that the owner knows ------------------------------------------------------------------


def _ctypes_pointers(buffer):
    class Holder(ctypes.Structure):
        _fields_ = [("text", ctypes.POINTER(ctypes.c_char))]

    first = ctypes.POINTER(ctypes.c_char)
    holder = Holder(ctypes.cast(buffer, first))
    yield ctypes.byref(buffer, 48), 16
    yield ctypes.byref(buffer), 64
    yield ctypes.pointer(buffer), 64
    yield ctypes.cast(buffer, first), 64
    yield ctypes.cast(ctypes.cast(buffer, VOID), first), 64
    yield holder.text, 64
    yield buffer, 64
    yield memoryview(buffer)[10:], 54


def bounds_of_ctypes_objects(mode):
    """A pointer of ctypes keeps what it points into, so its bounds are known."""
    pipeline = ValidationPipeline(mode)
    fill = memset(pipeline)
    memory = (ctypes.c_char * 128)(*b"." * 128)
    buffer = (ctypes.c_char * 64).from_buffer(memory)
    before = bytes(memory)
    for pointer, room in _ctypes_pointers(buffer):
        if mode == STRICT:
            with refused(OutOfBoundsError):
                fill(pointer, 1, room + 1)
        else:
            assert fill(pointer, 1, room + 1) is None
        assert bytes(memory) == before, pointer
        fill(pointer, ord("."), room)


def bounds_of_cffi_objects(mode):
    """cffi tells the size of what it owns."""
    import cffi

    ffi = cffi.FFI()
    ffi.cdef("void *memset(void *, int, size_t); struct pair { int a, b; };")
    pipeline = ValidationPipeline(mode)
    fill = guard(ffi.dlopen(None).memset, writes={0: argument(2)}, pipeline=pipeline)
    whole = ffi.new("char[16]")  # a part of it does not keep it
    owned = [
        (whole, 16),
        (ffi.new("int[4]"), 16),
        (ffi.new("struct pair *"), 8),
        (ffi.from_buffer(bytearray(24)), 24),
        (ffi.from_buffer("int[]", bytearray(24)), 24),
        (ffi.new("int *"), 4),
        (whole[4:10], 6),
        (ffi.gc(ffi.new("char[4]"), lambda memory: None), 4),
        (ffi.buffer(ffi.new("char[16]")), 16),
    ]
    for pointer, room in owned:
        fill(pointer, 1, room)
        if mode == STRICT:
            with refused(OutOfBoundsError):
                fill(pointer, 1, room + 1)
        else:
            assert fill(pointer, 1, room + 1) is None


def immutable_text_is_not_written(mode):
    """Constants of Python are shared by all who use them."""
    pipeline = ValidationPipeline(mode)
    fill, constant = memset(pipeline), b"constant"
    read_only = np.frombuffer(constant, np.uint8)
    targets = [constant, ctypes.c_char_p(constant), read_only, memoryview(constant), "wide"]
    targets += [ctypes.cast(ctypes.c_char_p(constant), VOID), ctypes.c_wchar_p("wide")]
    for target in targets:
        if mode == STRICT:
            with refused(OutOfBoundsError):
                fill(target, 1, 4)
        else:
            assert fill(target, 1, 4) is None
    assert constant == bytes([99, 111, 110, 115, 116, 97, 110, 116])


# --- the variable and its target ------------------------------------------------------------------


def a_pointer_stands_for_its_target(mode):
    """c_void_p and POINTER objects are not the memory that is meant."""
    pipeline = ValidationPipeline(mode)
    libc = GuardedLibrary(pipeline)
    for make in (VOID, ctypes.c_char_p, lambda a: ctypes.cast(a, ctypes.POINTER(ctypes.c_int))):
        with pipeline.allocate(64) as block:
            pointer = make(block.address)
            assert libc.memcpy(pointer, b"ABCDEFGH", 8).value == 8
            assert bytes(block[:8]) == b"ABCDEFGH"
            assert pipeline.validate(pointer).remaining == 64
        assert pipeline.validate(pointer).outcome == Outcome.TEMPORAL_VIOLATION
        live = libc.malloc(16).value
        assert libc.free(make(live)).value.name == "FREED"


# --- who owns memory ------------------------------------------------------------------------------


def a_view_is_no_owner(mode):
    """A view made of an address does not bring a released block back to life."""
    pipeline = ValidationPipeline(mode, **RELEASES_AT_ONCE)
    fill = memset(pipeline)
    with pipeline.allocate(64) as block:
        address = block.address
    del block
    gc.collect()
    assert pipeline.validate(address).outcome == Outcome.RELEASED
    pointer = ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8))
    views = [
        (ctypes.c_char * 64).from_address(address),
        np.ctypeslib.as_array(pointer, (64,)),
        ctypes.cast(address, ctypes.POINTER(ctypes.c_char * 64)).contents,
        memoryview((ctypes.c_char * 64).from_address(address)),
    ]
    for view in views:
        assert pipeline.validate(view).outcome == Outcome.RELEASED, view
        if mode == STRICT:
            with refused(UseAfterFreeError):
                fill(view, 1, 1)
        else:
            assert fill(view, 1, 1) is None
        assert pipeline.validate(address).outcome == Outcome.RELEASED


# --- pins -----------------------------------------------------------------------------------------


def looking_up_and_pinning_are_one_step(mode):
    """A free in the middle of the checks does not leave the call with released memory."""
    for when in ("before", "after"):
        pipeline = ValidationPipeline(mode, **RELEASES_AT_ONCE)
        fill, block, classify = memset(pipeline), pipeline.allocate(64), pipeline.classify
        address = block.detach()
        del block

        def freeing(where, memory, when=when, pipeline=pipeline, classify=classify):
            if when == "before":
                pipeline.free(where)
            found = classify(where, memory)
            if when == "after":
                pipeline.free(where)
            return found

        pipeline.classify = freeing
        with contextlib.suppress(UseAfterFreeError):
            fill(VOID(address), 1, 64)
            assert mode == HARDENED
        assert pins(pipeline) == 0
        assert pipeline.validate(address).outcome == Outcome.RELEASED


def closing_waits_for_calls(mode):
    """Memory that a C function works on is not given back under it."""
    compare = ctypes.CFUNCTYPE(INT, VOID, VOID)
    for size in (4096, 1 << 20):
        pipeline = ValidationPipeline(mode)
        sort = guard(declared("qsort", None, VOID, SIZE, SIZE, compare),
                     writes={0: argument(1, 4)}, pipeline=pipeline)  # fmt: skip
        block = pipeline.allocate(size)
        values = block.view(np.ndarray).view(np.int32)
        values[:] = np.arange(len(values))[::-1]
        address, count, closed = block.address, len(values), []

        def close_once(left, right, pipeline=pipeline, closed=closed):
            if not closed:
                closed.append(pipeline.close())
            left, right = (INT.from_address(each).value for each in (left, right))
            return (left > right) - (left < right)

        sort(VOID(address), count, 4, compare(close_once))
        assert closed and values.tolist() == list(range(count))
        with refused(ValueError):
            pipeline.allocate(1)


def a_block_freed_by_a_callback_is_reported(mode):
    """The function goes on working on memory that its own callback has freed."""
    pipeline = ValidationPipeline(mode, **RELEASES_AT_ONCE)
    compare = ctypes.CFUNCTYPE(INT, VOID, VOID)
    sort = guard(declared("qsort", None, VOID, SIZE, SIZE, compare), writes={0: argument(1)},
                 pipeline=pipeline)  # fmt: skip
    address = pipeline.allocate_address(64)
    callback = compare(lambda left, right: pipeline.free(address) and 0)
    before = pipeline.metrics()["heals"]
    if mode == STRICT:
        with refused(UseAfterFreeError, mentions="freed during the call"):
            sort(VOID(address), 64, 1, callback)
    else:
        sort(VOID(address), 64, 1, callback)
    assert pins(pipeline) == 0
    assert before <= pipeline.metrics()["heals"]


def a_buffer_is_not_resized_under_a_call(mode):
    """A callback can not take away the bytearray that is being sorted."""
    pipeline, seen = ValidationPipeline(mode), []
    compare = ctypes.CFUNCTYPE(INT, VOID, VOID)
    sort = guard(declared("qsort", None, VOID, SIZE, SIZE, compare), writes={0: argument(1)},
                 pipeline=pipeline)  # fmt: skip
    for data in (bytearray(b"dcba" * 8), array.array("B", b"dcba" * 8)):

        def grow(left, right, data=data):
            try:
                data.extend(b"x" * 100_000)
            except BufferError:
                seen.append(type(data))
            return 0

        sort(data, len(data), 1, compare(grow))
        data.extend(b"free again")
    assert set(seen) == {bytearray, array.array}


def interrupts_leave_no_pin(mode):
    """KeyboardInterrupt may arrive at any moment of a guarded call."""
    pipeline = ValidationPipeline(mode)
    fill = memset(pipeline)
    libc = GuardedLibrary(pipeline)
    structure = type("S", (ctypes.Structure,), {"_fields_": [("bytes", ctypes.c_char * 64)]})
    target, count = structure(), 0
    block = pipeline.allocate(64)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    end = time.monotonic() + 4.0
    while time.monotonic() < end:
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + 1e-6 * (count % 400))
            while time.monotonic() < end:
                fill(block, 1, 64)
                fill(target, 1, 64)
                libc.memset(block, 2, 64)
                pipeline.allocate(16)[0] = 1
            signal.setitimer(signal.ITIMER_REAL, 0)  # here, where what comes before it is caught
        except KeyboardInterrupt:
            count += 1
    gc.collect()
    assert count > 100, count
    assert pins(pipeline) == 0, pins(pipeline)
    assert block.free().name == "FREED"
    del block
    gc.collect()
    pipeline.resources.settle()
    assert pipeline.resources.pins == 0
    assert pipeline.statistics()["live_blocks"] == 0


def a_lost_handle_leaks_nothing_where_warnings_are_errors(mode):
    """`-W error::ResourceWarning` makes the warning of a lost handle an exception."""
    warnings.simplefilter("error", ResourceWarning)
    sys.unraisablehook = lambda unraisable: None
    pipeline = ValidationPipeline(mode, **RELEASES_AT_ONCE)
    for _ in range(10):
        pipeline.allocate(64)
    gc.collect()
    assert pipeline.allocate(64).free().name == "FREED"
    assert pipeline.statistics()["live_blocks"] == 0
    assert pipeline.resources.pins <= 1


# --- pages ----------------------------------------------------------------------------------------


def mapped_is_not_accessible(mode):
    """Pages without permission end the process."""
    pipeline = ValidationPipeline(mode)
    fill, page = memset(pipeline), mmap.PAGESIZE
    area = mmap.mmap(-1, 4 * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(area))
    protect = declared("mprotect", INT, VOID, SIZE, INT)
    assert protect(base + page, page, 0) == 0
    assert protect(base + 2 * page, page, 1) == 0
    assert not pipeline.validate(base + page).can_read
    assert not pipeline.validate(base + page).can_write
    assert pipeline.validate(base + 2 * page).can_read
    assert not pipeline.validate(base + 2 * page).can_write
    assert pipeline.validate(base).can_write
    libc = GuardedLibrary(pipeline)
    whole = (ctypes.c_char * (4 * page)).from_address(base)
    beyond = [(base, page + 1), (area, page + 1), (whole, page + 1)]
    for target, size in [(base + page, 1), (base + 2 * page, 1), *beyond]:
        for call in (fill, libc.memset):
            if mode == STRICT:
                with refused():
                    call(target, 1, size)
            elif call is fill:
                assert call(target, 1, size) is None
            else:
                assert call(target, 1, size).value <= page
    assert libc.memcmp(base + 2 * page, bytes(8), 8).value == 0
    constant = ctypes.c_char.in_dll(C, "_IO_stdin_used") if hasattr(C, "_IO_stdin_used") else None
    assert constant is None or not pipeline.validate(ctypes.addressof(constant)).can_write


# --- several pipelines ----------------------------------------------------------------------------


def pipelines_know_each_other(mode):
    """`membrane.libc` has a pipeline of its own, and must know the blocks of all others."""
    mine = ValidationPipeline(mode)
    theirs = default_libc.memset.__self__.pipeline
    assert theirs is not mine
    fill = guard(declared("memset", VOID, VOID, INT, SIZE), writes={0: argument(2)})
    with mine.allocate(64) as block:
        address = block.address
        with refused(OutOfBoundsError):
            default_libc.memset(address, 0, 100)
        with refused(OutOfBoundsError):
            fill(VOID(address), 0, 100)
        assert default_libc.memset(address, 5, 64).value == 64
        assert set(block.tolist()) == {5}
        assert theirs.validate(address + 60).remaining == 4
    with refused(UseAfterFreeError):
        default_libc.memset(address, 0, 1)
    other = mine.allocate_address(16)
    assert default_libc.free(other).value.name == "FREED"
    assert theirs.validate(other).outcome == Outcome.TEMPORAL_VIOLATION


# --- forks and exhausted memory -------------------------------------------------------------------


def a_child_needs_no_lock_of_its_parent(mode):
    """A fork while another thread compiles leaves the child without the compiler's lock."""
    from numba.core.compiler_lock import global_compiler_lock

    pipeline = ValidationPipeline(mode)
    fill = memset(pipeline)
    held, done = threading.Event(), threading.Event()

    def compile_for_ever():
        with global_compiler_lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=compile_for_ever)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        block = pipeline.allocate(64)
        fill(block, 1, 64)
        fill((ctypes.c_char * 8)(), 1, 8)
        pipeline.validate(block.address)
        block.free()
        gc.collect()
        pipeline.close()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    done.set()
    thread.join()
    assert status == 0, status


def nothing_is_compiled_after_the_first_block(mode):
    """A compilation that an interrupt cuts off leaves Numba's lock taken, for all threads."""
    from numba.core import event

    class Listener(event.Listener):
        def __init__(self):
            self.found = []

        def on_start(self, compilation):
            self.found.append(compilation.data["dispatcher"].py_func)

        def on_end(self, compilation):
            pass

    pipeline = ValidationPipeline(mode)
    fill, libc, listener = memset(pipeline), GuardedLibrary(pipeline), Listener()
    event.register("numba:compile", listener)
    for target in (bytearray(8), pipeline.allocate(8), pipeline.allocate_address(8), None, -1, 1):
        for size in (8, 9, -1):
            for call in (fill, libc.memset):
                with contextlib.suppress(UnsafePointerError):
                    call(target, 1, size)
        with contextlib.suppress(UnsafePointerError):
            libc.free(target)
        found = pipeline.validate(0 if target is None else target)
        assert found.can_read + found.can_write + 1 and found.abstraction
    for name in ("strlen", "strcpy", "strcat", "strcmp", "strncpy", "memcmp", "memcpy", "realloc"):
        arguments = {"strlen": 1, "strcpy": 2, "strcat": 2, "strcmp": 2, "realloc": 0}.get(name, 3)
        with contextlib.suppress(UnsafePointerError):
            values = (bytearray(b"text"), b"more text", 20)[:arguments]
            getattr(libc, name)(*(values or (pipeline.allocate_address(8), 100)))
    block = pipeline.allocate(64)
    assert block.generation and block[3] is not None and repr(block)
    with pipeline.allocate(8), contextlib.suppress(UnsafePointerError):
        fill(block, 1, 65)
    block.detach()
    pipeline.statistics(), pipeline.metrics(), pipeline.healing.counters(), pipeline.last_trace()
    pipeline.close()
    event.unregister("numba:compile", listener)
    assert listener.found == [], listener.found


def the_first_free_needs_no_memory(mode):
    """Nothing is imported or compiled at the moment when memory has run out."""
    pipeline = ValidationPipeline(mode)
    libc, by_address, by_library = (
        GuardedLibrary(pipeline),
        *map(pipeline.allocate_address, (64, 64)),
    )
    block, lost = pipeline.allocate(64), pipeline.allocate(64)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * mmap.PAGESIZE
    resource.setrlimit(resource.RLIMIT_AS, (used, resource.RLIM_INFINITY))
    hoard = []
    with contextlib.suppress(MemoryError):
        size = 1 << 24
        while size > 1 << 12:
            try:
                hoard.append(bytearray(size))
            except MemoryError:
                size //= 2
    results = [block.free(), pipeline.free(by_address), libc.free(by_library).value]
    del lost
    hoard.clear()
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert [result.name for result in results] == ["FREED"] * 3


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


def main(name, mode="strict"):
    """Run one program."""
    globals()[name](SafetyLevel[mode.upper()])


if __name__ == "__main__":
    main(*sys.argv[1:])
