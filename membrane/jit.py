"""The pipeline for other people's jitted code.

A pipeline's state is one record, ``pipeline.states[0]``; every thread brings a cache of its own,
``new_cache()[0]``:

>>> import numpy as np
>>> from numba import njit
>>> from membrane import ValidationPipeline, jit
>>> @njit
... def count_valid(states, caches, addresses):
...     valid = 0
...     for address in addresses:
...         outcome = jit.validate(states[0], caches[0], address).outcome
...         valid += outcome == 1 or outcome == 2
...     return valid
>>> with ValidationPipeline() as pipeline, pipeline.allocate(32) as block:
...     inside = np.uint64(block.address) + np.arange(40, dtype=np.uint64)
...     count_valid(pipeline.states, jit.new_cache(), inside)
32

Addresses and sizes are ``uint64``. Nothing locks: code without the interpreter lock needs a lock
of its own. The pipeline must stay open while such code runs.
"""

import numpy as np

from membrane import ptr_validator, tls_cache
from membrane.ptr_validator import STATE, Validation
from runtime_math.numerics.compilation import entry_jitted

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
validate = entry_jitted(ptr_validator.validate.py_func)
allocate = entry_jitted(ptr_validator.allocate.py_func)
allocate_aligned = entry_jitted(ptr_validator.allocate_aligned.py_func)
free = entry_jitted(ptr_validator.free.py_func)
register_allocation = entry_jitted(ptr_validator.register_allocation.py_func)
deregister_allocation = entry_jitted(ptr_validator.deregister_allocation.py_func)


def new_cache():
    """Return an empty validation cache: an array of one record, for one thread."""
    return np.zeros(1, tls_cache.STATE)
