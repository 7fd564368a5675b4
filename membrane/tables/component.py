"""Base of the components whose record holds addresses of tables outside it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, NoReturn, Self

import numpy as np

from runtime_math.monitors.base import Monitor


class _Owner:
    """Frees the tables of one record, once, in the process that made them or in its children."""

    def __init__(
        self, storage: np.ndarray[Any, np.dtype[np.void]], release: Callable[[np.void], None]
    ) -> None:
        self.storage = storage
        self.release = release
        self.open = True
        self.lock = threading.Lock()

    def close(self) -> None:
        with self.lock:
            if self.open:
                self.open = False
                self.release(self.storage[0])


class TableComponent(Monitor):
    """A component that grows tables in the C heap and gives them back when it dies.

    A subclass sets ``release``, the jitted function that frees the tables of a record. Such a
    component is not a value: it can neither be copied nor pickled.
    """

    release: Any = None
    initialise: Any = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        release = cls.__dict__.get("release")
        if release is not None:
            cls.release = staticmethod(release)

    def _bind(self, storage: np.ndarray[Any, np.dtype[np.void]]) -> None:
        super()._bind(storage)
        # Compiled now, on an empty record: the garbage collector may run the finalizer in the
        # middle of another compilation, where Numba can not start a second one.
        type(self).release(np.zeros(1, self.STATE)[0])
        owner = _Owner(storage, type(self).release)
        self._finalizer = weakref.finalize(self, owner.close)

    def close(self) -> None:
        """Give the tables back. The component must not be used afterwards."""
        self._finalizer()

    @property
    def closed(self) -> bool:
        """Whether the tables have been given back."""
        return not self._finalizer.alive

    def reset(self) -> None:
        """Return to the state at construction."""
        type(self).release(self.record)
        self._storage[:] = 0
        self.initialise(self.record, *self._parameters)

    def copy(self) -> Self:
        """Refuse: two records can not own the same tables."""
        raise TypeError(f"{type(self).__name__} owns memory and can not be copied")

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} owns memory and can not be pickled")
