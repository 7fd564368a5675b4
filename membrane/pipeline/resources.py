"""What belongs to a pipeline but not to its object: memory that threads and handles hold on to."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from membrane.blocks.memory_source import MemorySource
from membrane.pipeline import compiled
from membrane.stages.state import STATE
from runtime_math.kernel import RuntimeMathKernel
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.types import SafetyLevel


class ThreadCache(threading.local):
    """The calling thread's validation cache."""

    def __init__(self, pipeline_address: int) -> None:
        self.storage = np.zeros(1, compiled.THREAD)
        self.storage["pipeline"] = pipeline_address
        self.address: int = self.storage.ctypes.data


class Resources:
    """What outlives a pipeline until its last handle has gone: state, kernel, source.

    Parameters
    ----------
    source : MemorySource or None
    kernel : RuntimeMathKernel or None
    mode : SafetyLevel
    repaired : bool
        Whether the rules are the repaired ones.
    """

    def __init__(
        self,
        source: MemorySource | None,
        kernel: RuntimeMathKernel | None,
        mode: SafetyLevel,
        repaired: bool,
    ) -> None:
        self.storage = np.zeros(1, STATE)
        self.address: int = self.storage.ctypes.data
        self.source = source
        self.kernel = kernel
        self.mode = mode
        self.repaired = repaired
        self.closing = False
        # Objects that the state refers to.
        self.kept: tuple[object, ...] = ()
        # Compiled code is entered with the interpreter's lock; a source gives it up in between.
        self.lock: AbstractContextManager[Any] = contextlib.nullcontext()
        if source is not None:
            self.lock = threading.RLock()
            _with_locks.add(self)

    @property
    def open(self) -> bool:
        """Whether there are tables and blocks: not any more after the end of a close."""
        return not self.storage["released"][0]

    @property
    def pins(self) -> int:
        """How many blocks have arrays over them, or had when last something was done."""
        return int(self.storage["leases"][0])

    def call(self, point: EntryPoint, *arguments: int) -> Any:
        """Call an entry point on the state."""
        return self.run(point.address_call, self.address, *arguments)

    def run(self, function: Callable[..., Any], *arguments: int) -> Any:
        """Call compiled code, alone where a source may give up the interpreter's lock."""
        if self.closing:
            raise ValueError("the pipeline is closed")
        if self.source is None:
            return function(*arguments)
        with self.lock:
            result = function(*arguments)
            self.source.raise_pending()
        return result

    def settle(self) -> None:
        """Undo the pins of leases that are gone; release everything once a close is due."""
        with self.lock:
            compiled.settle_entry.address_call(self.address)

    def close(self) -> None:
        """Release everything now, or when the last pin goes: that of a handle or of a call."""
        self.closing = True
        self.storage["closing"] = 1
        self.settle()


_with_locks: weakref.WeakSet[Resources] = weakref.WeakSet()


def _renew_locks() -> None:
    for resources in _with_locks:
        resources.lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_locks)
