"""What real programs do with pointers, one function each, run in processes of their own.

``python -m tests.membrane.fault_programs NAME [MODE]``: some of these end the process, or overwrite
memory, where a guard does not hold. Each function says in its first line what must not happen.
"""

import array
import contextlib
import ctypes
import gc
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

from membrane import (
    Outcome,
    OutOfBoundsError,
    UnsafePointerError,
    UseAfterFreeError,
    ValidationPipeline,
    argument,
    guard,
)
from membrane import libc as default_libc
from membrane.calls.library import GuardedLibrary
from tests.compile_listener import LISTENER
from tests.membrane.program_helpers import (
    HARDENED,
    INT,
    RELEASES_AT_ONCE,
    SIZE,
    STRICT,
    VOID,
    C,
    declared,
    memset,
    pins,
    refused,
    run_program,
)

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
            until = time.monotonic() + 0.05  # an interrupt may be lost in a warning
            while time.monotonic() < until:
                fill(block, 1, 64)
                fill(target, 1, 64)
                libc.memset(block, 2, 64)
                pipeline.allocate(16)[0] = 1
            signal.setitimer(signal.ITIMER_REAL, 0)  # here, where what comes before it is caught
        except KeyboardInterrupt:
            count += 1
    gc.collect()
    assert count > 20, count
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
    pipeline, listening = ValidationPipeline(mode), {}
    fill, libc = memset(pipeline), GuardedLibrary(pipeline)
    exec(LISTENER, listening)
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
    assert listening["compiled"] == []


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


if __name__ == "__main__":
    run_program(globals(), *sys.argv[1:])
