"""What belongs to a pipeline but not to its object: memory that threads and handles hold on to."""

from __future__ import annotations

import collections
import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from membrane.blocks.memory_source import MemorySource
from membrane.pipeline import compiled
from membrane.stages.state import STATE
from runtime_math.kernel import RuntimeMathKernel
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.types import SafetyLevel


class Memory(NamedTuple):
    """The memory of a block, guards included."""

    raw_base: int
    total: int
    align: int


class Departure(NamedTuple):
    """A lease that is gone: what is still to be done about its block."""

    address: int
    epoch: int
    forgotten: bool
    memory: Memory


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
        self.pins = 0
        self.closing = False
        self.open = True
        self.departed: collections.deque[Departure] = collections.deque()
        # Compiled code is entered with the interpreter's lock; a source gives it up in between.
        self.lock: AbstractContextManager[Any] = contextlib.nullcontext()
        if source is not None:
            self.lock = threading.RLock()
            _with_locks.add(self)

    def call(self, point: EntryPoint, *arguments: int) -> Any:
        """Call an entry point on the state."""
        return self.run(point.address_call, self.address, *arguments)

    def run(self, function: Callable[..., Any], *arguments: int) -> Any:
        """Call compiled code, alone where a source may give up the interpreter's lock."""
        if self.closing:
            raise ValueError("the pipeline is closed")
        with self.lock:
            if self.departed:
                self.settle()
            result = function(*arguments)
            if self.source is not None:
                self.source.raise_pending()
        return result

    def settle(self) -> None:
        """Undo the pins of leases that are gone; release everything once a close is due."""
        while self.departed:
            address, epoch, forgotten, memory = self.departed.popleft()
            self.pins -= 1
            if not self.open:
                continue
            if forgotten:
                compiled.free_epoch_entry.address_call(self.address, address, epoch)
            compiled.unpin_entry.address_call(self.address, *memory)
        if self.closing and self.open and not self.pins and not self.storage["call_pins"][0]:
            self.open = False
            compiled.release_entry.address_call(self.address)

    def unpin(self, regions_address: int, count: int) -> None:
        """Undo the pins of a guarded call, also while the pipeline is being closed."""
        with self.lock:
            compiled.unpin_regions_entry.address_call(regions_address, count)
            self.settle()

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
