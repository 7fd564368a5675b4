"""The pipeline for other people's jitted code.

A pipeline's state is one record, ``pipeline.states[0]``; every thread brings a cache of its own,
``new_cache()[0]``:

>>> import numpy as np
>>> from numba import njit
>>> from membrane import Outcome, ValidationPipeline, jit
>>> @njit
... def count_valid(states, caches, addresses):
...     valid = 0
...     for address in addresses:
...         outcome = jit.validate(states[0], caches[0], address).outcome
...         valid += outcome == Outcome.VALIDATED or outcome == Outcome.CACHED_VALID
...     return valid
>>> with ValidationPipeline() as pipeline, pipeline.allocate(32) as block:
...     inside = np.uint64(block.address) + np.arange(40, dtype=np.uint64)
...     count_valid(pipeline.states, jit.new_cache(), inside)
32

Addresses and sizes may be integers of any width, signed or not; a negative one raises `ValueError`.
Nothing locks: code without the interpreter lock needs a lock of its own. The pipeline must stay
open while such code runs.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import from_dtype, types

from membrane.stages import allocation, tls_cache, validator
from membrane.stages.outcomes import Validation
from membrane.stages.state import STATE
from membrane.tables.words import GRANULE
from runtime_math.numerics.arguments import word
from runtime_math.numerics.compilation import entry_jitted, jitted

__all__ = [
    "STATE",
    "Validation",
    "allocate",
    "allocate_aligned",
    "deregister_allocation",
    "free",
    "new_cache",
    "register_allocation",
    "validate",
]

# Compiled once and kept on disk; a caller's own compilation takes them as they are.
_validate = entry_jitted(validator.validate.py_func)
_allocate_aligned = entry_jitted(allocation.allocate_aligned.py_func)
_free = entry_jitted(allocation.free.py_func)
_register_allocation = entry_jitted(allocation.register_allocation.py_func)
_deregister_allocation = entry_jitted(allocation.deregister_allocation.py_func)

_RECORD, _CACHE = from_dtype(STATE), from_dtype(tls_cache.STATE)
_SIGNATURES = {
    _validate: (_RECORD, _CACHE, types.uint64),
    _allocate_aligned: (_RECORD, types.uint64, types.uint64),
    _free: (_RECORD, types.uint64),
    _register_allocation: (_RECORD, types.uint64, types.uint64),
    _deregister_allocation: (_RECORD, types.uint64, types.uint64),
}


def compilations() -> dict[str, Callable[[], object]]:
    """What `membrane.precompile` compiles of this module: functions, by name."""
    return {
        dispatcher.py_func.__name__: functools.partial(dispatcher.compile, arguments)
        for dispatcher, arguments in _SIGNATURES.items()
    }


@jitted
def validate(state, cache, address):
    """Classify an address, and let the kernel learn from it; returns a `Validation`."""
    return _validate(state, cache, word("address", address))


@jitted
def allocate(state, size):
    """Return the address of a new block aligned to 16, or 0."""
    return _allocate_aligned(state, word("size", size), GRANULE)


@jitted
def allocate_aligned(state, size, align):
    """Return the address of a new block of a given alignment, or 0."""
    return _allocate_aligned(state, word("size", size), word("align", align))


@jitted
def free(state, address):
    """Free the block at a base address; returns a `FreeResult` code."""
    return _free(state, word("address", address))


@jitted
def register_allocation(state, base, size):
    """Declare a range as ours to the filter and the page oracle."""
    _register_allocation(state, word("base", base), word("size", size))


@jitted
def deregister_allocation(state, base, size):
    """Take a range out of the page oracle."""
    _deregister_allocation(state, word("base", base), word("size", size))


def new_cache() -> np.ndarray[Any, np.dtype[np.void]]:
    """Return an empty validation cache: an array of one record, for one thread."""
    return np.zeros(1, tls_cache.STATE)
