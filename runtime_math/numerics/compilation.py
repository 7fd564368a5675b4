"""The one decorator behind every jitted function of this project, and its compile cache.

Numba's own on-disk cache looks at the file of the decorated function only. A kernel that inlines
functions of fifty other files would go on running old machine code after one of those files
changed. The cache here is stamped with the *contents* of every source file that the function's
module can reach, so an edit or an upgrade recompiles exactly what it touches, and an unchanged
checkout never recompiles. It also survives what a cache should survive: an install that cannot be
written to, a truncated cache file, a full disk.
"""

import dis
import functools
import hashlib
import sys
import warnings
from types import FunctionType, ModuleType

from numba import njit
from numba.core.caching import FunctionCache
from numba.core.errors import NumbaWarning
from numba.core.registry import CPUDispatcher

# IEEE semantics throughout: recorded decisions depend on the last bit, so no fastmath, and a
# division by zero gives inf or nan instead of an exception.
_OPTIONS = {"error_model": "numpy", "fastmath": False}


def jitted(function=None, /, **options):
    """Compile a function with Numba under the rules of this project.

    Parameters
    ----------
    function : callable, optional
        The function; omitted when options are given.
    **options
        Options of `numba.njit`, for instance ``nogil=True`` or ``inline="always"``.

    Returns
    -------
    numba dispatcher
        Compiled at the first call of each signature, or loaded from the cache.

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
    dispatcher = njit(**{**_OPTIONS, **options})(function)
    dispatcher._cache = DependencyCache(function)
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


@functools.cache
def _file_digest(path):
    with open(path, "rb") as source:
        return hashlib.sha256(source.read()).hexdigest()


def _root_package(name):
    return name.partition(".")[0]


def _referenced_modules(module, root):
    """Names of the modules `module` refers to: of the package `root`, and of any jitted code."""
    names = set()
    for value in vars(module).values():
        if isinstance(value, ModuleType):
            name = value.__name__
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
        package that it refers to, directly or through others.
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
        digest.update(f"{name}={_file_digest(sys.modules[name].__file__)};".encode())
    return digest.hexdigest()


class _StampedFunctionCache(FunctionCache):
    """Numba's function cache with our stamp in place of the single file's."""

    def __init__(self, function):
        super().__init__(function)
        self._cache_file._source_stamp = source_stamp(function.__module__)


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
