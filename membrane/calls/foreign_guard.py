"""Pointer validation in front of any C function that is called through ctypes or cffi.

>>> import ctypes
>>> from membrane import ValidationPipeline, argument, guard
>>> from runtime_math import SafetyLevel
>>> memmove = ctypes.CDLL(None).memmove
>>> memmove.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
>>> pipeline = ValidationPipeline(SafetyLevel.STRICT)
>>> safe = guard(memmove, reads={1: argument(2)}, writes={0: argument(2)}, pipeline=pipeline)
>>> block = pipeline.allocate(4)
>>> _ = safe(block, b"abcd", 4)
>>> bytes(block)
b'abcd'
>>> safe(block, b"abcdefgh", 8)  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
membrane.errors.OutOfBoundsError: memmove: argument 0 (...) has 4 of 8 bytes
>>> _ = block.free()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, overload

from membrane.calls.declared_guard import DeclaredGuard
from membrane.calls.guard_base import Guard
from membrane.declarations.function import Function
from membrane.declarations.sizes import Size
from membrane.pipeline.cffi_pointer import ctype_name, is_cffi_data
from membrane.pipeline.validation_pipeline import ValidationPipeline
from runtime_math.types import ApiFamily


def _name(function: Callable[..., Any]) -> str:
    if is_cffi_data(function):
        return ctype_name(function)
    return str(getattr(function, "__name__", type(function).__name__))


@overload
def guard(
    function: Callable[..., Any],
    declaration: Function,
    /,
    *,
    pipeline: ValidationPipeline | None = None,
    name: str | None = None,
) -> DeclaredGuard: ...
@overload
def guard(
    function: Callable[..., Any],
    reads: Mapping[int, Size] | None = None,
    writes: Mapping[int, Size] | None = None,
    pipeline: ValidationPipeline | None = None,
    family: ApiFamily = ApiFamily.STRING_MEMORY,
    name: str | None = None,
) -> Guard: ...
def guard(
    function: Callable[..., Any],
    reads: Mapping[int, Size] | Function | None = None,
    writes: Mapping[int, Size] | None = None,
    pipeline: ValidationPipeline | None = None,
    family: ApiFamily = ApiFamily.STRING_MEMORY,
    name: str | None = None,
) -> Guard:
    """Wrap a foreign function so that its pointer arguments are validated before each call.

    Parameters
    ----------
    function : callable
        A function of a ctypes library (or of a cffi one, or any Python callable). In the short form
        its ``argtypes`` are read at the first call; with a declaration they are not needed.
    reads, writes : dict of {int: size}, optional
        Which arguments point to memory that the function reads or writes, by position, and how
        many bytes: an `int`; ``argument(k)``, the value of argument k; ``pointee(k)``, the integer
        that argument k points to; `terminated`, a string; or a function of all arguments.
        In their place, as the second argument: a `membrane.declarations.Function`.
    pipeline : ValidationPipeline, optional
        By default one of the process, shared with `membrane.libc`.
    family : ApiFamily, optional
        As which the kernel hears of the calls; a declaration has its own.
    name : str, optional
        For messages; by default the function's own.

    Returns
    -------
    Guard
        Called like the function. Pointers may be whatever stands for one: addresses, handles,
        buffers, arrays, and all that ctypes and cffi pass as pointers.
    """
    name = name or _name(function)
    if isinstance(reads, Function):
        if writes is not None:
            raise TypeError("writes can not be given beside a declaration, which has them")
        return DeclaredGuard(function, reads, pipeline, name)
    for sizes in (reads or {}, writes or {}):
        for position in sizes:
            if not isinstance(position, int) or position < 0:
                raise TypeError(f"argument positions must be integers from 0, got {position!r}")
    return Guard(function, reads or {}, writes or {}, pipeline, family, name)
