"""The builtin of one guard: its plan filled in, and what it falls back on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from membrane.calls.native.machine import native_call
from membrane.calls.native.plan import Shape, plan_of
from membrane.pipeline.ctypes_kinds import ARRAY_TYPE, BY_REFERENCE, NUMBER_TYPE
from membrane.pipeline.handle import Handle
from membrane.pipeline.layouts import layouts_are_known
from runtime_math.numerics.builtins.method_definition import MethodDefinition
from runtime_math.types import SafetyLevel

if TYPE_CHECKING:
    from membrane.pipeline.validation_pipeline import ValidationPipeline

# In the order of `plan.BYTES`, ...; ctypes' arrays and numbers by the type of their type.
_KNOWN_TYPES = (bytes, bytearray, np.ndarray, Handle, ARRAY_TYPE, BY_REFERENCE, NUMBER_TYPE)


def load() -> None:
    """Have the machine code ready before the first call needs it."""
    if layouts_are_known():
        _definition()


@functools.cache
def _definition() -> MethodDefinition:
    return MethodDefinition("guarded", ["$self", "/", "*arguments"], "", native_call.c_address)


def native_guard(
    function: object,
    shape: Shape,
    pipeline: ValidationPipeline,
    family: int,
    on_slow_path: Callable[..., Any],
    on_return: Callable[..., Any],
    on_into: Callable[..., Any],
) -> Callable[..., Any] | None:
    """Make the builtin of a guard, or None where its calls can not be machine code.

    Parameters
    ----------
    function : object
        What is guarded.
    shape : Shape
        All that has to be checked of a call.
    pipeline : ValidationPipeline
    family : int
        As which the kernel hears of the calls.
    on_slow_path : callable
        Takes the arguments of a call, and makes it.
    on_return : callable
        Takes what a call has done to a block (see `membrane.stages.call_regions`), or that
        somebody waits for its end; raises, or returns anything.
    on_into : callable
        Takes a result, the argument it points into, and where that is and how long; makes of it
        what the guard returns.

    Returns
    -------
    builtin_function_or_method or None
    """
    if not layouts_are_known() or not pipeline.repaired or pipeline.mode == SafetyLevel.OFF:
        return None
    storage = plan_of(function, shape)
    if storage is None or not pipeline.is_direct:
        return None
    plan = storage[0]
    plan["pipeline"] = pipeline.states.ctypes.data
    plan["on_slow_path"], plan["on_return"] = id(on_slow_path), id(on_return)
    plan["on_into"] = id(on_into)
    plan["asks_kernel"], plan["family"] = pipeline.kernel is not None, family
    plan["types"] = [id(kind) for kind in _KNOWN_TYPES]
    kept = (function, shape, pipeline.states, on_slow_path, on_return, on_into)
    builtin: Callable[..., Any] = _definition().bind(storage.view(np.uint8), *kept)
    return builtin
