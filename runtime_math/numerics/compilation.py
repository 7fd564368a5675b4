"""The one decorator behind every jitted function of this project.

Most jitted functions here are only ever called by other jitted code, and a kernel is made of some
four hundred of them. Compiling each of them all the way, with wrappers for Python and machine code
that nobody runs, takes longer than compiling what is really entered. So `jitted` stops at
unoptimised LLVM code that callers link and optimise as a whole; only when such a function is called
from Python is it compiled to the end. `entry_jitted` compiles what is entered, and caches it.

All of it rests on parts of Numba that are not public (see `numba_internals`). Where a release has
changed them, both decorators are `numba.njit` with its own cache: the same results, a slower start.
"""

import contextlib
import dis
import functools
import os
from types import FunctionType
from typing import Any

import numba
from numba.core.registry import CPUDispatcher

try:
    from runtime_math.numerics import numba_internals
except (ImportError, AttributeError):  # a release of Numba that has moved them
    numba_internals = None  # type: ignore[assignment]

PLAIN_VARIABLE = "RUNTIME_MATH_PLAIN_NUMBA"
# IEEE semantics throughout: recorded decisions depend on the last bit, so no fastmath, and a
# division by zero gives inf or nan instead of an exception.
_OPTIONS = {"error_model": "numpy", "fastmath": False}


def _unusable():
    """Why Numba's internals cannot be used here, or None where they can."""
    if os.environ.get(PLAIN_VARIABLE):
        return f"{PLAIN_VARIABLE} is set"
    if numba_internals is None:
        return f"Numba {numba.__version__} is unknown to this release"
    missing = numba_internals.missing()
    return f"Numba {numba.__version__} has no {missing[0]}" if missing else None


_REASON = _unusable()


def compilation_mode():
    """How jitted functions are compiled here, in a few words.

    Examples
    --------
    >>> compilation_mode().split(":")[0] in ("linked", "plain")
    True
    """
    return "linked" if _REASON is None else f"plain: {_REASON}"


def _make(kind, function, options):
    if _REASON is not None:
        return _plain(function, options)
    return getattr(numba_internals, kind)(function, options)


def jitted(function: Any = None, /, **options: Any) -> Any:
    """Compile a function with Numba under the rules of this project, for use by jitted code.

    Calling it from Python works, too; the machine code for that is made at the first such call.

    Parameters
    ----------
    function : callable, optional
        The function; omitted when options are given.
    **options
        Options of `numba.njit`, for instance ``inline="always"``.

    Returns
    -------
    numba dispatcher

    Examples
    --------
    >>> @jitted
    ... def double(number):
    ...     return number + number
    >>> double(21)
    42
    """
    if function is None:
        return functools.partial(jitted, **options)
    return _make("LinkedDispatcher", function, {**_OPTIONS, **options})


def entry_jitted(function: Any = None, /, **options: Any) -> Any:
    """Compile a function that Python, or users' jitted code, enters; keep the result on disk.

    Parameters
    ----------
    function : callable, optional
        The function; omitted when options are given.
    **options
        Options of `numba.njit`, for instance ``nogil=True``.

    Returns
    -------
    numba dispatcher
        Compiled at the first call of each signature, or loaded from the cache.
    """
    if function is None:
        return functools.partial(entry_jitted, **options)
    return _make("EntryDispatcher", function, {**_OPTIONS, **options})


def _plain(function, options):
    """Numba's own decorator and cache, for a Numba whose internals are not known."""
    dispatcher = numba.njit(function, **options)
    with contextlib.suppress(RuntimeError):  # no folder for the cache can be written to
        dispatcher.enable_caching()
    return dispatcher


def interpreted(dispatcher):
    """Plain-Python twin of a jitted function: what it calls is interpreted, too.

    For code that runs once, where compiling would cost a thousand times the run.

    Parameters
    ----------
    dispatcher : numba dispatcher

    Returns
    -------
    types.FunctionType
    """
    function = dispatcher.py_func
    namespace = dict(function.__globals__)
    twin = FunctionType(function.__code__, namespace, function.__name__, function.__defaults__)
    for instruction in dis.get_instructions(function):
        name = instruction.argval
        if instruction.opname == "LOAD_GLOBAL" and isinstance(namespace.get(name), CPUDispatcher):
            namespace[name] = interpreted(namespace[name])
    return twin
