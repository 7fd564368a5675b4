"""``guard/...``: guarded C calls beside the same calls through ctypes alone, which are ``raw/...``.

The ids that end in ``/unasked`` belong to a pipeline without a kernel (``policy=None``); the others
ask the default policy about every call. ``allocate_free/64`` makes and frees a block, beside the C
library's own and a ctypes buffer.
"""

import ctypes
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from bench.benchmark import Benchmark, keeping, timed_calls
from membrane import ValidationPipeline, argument, guard, pointee
from runtime_math.types import SafetyLevel

SIZES = {"64": 64, "4096": 4096, "1MiB": 1 << 20}
_COMPRESSED_BYTES = 100
_BLOCK_BYTES = 64
_VOID, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


Arguments: TypeAlias = tuple[tuple[Any, ...], tuple[Any, ...]]


class GuardedCall(NamedTuple):
    """A call of a C function.

    `function` makes the function; `reads` and `writes` declare it; `arguments` makes its arguments
    from a pipeline, for the raw call and for the guarded one.
    """

    function: Callable[[], Any]
    reads: dict[int, Any]
    writes: dict[int, Any]
    arguments: Callable[[ValidationPipeline], Arguments]


def _function(library: str | None, name: str, result: Any, *parameters: Any) -> Any:
    function = ctypes.CDLL(library)[name]
    function.restype, function.argtypes = result, parameters
    return function


def _memcpy() -> Any:
    return _function(None, "memcpy", _VOID, _VOID, _VOID, _SIZE)


def _memset() -> Any:
    return _function(None, "memset", _VOID, _VOID, _INT, _SIZE)


def _compress2() -> Any:
    numbers = (ctypes.POINTER(ctypes.c_ulong), _VOID, ctypes.c_ulong, _INT)
    return _function("libz.so.1", "compress2", _INT, _VOID, *numbers)


def _two_blocks(size: int, pipeline: ValidationPipeline) -> Arguments:
    target, source = pipeline.allocate(size), pipeline.allocate(size)
    return (target.address, source.address, size), (target, source, size)


def _two_of_a_kind(kind: str, pipeline: ValidationPipeline) -> Arguments:
    """64 bytes of some kind, twice; ctypes alone gets as it takes fastest."""
    if kind == "address":
        pointers = tuple(pipeline.allocate_address(_BLOCK_BYTES) for _ in range(2))
        return (*pointers, _BLOCK_BYTES), (*pointers, _BLOCK_BYTES)
    if kind == "bytes":
        target, source = bytearray(_BLOCK_BYTES), bytes(_BLOCK_BYTES)
        view = (ctypes.c_char * _BLOCK_BYTES).from_buffer(bytearray(_BLOCK_BYTES))
        return (view, source, _BLOCK_BYTES), (target, source, _BLOCK_BYTES)
    if kind == "array":
        arrays = tuple(np.zeros(_BLOCK_BYTES, np.uint8) for _ in range(2))
        addresses = tuple(array.ctypes.data for array in arrays)
        return (*addresses, _BLOCK_BYTES), (*arrays, _BLOCK_BYTES)
    buffers = tuple(ctypes.create_string_buffer(_BLOCK_BYTES) for _ in range(2))
    return (*buffers, _BLOCK_BYTES), (*buffers, _BLOCK_BYTES)


def _one_address(size: int, pipeline: ValidationPipeline) -> Arguments:
    address = pipeline.allocate_address(size)
    return (address, 1, size), (address, 1, size)


def _text(size: int, pipeline: ValidationPipeline) -> Arguments:
    target, length = pipeline.allocate(2 * size), ctypes.c_ulong(2 * size)
    rest = (ctypes.byref(length), b"a" * size, size, 1)
    return (target.address, *rest), (target, *rest)


_COPIES = {"reads": {1: argument(2)}, "writes": {0: argument(2)}}
CALLS = {
    **{
        f"memcpy/{name}": GuardedCall(
            _memcpy, **_COPIES, arguments=functools.partial(_two_blocks, size)
        )
        for name, size in SIZES.items()
    },
    **{
        f"memcpy_{kind}/{_BLOCK_BYTES}": GuardedCall(
            _memcpy, **_COPIES, arguments=functools.partial(_two_of_a_kind, kind)
        )
        for kind in ("address", "bytes", "array", "ctypes")
    },
    "memset_address/64": GuardedCall(
        _memset, {}, {0: argument(2)}, functools.partial(_one_address, 64)
    ),
    f"compress2/{_COMPRESSED_BYTES}": GuardedCall(
        _compress2,
        {2: argument(3)},
        {0: pointee(1)},
        functools.partial(_text, _COMPRESSED_BYTES),
    ),
}


def _pipeline(asked: bool) -> ValidationPipeline:
    return ValidationPipeline(SafetyLevel.STRICT, policy="default" if asked else None)


def raw(call: GuardedCall) -> Callable[[int], float]:
    """Timing function of the call through ctypes alone."""
    pipeline = _pipeline(asked=False)
    arguments, kept = call.arguments(pipeline)
    return keeping(timed_calls(call.function(), *arguments), pipeline, kept)


def guarded(call: GuardedCall, asked: bool) -> Callable[[int], float]:
    """Timing function of the guarded call; `asked`: whether the kernel is."""
    pipeline = _pipeline(asked)
    _, arguments = call.arguments(pipeline)
    checked = guard(call.function(), call.reads, call.writes, pipeline)
    return timed_calls(checked, *arguments)


def _block() -> Callable[[int], float]:
    pipeline = _pipeline(asked=True)
    return timed_calls(lambda: pipeline.allocate(_BLOCK_BYTES).free())


def _malloc() -> Callable[[int], float]:
    malloc = _function(None, "malloc", _VOID, _SIZE)
    free = _function(None, "free", None, _VOID)
    return timed_calls(lambda: free(malloc(_BLOCK_BYTES)))


def _buffer() -> Callable[[int], float]:
    return timed_calls(ctypes.create_string_buffer, _BLOCK_BYTES)


ALLOCATIONS = {
    "allocate_free/64": _block,
    "raw/malloc_free/64": _malloc,
    "raw/create_string_buffer/64": _buffer,
}


def benchmarks() -> list[Benchmark]:
    """Return the benchmarks of this group."""
    found = [Benchmark(name, prepare) for name, prepare in ALLOCATIONS.items()]
    for name, call in CALLS.items():
        found += [
            Benchmark(f"guard/{name}", functools.partial(guarded, call, True)),
            Benchmark(f"guard/{name}/unasked", functools.partial(guarded, call, False)),
            Benchmark(f"raw/{name}", functools.partial(raw, call)),
        ]
    return found
