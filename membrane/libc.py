"""The C library's memory functions, each guarded by a pipeline.

Pointers are addresses, handles, or any object with a buffer; an unsafe call raises in strict mode
and touches no memory, and is repaired in hardened mode. Every function returns a `Call`: the
value, and the repair if one was made.

The functions of this module work on one pipeline of the process, made at the first call in the
configured mode; `GuardedLibrary` does the same for a pipeline of one's own:

>>> from membrane import ValidationPipeline, libc
>>> from runtime_math import SafetyLevel
>>> library = libc.GuardedLibrary(ValidationPipeline(SafetyLevel.HARDENED))
>>> destination = library.malloc(8).value
>>> library.strcpy(destination, b"far too long\\0").healing
HealingPlan(kind=<Healing.TRUNCATE_WITH_NULL: 2>, requested=12, applied=7)
>>> library.strlen(destination).value
7

Under reference rules the calls follow the table of the reference: only copies and strings whose
block is known are clamped, in hardened mode only, and bad frees are ignored. Even so, null and
unmapped addresses are never used, since that would end the process.
"""

import functools
from typing import TYPE_CHECKING, Any

from membrane.calls.default_pipeline import default_pipeline
from membrane.calls.guarded_call import Call
from membrane.calls.library import GuardedLibrary

FUNCTIONS = tuple(name for name in vars(GuardedLibrary) if not name.startswith("_"))
__all__ = ["Call", "GuardedLibrary", "default_library", *FUNCTIONS]


@functools.cache
def default_library() -> GuardedLibrary:
    """Return the library on the pipeline of the process, made at the first call."""
    return GuardedLibrary(default_pipeline())


def __getattr__(name: str) -> Any:
    if name in FUNCTIONS:
        return getattr(default_library(), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if TYPE_CHECKING:
    _library = default_library()
    malloc = _library.malloc
    calloc = _library.calloc
    realloc = _library.realloc
    free = _library.free
    memcpy = _library.memcpy
    memmove = _library.memmove
    memset = _library.memset
    memcmp = _library.memcmp
    memchr = _library.memchr
    strlen = _library.strlen
    strnlen = _library.strnlen
    strcpy = _library.strcpy
    strncpy = _library.strncpy
    strcat = _library.strcat
    strcmp = _library.strcmp
    strchr = _library.strchr
