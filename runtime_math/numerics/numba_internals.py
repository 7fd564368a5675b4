"""Every part of Numba that is not public and that the compiler of this project rests on.

`missing` tells what a release of Numba no longer has. `compilation` asks before it uses anything
of this module, and goes on without it where the answer is not empty.
"""

import contextlib
import functools
import gc

from numba import types
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.core.runtime import rtsys

from runtime_math.numerics.compile_cache import DependencyCache
from runtime_math.numerics.source_stamp import source_stamp

# Garbage of some ten megabytes may pile up before it is collected.
_COMPILING_THRESHOLDS = (100_000, 50, 1000)

_REQUIRED = {
    JITCodeLibrary: (
        "_optimize_final_module",
        "_finalize_final_module",
        "_finalize_dynamic_globals",
    ),
    Compiler: ("compile_extra",),
    CPUDispatcher: ("_compile_for_args", "_insert", "add_overload", "get_call_template"),
    FunctionCache: ("_load_overload", "_guard_against_spurious_io_errors", "save_overload"),
    type(rtsys): ("initialize",),
}


def missing():
    """Names of what this project uses and the installed Numba does not have.

    Returns
    -------
    list of str

    Examples
    --------
    >>> missing()
    []
    """
    return [
        f"{owner.__name__}.{name}"
        for owner, names in _REQUIRED.items()
        for name in names
        if not hasattr(owner, name)
    ]


class StampedFunctionCache(FunctionCache):
    """Numba's function cache with our stamp in place of the single file's."""

    def __init__(self, function):
        super().__init__(function)
        self._cache_file._source_stamp = source_stamp(function.__module__)

    def load_overload(self, signature, target_context):
        # Numba's own first fills its tables of typing rules, which takes longer than all the rest
        # of a start. Code that is only run needs no more than the runtime's symbols; a compilation
        # that follows fills the tables itself.
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(signature, target_context)


def _nopython(options):
    return {**options, "nopython": True, "boundscheck": None}


@contextlib.contextmanager
def _rare_collections():
    """Let the garbage collector run seldom: it takes a fifth of a long compilation otherwise."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*_COMPILING_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


class EntryDispatcher(CPUDispatcher):
    """Dispatcher of a function that is entered from outside, with this project's cache."""

    def __init__(self, function, options):
        super().__init__(function, targetoptions=_nopython(options))
        self._cache = DependencyCache(function, StampedFunctionCache)

    def compile(self, sig):
        with _rare_collections():
            return super().compile(sig)


class _LinkedLibrary(JITCodeLibrary):
    """Code that is linked into its callers and optimised there, never run on its own."""

    def _optimize_final_module(self):
        """Left to the library that this one is linked into."""

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._finalized = True


class _LinkedCompiler(Compiler):
    """Numba's compiler, ending with a library to link instead of machine code."""

    def compile_extra(self, func):
        state = self.state
        state.library = _LinkedLibrary(state.targetctx.codegen(), func.__qualname__)
        for flag in ("no_compile", "no_cpython_wrapper", "no_cfunc_wrapper"):
            setattr(state.flags, flag, True)
        result = super().compile_extra(func)
        # Numba finds the code of a callee by its entry point; without one, any unique object does.
        key = object()
        state.targetctx.insert_user_function(key, result.fndesc, [result.library])
        return result._replace(entry_point=key)


class LinkedDispatcher(CPUDispatcher):
    """Dispatcher of a function that jitted code links; Python calls go to a complete twin."""

    def __init__(self, function, options):
        self._twin_options = options
        super().__init__(
            function,
            targetoptions=_nopython(options),
            pipeline_class=_LinkedCompiler,
        )

    @functools.cached_property
    def for_python(self):
        """Twin that is compiled to the end, with its own cache entry."""
        return EntryDispatcher(self.py_func, self._twin_options)

    def get_call_template(self, args, kws):
        # A constant argument has a type of its own, which would compile the function once more.
        kws = {name: types.unliteral(kind) for name, kind in kws.items()}
        return super().get_call_template(tuple(map(types.unliteral, args)), kws)

    def add_overload(self, cres):
        # Numba's table of entry points for calls from Python stays without this one.
        self.overloads[tuple(cres.signature.args)] = cres

    def _compile_for_args(self, *args, **kws):
        entry_point = self.for_python._compile_for_args(*args, **kws)
        for arguments, result in self.for_python.overloads.items():
            self._insert([kind._code for kind in arguments], result.entry_point, False)
        return entry_point
