"""The compile cache on disk: stamped with everything that a function depends on.

Numba's own on-disk cache looks at the file of the decorated function only. A kernel that inlines
functions of fifty other files would go on running old machine code after one of those files
changed. The cache here is stamped with the *contents* of every source file that the function's
module depends on (see `source_stamp`), so an edit or an upgrade recompiles exactly what it touches,
and an unchanged checkout never recompiles. It also survives what a cache should survive: an install
that cannot be written to, a truncated cache file, a full disk.
"""

import functools
import warnings

from numba.core.errors import NumbaWarning


class DependencyCache:
    """Compile cache of one function, opened at its first use.

    Parameters
    ----------
    function : callable
        The Python function behind the dispatcher.
    open_cache : callable
        Takes the function and returns Numba's cache of it.
    """

    def __init__(self, function, open_cache):
        self._function = function
        self._open_cache = open_cache
        self._enabled = True

    @functools.cached_property
    def _cache(self):
        try:
            return self._open_cache(self._function)
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
