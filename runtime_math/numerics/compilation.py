"""The one decorator behind every jitted function of this project, and its compile cache.

Most jitted functions here are only ever called by other jitted code, and a kernel is made of some
four hundred of them. Compiling each of them all the way, with wrappers for Python and machine code
that nobody runs, takes longer than compiling what is really entered. So `jitted` stops at
unoptimised LLVM code that callers link and optimise as a whole; only when such a function is called
from Python is it compiled to the end. `entry_jitted` compiles what is entered, and caches it.

Numba's own on-disk cache looks at the file of the decorated function only. A kernel that inlines
functions of fifty other files would go on running old machine code after one of those files
changed. The cache here is stamped with the *contents* of every source file that the function's
module can reach, so an edit or an upgrade recompiles exactly what it touches, and an unchanged
checkout never recompiles. It also survives what a cache should survive: an install that cannot be
written to, a truncated cache file, a full disk.
"""

import contextlib
import dis
import functools
import gc
import hashlib
import re
import sys
import warnings
from types import FunctionType, ModuleType

from numba import types
from numba.core import typed_passes, untyped_passes
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, DefaultPassBuilder
from numba.core.errors import NumbaWarning
from numba.core.registry import CPUDispatcher
from numba.core.runtime import rtsys

_IMPORT = re.compile(rb"^(?:from|import) ([\w.]+)", re.MULTILINE)
# IEEE semantics throughout: recorded decisions depend on the last bit, so no fastmath, and a
# division by zero gives inf or nan instead of an exception.
_OPTIONS = {"error_model": "numpy", "fastmath": False}

# Garbage of some ten megabytes may pile up before it is collected.
_COMPILING_THRESHOLDS = (100_000, 50, 1000)


def jitted(function=None, /, **options):
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
    return _LinkedDispatcher(function, {**_OPTIONS, **options})


def entry_jitted(function=None, /, **options):
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
    return _EntryDispatcher(function, {**_OPTIONS, **options})


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


class _EntryDispatcher(CPUDispatcher):
    """Dispatcher of a function that is entered from outside, with this project's cache."""

    def __init__(self, function, options):
        super().__init__(function, targetoptions=_nopython(options))
        self._cache = DependencyCache(function)

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


# Passes for what jitted functions of this project do not contain: nested functions and generator
# expressions, array expressions, `with` blocks, calls of `literally`, overloads to inline.
_NEEDLESS_PASSES = {
    untyped_passes.WithLifting,
    untyped_passes.InlineClosureLikes,
    untyped_passes.MakeFunctionToJitFunction,
    untyped_passes.FindLiterallyCalls,
    untyped_passes.LiteralUnroll,
    untyped_passes.RewriteDynamicRaises,
    typed_passes.InlineOverloads,
    typed_passes.NopythonRewrites,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.AnnotateTypes,
    typed_passes.DumpParforDiagnostics,
}


class _LinkedCompiler(Compiler):
    """Numba's compiler, ending with a library to link instead of machine code."""

    def define_pipelines(self):
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.passes = [step for step in manager.passes if step[0] not in _NEEDLESS_PASSES]
        manager._finalized = False
        manager.finalize()
        return [manager]

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


class _LinkedDispatcher(CPUDispatcher):
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
        return entry_jitted(self.py_func, **self._twin_options)

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


@functools.cache
def _source(path):
    with open(path, "rb") as source:
        return source.read()


def _root_package(name):
    return name.partition(".")[0]


def _referenced_modules(module, root):
    """Names of the modules `module` refers to: of the package `root`, and of any jitted code."""
    # Constants do not tell where they come from, import statements do.
    imported = (name.decode() for name in _IMPORT.findall(_source(module.__file__)))
    names = {name for name in imported if _root_package(name) == root}
    for value in vars(module).values():
        if isinstance(value, ModuleType):
            name = value.__name__
            if any(isinstance(item, CPUDispatcher) for item in vars(value).values()):
                names.add(name)
        elif isinstance(value, CPUDispatcher):
            names.add(value.py_func.__module__)
            continue
        else:
            name = getattr(value, "__module__", None)
        if isinstance(name, str) and _root_package(name) == root:
            names.add(name)
    return names


@functools.cache
def source_stamp(module_name):
    """Digest of all source files that the jitted code of a module can depend on.

    Parameters
    ----------
    module_name : str
        Name of an imported module.

    Returns
    -------
    str
        Hexadecimal SHA-256 over the module's file and the files of every module of the same
        package, or with jitted functions, that it refers to, directly or through others.
    """
    root = _root_package(module_name)
    pending, seen = [module_name], set()
    while pending:
        name = pending.pop()
        module = sys.modules.get(name)
        if name in seen or module is None or not getattr(module, "__file__", None):
            continue
        seen.add(name)
        pending.extend(_referenced_modules(module, _root_package(name)))
    digest = hashlib.sha256(root.encode())
    for name in sorted(seen):
        digest.update(f"{name}:".encode())
        digest.update(hashlib.sha256(_source(sys.modules[name].__file__)).digest())
    return digest.hexdigest()


class _StampedFunctionCache(FunctionCache):
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


class DependencyCache:
    """Compile cache of one function, opened at its first use.

    Parameters
    ----------
    function : callable
        The Python function behind the dispatcher.
    """

    def __init__(self, function):
        self._function = function
        self._enabled = True

    @functools.cached_property
    def _cache(self):
        try:
            return _StampedFunctionCache(self._function)
        except RuntimeError:  # Numba's way to say that no folder can be written to
            return None

    @property
    def cache_path(self):
        """Folder of the cache files, or None where no folder can be written to."""
        return self._cache.cache_path if self._cache is not None else None

    def load_overload(self, signature, target_context):
        """Return the cached compile result of a signature, or None."""
        if not self._enabled or self._cache is None:
            return None
        try:
            return self._cache.load_overload(signature, target_context)
        except Exception as error:  # a damaged file may fail in any way that unpickling can fail
            self._warn(f"unreadable compile cache entry ignored ({error})")
            return None

    def save_overload(self, signature, result):
        """Keep a compile result for later processes; a full or read-only disk is not an error."""
        if not self._enabled or self._cache is None:
            return
        try:
            self._cache.save_overload(signature, result)
        except OSError as error:
            self._warn(f"compile cache not written ({error})")

    def enable(self):
        """Use the cache."""
        self._enabled = True

    def disable(self):
        """Neither read nor write the cache."""
        self._enabled = False

    def flush(self):
        """Forget the entries of this function."""
        if self._cache is not None:
            self._cache.flush()

    def _warn(self, message):
        warnings.warn(f"{self._function.__qualname__}: {message}", NumbaWarning, stacklevel=3)
