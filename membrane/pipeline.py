"""The Python face of the pipeline: blocks as buffers, outcomes as values, errors as exceptions."""

import collections
import contextlib
import mmap
import os
import secrets
import threading
import weakref

import numpy as np

from membrane import arena, bloom, kernel_link, pipeline_entry, ptr_validator
from membrane.arena import FreeResult, Place
from membrane.buffers import buffer_range
from membrane.fingerprint import REFERENCE_KEY
from membrane.handle import Handle, Lease
from membrane.heal import HealingPolicy
from membrane.lattice import SafetyState
from membrane.metrics import Counter
from membrane.outcome import ValidationOutcome
from membrane.ptr_validator import Outcome
from runtime_math.calls_for import calls_for
from runtime_math.config import configured_mode
from runtime_math.kernel import RuntimeMathKernel
from runtime_math.types import SafetyLevel
from runtime_math.validation import member, uint64

RULES = ("reference", "repaired")
_PROCESS_KEY = tuple(np.uint64(secrets.randbits(64)) for _ in range(2))
COLLECTOR_POINTS = (
    pipeline_entry.free_epoch_entry,
    pipeline_entry.unpin_entry,
    pipeline_entry.release_entry,
)
_locked_pipelines: weakref.WeakSet = weakref.WeakSet()


def _renew_locks():
    for pipeline in _locked_pipelines:
        pipeline._lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_locks)


class _ThreadCache(threading.local):
    """The calling thread's validation cache."""

    def __init__(self, pipeline_address):
        self.storage = np.zeros(1, pipeline_entry.THREAD)
        self.storage["pipeline"] = pipeline_address
        self.address = self.storage.ctypes.data


class _Resources:
    """What outlives a pipeline until its last handle has gone: state, kernel, source."""

    def __init__(self, source):
        self.storage = np.zeros(1, ptr_validator.STATE)
        self.address = self.storage.ctypes.data
        self.source = source
        self.kernel = None
        self.pins = 0
        self.closing = False
        self.open = True
        self.departed = collections.deque()

    def settle(self):
        """Undo the pins of leases that are gone; release everything once a close is due."""
        while self.departed:
            address, epoch, forgotten, memory = self.departed.popleft()
            self.pins -= 1
            if not self.open:
                continue
            if forgotten:
                pipeline_entry.free_epoch_entry.address_call(self.address, address, epoch)
            pipeline_entry.unpin_entry.address_call(self.address, *memory)
        if self.closing and self.open and not self.pins:
            self.open = False
            pipeline_entry.release_entry.address_call(self.address)

    def close(self):
        """Release everything now, or when the last pin goes."""
        self.closing = True
        self.settle()


class ValidationPipeline:
    """Pointer validation in front of real memory.

    Parameters
    ----------
    mode : SafetyLevel or int, optional
        By default the mode of the environment variable ``GLIBC_RUST_MODE``.
    rules : {"repaired", "reference"}
        Which rule set; see `membrane.ptr_validator`.
    source : MemorySource, optional
        Where memory comes from; by default the C library.
    quarantine_max_bytes, quarantine_max_entries : int
        Limits of the quarantine: totals, or under reference rules per shard.

    Notes
    -----
    Threads may share a pipeline: every call is atomic. A child process may go on using its copy
    after a fork. Jitted code that works on `states` without the interpreter lock needs a lock of
    its own.

    Examples
    --------
    >>> pipeline = ValidationPipeline()
    >>> with pipeline.allocate(64) as block:
    ...     block[:5] = list(b"hello")
    ...     outcome = pipeline.validate(block.address + 60)
    >>> outcome.outcome, outcome.remaining
    (<Outcome.VALIDATED: 2>, 4)
    >>> pipeline.validate(outcome.address).outcome
    <Outcome.TEMPORAL_VIOLATION: 4>
    """

    def __init__(
        self,
        mode=None,
        rules="repaired",
        source=None,
        quarantine_max_bytes=arena.QUARANTINE_MAX_BYTES,
        quarantine_max_entries=arena.QUARANTINE_MAX_ENTRIES,
    ):
        if rules not in RULES:
            raise ValueError(f"rules must be one of {', '.join(RULES)}, got {rules!r}")
        self.rules = rules
        self.mode = SafetyLevel(
            configured_mode() if mode is None else member(SafetyLevel)("mode", mode)
        )
        self.repaired = rules == "repaired"
        self.kernel = RuntimeMathKernel(self.mode)
        self._resources = _Resources(source)
        self._resources.kernel = self.kernel
        self._start(
            uint64("quarantine_max_bytes", quarantine_max_bytes),
            uint64("quarantine_max_entries", quarantine_max_entries),
        )
        self._caches = _ThreadCache(self._resources.address)
        self._lock = contextlib.nullcontext()
        if source is not None:
            self._lock = threading.RLock()
            _locked_pipelines.add(self)
        self._validate = pipeline_entry.validate_entry.address_call
        # Whether a validation needs nothing but the compiled code, unless a lease has departed.
        self._direct = source is None
        self._departed = self._resources.departed
        self._finalizer = weakref.finalize(self, self._resources.close)
        self._finalizer.atexit = False

    def _start(self, quarantine_max_bytes, quarantine_max_entries):
        # Compiled now: the garbage collector may need them at a moment when nothing can be.
        for point in COLLECTOR_POINTS:
            point.address_call  # noqa: B018
        self.states = self._resources.storage
        record = self.states[0]
        if self._resources.source is not None:
            self._resources.source.connect(record["arena"]["source"])
        states = self.kernel.states
        kernel_link.connect(record["link"], states, calls_for(states.dtype))
        pipeline_entry.start_entry.address_call(
            self._resources.address,
            self.mode,
            self.repaired,
            *(_PROCESS_KEY if self.repaired else REFERENCE_KEY),
            quarantine_max_bytes,
            quarantine_max_entries,
            mmap.PAGESIZE,
            *bloom.sizing(bloom.DEFAULT_EXPECTED_ITEMS, bloom.DEFAULT_FALSE_POSITIVE_RATE),
        )
        if not record["bloom"]["words"]:
            raise MemoryError("no memory for the Bloom filter")

    def _call(self, point, *arguments):
        resources = self._resources
        if resources.closing:
            raise ValueError("the pipeline is closed")
        with self._lock:
            if resources.departed:
                resources.settle()
            result = point.address_call(resources.address, *arguments)
            if resources.source is not None:
                resources.source.raise_pending()
        return result

    # --- blocks -------------------------------------------------------------------------------

    def allocate_address(self, size, align=16):
        """Allocate and register a block.

        Parameters
        ----------
        size : int
            Bytes, 0 to 2^64 - 1.
        align : int, default 16
            A power of two; less than 16 counts as 16.

        Returns
        -------
        int or None
            Address of the first byte; None when the size, the alignment or the source fails.
        """
        size, align = int(uint64("size", size)), int(uint64("align", align))
        return self._call(pipeline_entry.allocate_entry, size, align) or None

    def allocate(self, size, align=16):
        """Allocate a block and return its handle, an array of bytes over the block itself.

        Returns
        -------
        Handle

        Raises
        ------
        ValueError
            The size is not from 0 to 2^64 - 1, or the alignment is not a power of two.
        MemoryError
            The source has no such block.
        """
        effective = max(int(uint64("align", align)), 16)
        if effective & (effective - 1):
            raise ValueError(f"align must be a power of two, got {align}")
        address = self.allocate_address(size, align)
        if address is None:
            raise MemoryError(f"no memory for {size} bytes aligned to {effective}")
        return Handle.of(Lease(self, address))

    def free(self, block):
        """Free a block.

        Parameters
        ----------
        block : int or Handle
            A base address, or a handle, which frees the very block it was made for.

        Returns
        -------
        FreeResult
        """
        if isinstance(block, Handle):
            return block.lease.free()
        return FreeResult(self._call(pipeline_entry.free_entry, int(uint64("address", block))))

    def register_allocation(self, base, size):
        """Declare a range as ours to the filter and the page oracle."""
        self._range(pipeline_entry.register_entry, base, size)

    def deregister_allocation(self, base, size):
        """Take a range out of the page oracle."""
        self._range(pipeline_entry.deregister_entry, base, size)

    def _range(self, point, base, size):
        base, size = int(uint64("base", base)), int(uint64("size", size))
        if size > 2**40:
            raise ValueError(f"size must be an integer from 0 to {2**40}, got {size}")
        self._call(point, base, size)

    # --- validation ---------------------------------------------------------------------------

    def validate(self, target):
        """Classify an address, or the start of a buffer.

        Parameters
        ----------
        target : int or buffer
            An address from 0 to 2^64 - 1, or any object with a contiguous buffer: it is alive, so
            where the membrane does not own its memory, somebody else does.

        Returns
        -------
        ValidationOutcome
        """
        if target.__class__ is int and self._direct and not self._departed:
            try:
                return self._validate(self._caches.address, target)
            except OverflowError:
                uint64("address", target)
                raise
        if isinstance(target, (int, np.integer)):
            return self._classify(int(uint64("address", target)))
        address, length = buffer_range(target)
        found = self._classify(address)
        if found.outcome not in (Outcome.FOREIGN, Outcome.RELEASED, Outcome.WILD):
            return found
        if not self.disown(address, length):
            return found
        return ValidationOutcome(
            Outcome.FOREIGN, address, SafetyState.UNKNOWN, address, length, None
        )

    def _classify(self, address):
        resources = self._resources
        if resources.closing:
            raise ValueError("the pipeline is closed")
        with self._lock:
            if resources.departed:
                resources.settle()
            found = self._validate(self._caches.address, address)
            if resources.source is not None:
                resources.source.raise_pending()
        return found

    def disown(self, address, size):
        """Forget blocks that were released from a range which somebody else is known to own.

        Returns
        -------
        bool
            False where nobody else can own it: a view keeps the memory of a freed block.
        """
        return not self.repaired or self._call(pipeline_entry.disown_entry, address, size)

    def locate(self, address):
        """Return the `Place` of an address and the block it belongs to; tells the kernel nothing.

        Returns
        -------
        tuple of (Place, arena.Block or None)
        """
        point = pipeline_entry.locate_entry
        place, *facts = self._call(point, int(uint64("address", address)))
        if place == Place.NOWHERE:
            return Place.NOWHERE, None
        return Place(place), arena.Block(*facts[:4], SafetyState(facts[4]))

    def mapped_span(self, address, size):
        """Return how many of `size` bytes from an address on the process has before a hole."""
        span = (int(uint64("address", address)), int(uint64("size", size)))
        return self._call(pipeline_entry.mapped_span_entry, *span)

    def foreign_span(self, address, size):
        """Return how many of `size` foreign bytes there are before a hole or a block of ours."""
        span = (int(uint64("address", address)), int(uint64("size", size)))
        return self._call(pipeline_entry.foreign_span_entry, *span)

    @property
    def record(self):
        """State of the arena (what `Arena` has in its place)."""
        return self.states[0]["arena"]

    # --- reports ------------------------------------------------------------------------------

    def metrics(self):
        """Return the fourteen counters by name."""
        counts = self.states[0]["metrics"]["counts"].tolist()
        return dict(zip((counter.name.lower() for counter in Counter), counts, strict=True))

    def cache_statistics(self):
        """Return (hits, misses) of the calling thread's cache."""
        cache = self._caches.storage[0]["cache"]
        return int(cache["hits"]), int(cache["misses"])

    @property
    def healing(self):
        """The table of repairs of this pipeline, with its counters."""
        policy = object.__new__(HealingPolicy)
        policy._parameters = ()
        policy._bind(self.states["healing"])
        return policy

    def note_healing(self, kind, counter=None):
        """Count a repair that was made, in the policy and in the metrics.

        Parameters
        ----------
        kind : Healing
        counter : Counter, optional
            Besides `Counter.HEALS`.
        """
        self.healing.note(kind)
        counts = self.states[0]["metrics"]["counts"]
        for index in (Counter.HEALS, counter):
            if index is not None:
                counts[index] += np.uint64(1)

    def statistics(self):
        """Return rules, mode, blocks and bytes in use and in quarantine, metrics and repairs."""
        record = self.record
        quarantines = record["shards"]["quarantine"]
        return {
            "rules": self.rules,
            "mode": self.mode.name.lower(),
            "live_blocks": int(record["live_count"]),
            "live_bytes": int(record["live_bytes"]),
            "quarantined_blocks": int(quarantines["count"].sum()),
            "quarantined_bytes": int(quarantines["bytes"].sum()),
            "graves": int(record["graves"]["count"]),
            "metrics": self.metrics(),
            "repairs": self.healing.counters(),
        }

    def last_trace(self):
        """Return the kernel calls of the latest validation; see `ptr_validator.TRACE`."""
        return self.states[0]["trace"].copy()

    def __repr__(self):
        return f"<ValidationPipeline rules={self.rules} mode={self.mode.name.lower()}>"

    # --- end of life --------------------------------------------------------------------------

    def close(self):
        """Release all memory, blocks in use included; memory under a view goes with the view."""
        with self._lock:
            self._direct = False
            self._finalizer()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
