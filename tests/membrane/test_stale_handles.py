"""A handle whose block was freed refuses whatever is asked of it; what goes past it is listed."""

import array
import copy
import ctypes
import hashlib
import io
import os
import pickle
import struct
import sys

import numpy as np
import pytest

from membrane import UseAfterFreeError, ValidationPipeline, guard
from membrane.calls.library import GuardedLibrary

USES = {
    "bytes": bytes,
    "fill": lambda handle: handle.fill(1),
    "iadd": lambda handle: handle.__iadd__(1),
    "tobytes": lambda handle: handle.tobytes(),
    "view": lambda handle: handle.view(),
    "copy": lambda handle: handle.copy(),
    "sum": lambda handle: handle.sum(),
    "getitem": lambda handle: handle[0],
    "slice": lambda handle: handle[2:4],
    "setitem": lambda handle: handle.__setitem__(0, 1),
    "list": list,
    "iter": iter,
    "contains": lambda handle: 1 in handle,
    "equal": lambda handle: handle == 1,
    "add": lambda handle: handle + 1,
    "add from the right": lambda handle: 1 + handle,
    "matmul": lambda handle: handle @ handle,
    "numpy.add": lambda handle: np.add(handle, 1),
    "numpy.add with out": lambda handle: np.add(1, 1, out=handle),
    "numpy.maximum.at": lambda handle: np.maximum.at(handle, 0, 1),
    "numpy.sum": np.sum,
    "numpy.copyto": lambda handle: np.copyto(handle, 1),
    "numpy.put": lambda handle: np.put(handle, 0, 1),
    "numpy.concatenate": lambda handle: np.concatenate([handle]),
    "numpy.where": np.where,
    "numpy.vdot": lambda handle: np.vdot(handle, handle),
    "numpy.save": lambda handle: np.save(io.BytesIO(), handle),
    "numpy.from_dlpack": np.from_dlpack,
    "ctypes": lambda handle: handle.ctypes,
    "data": lambda handle: handle.data,
    "array interface": lambda handle: handle.__array_interface__,
    "base": lambda handle: handle.base,
    "flat": lambda handle: handle.flat,
    "transposed": lambda handle: handle.T,
    "tolist": lambda handle: handle.tolist(),
    "sort": lambda handle: handle.sort(),
    "reshape": lambda handle: handle.reshape(8, 8),
    "astype": lambda handle: handle.astype(int),
    "setflags": lambda handle: handle.setflags(write=False),
    "tofile": lambda handle: handle.tofile(os.devnull),
    "pickle": pickle.dumps,
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "len": len,
    "bool": bool,
    "int.from_bytes": lambda handle: int.from_bytes(handle, "little"),
    "address": lambda handle: handle.address,
    "generation": lambda handle: handle.generation,
    "detach": lambda handle: handle.detach(),
    "with": lambda handle: handle.__enter__(),
}
# Takers of buffers ask the class from Python 3.12 on.
BUFFERS = {
    "memoryview": memoryview,
    "bytearray": lambda handle: bytearray(memoryview(handle)),
    "os.write": lambda handle: os.write(os.open(os.devnull, os.O_WRONLY), handle),
    "readinto": lambda handle: io.BytesIO(b"x" * 8).readinto(handle),
    "write": lambda handle: io.BytesIO().write(handle),
    "hashlib": hashlib.sha256,
    "struct": lambda handle: struct.pack_into("i", handle, 0, 1),
    "from_buffer": lambda handle: (ctypes.c_char * 8).from_buffer(handle),
    "join": lambda handle: b"".join([handle]),
    "array.array": lambda handle: array.array("B").frombytes(handle),
    "numpy.frombuffer": lambda handle: np.frombuffer(handle, np.uint8),
}
# C code that finds an array of NumPy does not ask the class at all.
PAST_THE_CLASS = {"numpy.asarray": np.asarray, "numpy.array": np.array}


@pytest.fixture(scope="module")
def pipeline():
    with ValidationPipeline(0, quarantine_max_bytes=0) as pipeline:
        yield pipeline


@pytest.fixture(params=["handle", "pipeline", "libc", "with", "detach"])
def stale(pipeline, request):
    handle = pipeline.allocate(64)
    if request.param == "with":
        with handle:
            pass
    elif request.param == "detach":
        handle.detach()
    else:
        free = {"pipeline": pipeline.free, "libc": GuardedLibrary(pipeline).free}
        free.get(request.param, lambda handle: handle.free())(handle)
    return handle


@pytest.mark.parametrize("use", USES)
def test_use_is_refused(stale, use):
    with pytest.raises(UseAfterFreeError, match="freed"):
        USES[use](stale)


@pytest.mark.parametrize("use", BUFFERS)
def test_use_of_the_buffer(stale, use):
    if sys.version_info >= (3, 12):
        # Some takers say in words of their own that they got no buffer.
        with pytest.raises((UseAfterFreeError, TypeError), match=r"freed|StaleHandle"):
            BUFFERS[use](stale)
    else:
        BUFFERS[use](stale)  # the memory is still there, and nobody else's


@pytest.mark.parametrize("use", PAST_THE_CLASS)
def test_memory_stays_as_long_as_the_handle(stale, pipeline, use):
    array = PAST_THE_CLASS[use](stale)
    others = [pipeline.allocate(64) for _ in range(50)]
    assert not any(np.shares_memory(array, other.view(np.ndarray)) for other in others)
    for other in others:
        other.free()


def test_what_tells_about_a_stale_handle(stale):
    assert repr(stale) == str(stale) == f"{stale}"
    assert "freed" in repr(stale) and stale.freed
    assert (stale.shape, stale.nbytes, stale.dtype) == ((64,), 64, np.uint8)


def test_older_views_of_a_stale_handle_stay_valid(pipeline):
    handle = pipeline.allocate(64)
    handle[:] = 7
    view, array = memoryview(handle), np.asarray(handle)
    handle.free()
    assert view[0] == array[0] == 7
    view.release()


def test_a_guard_refuses_a_stale_handle_that_it_does_not_list(stale, pipeline):
    checked = guard(lambda first, second: None, reads={0: 1}, pipeline=pipeline)
    with pytest.raises(UseAfterFreeError):
        checked(b"x", stale)


def test_a_block_freed_by_its_address(pipeline):
    handle = pipeline.allocate(64)
    pipeline.free(handle.address)
    for use in ("getitem", "setitem", "address", "detach", "with"):
        with pytest.raises(UseAfterFreeError):
            USES[use](handle)
    assert handle.freed and "freed" in repr(handle)
