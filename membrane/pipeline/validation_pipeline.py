"""The Python face of the pipeline: blocks as buffers, outcomes as values, errors as exceptions."""

from __future__ import annotations

import functools
import mmap
import secrets
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, get_args

import numpy as np

from membrane.blocks.arena import (
    FREE_RESULTS,
    QUARANTINE_MAX_BYTES,
    QUARANTINE_MAX_ENTRIES,
    Block,
    FreeResult,
)
from membrane.blocks.fingerprint import REFERENCE_KEY
from membrane.blocks.lattice import SafetyState
from membrane.blocks.lookup import Place
from membrane.blocks.memory_source import MemorySource
from membrane.errors import UseAfterFreeError
from membrane.pipeline import compiled, handle_machine
from membrane.pipeline import handle as handles
from membrane.pipeline.handle import Handle
from membrane.pipeline.known_memory import KnownMemory
from membrane.pipeline.layouts import layouts_are_known
from membrane.pipeline.outcome import ReadOnlyOutcome, ValidationOutcome
from membrane.pipeline.pointer_argument import pointer_argument
from membrane.pipeline.resources import Resources, ThreadCache
from membrane.stages import kernel_link
from membrane.stages.heal import Healing, HealingPolicy
from membrane.stages.metrics import Counter
from membrane.stages.outcomes import Outcome
from membrane.tables.bloom import DEFAULT_EXPECTED_ITEMS, DEFAULT_FALSE_POSITIVE_RATE, sizing
from membrane.tables.words import LARGEST_BLOCK
from runtime_math.calls_for import calls_for
from runtime_math.config import configured_mode
from runtime_math.kernel import RuntimeMathKernel
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.types import SafetyLevel
from runtime_math.validation import integer, member, uint64

if TYPE_CHECKING:
    from membrane.pipeline.pointer_argument import Address, Pointer

Rules: TypeAlias = Literal["reference", "repaired"]
RULES: tuple[Rules, ...] = get_args(Rules)
Policy: TypeAlias = Literal["faithful", "calibrated"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
_PROCESS_KEY = tuple(np.uint64(secrets.randbits(64)) for _ in range(2))
_range_size = integer(0, LARGEST_BLOCK)
# Outcomes that say that no block of this pipeline is there.
_UNKNOWN_HERE = (Outcome.FOREIGN, Outcome.RELEASED, Outcome.WILD)
_PRESENT = SafetyState.QUARANTINED


def _kernel(mode: SafetyLevel, policy: Policy | None) -> RuntimeMathKernel | None:
    if policy is None:
        return None
    settings = {"monitors": "none"} if policy == "calibrated" else {}
    return RuntimeMathKernel(mode, policy, **settings)


def _word(name: str, number: int) -> int:
    """A number from 0 to 2^64 - 1; the usual case without a call."""
    if number.__class__ is int and 0 <= number < 2**64:
        return number
    return int(uint64(name, number))


def _nowhere(number: int, outcome: Outcome = Outcome.WILD) -> ValidationOutcome:
    """What a number is that is no address, or none any more."""
    return ValidationOutcome(outcome, number % 2**64, SafetyState.INVALID, None, None, None)


class ValidationPipeline:
    """Pointer validation in front of real memory.

    Parameters
    ----------
    mode : SafetyLevel or int, optional
        By default the mode of the environment variable ``GLIBC_RUST_MODE``.
    rules : {"repaired", "reference"}
        Which rule set; see `membrane.stages.seven_stages`.
    source : MemorySource, optional
        Where memory comes from; by default the C library.
    quarantine_max_bytes, quarantine_max_entries : int
        Limits of the quarantine: totals, or under reference rules per shard.
    policy : {"faithful", "calibrated"}, optional
        Of the kernel that is asked about every pointer and every guarded call. None: there is no
        kernel, and everything is checked fully. By default the calibrated one without the
        monitors under the repaired rules, and the faithful one under the reference's.

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
        mode: SafetyLevel | int | None = None,
        rules: Rules = "repaired",
        source: MemorySource | None = None,
        quarantine_max_bytes: int = QUARANTINE_MAX_BYTES,
        quarantine_max_entries: int = QUARANTINE_MAX_ENTRIES,
        policy: Policy | Literal["default"] | None = "default",
    ) -> None:
        if rules not in RULES:
            raise ValueError(f"rules must be one of {', '.join(RULES)}, got {rules!r}")
        if policy == "default":
            policy = "faithful" if rules == "reference" else "calibrated"
        if policy is not None and policy not in POLICIES:
            allowed = f"None or one of {', '.join(POLICIES)}"
            raise ValueError(f"policy must be {allowed}, got {policy!r}")
        self.rules: Rules = rules
        self.mode = SafetyLevel(
            configured_mode() if mode is None else member(SafetyLevel)("mode", mode)
        )
        self.repaired = rules == "repaired"
        self.kernel = _kernel(self.mode, policy)
        self._resources = Resources(source, self.kernel, self.mode, self.repaired)
        self.states = self._resources.storage
        self._start(
            uint64("quarantine_max_bytes", quarantine_max_bytes),
            uint64("quarantine_max_entries", quarantine_max_entries),
        )
        self._caches = ThreadCache(self._resources.address)
        self._validate: Callable[[int, Any], ValidationOutcome]
        self._validate = compiled.validate_entry.address_call
        # Whether a validation needs nothing but the compiled code.
        self._direct = source is None
        self._finalizer = weakref.finalize(self, self._resources.close)
        self._finalizer.atexit = False
        _open_pipelines.add(self)

    def _start(self, quarantine_max_bytes: np.uint64, quarantine_max_entries: np.uint64) -> None:
        _load()
        record = self.states[0]
        record["is_direct"] = self.repaired and self._resources.source is None
        self._resources.kept = handles.connect(record)
        self._maker = None
        if record["is_direct"]:
            self._maker = handle_machine.maker(self._resources.address, self._resources, Handle)
        if self._resources.source is not None:
            self._resources.source.connect(record["arena"]["source"])
        if self.kernel is not None:
            states = self.kernel.states
            kernel_link.connect(record["link"], states, calls_for(states.dtype))
        compiled.start_entry.address_call(
            self._resources.address,
            self.mode,
            self.repaired,
            *(_PROCESS_KEY if self.repaired else REFERENCE_KEY),
            quarantine_max_bytes,
            quarantine_max_entries,
            mmap.PAGESIZE,
            *sizing(DEFAULT_EXPECTED_ITEMS, DEFAULT_FALSE_POSITIVE_RATE),
        )
        if not record["bloom"]["words"]:
            raise MemoryError("no memory for the Bloom filter")

    @property
    def resources(self) -> Resources:
        """What outlives the pipeline until its last handle has gone."""
        return self._resources

    @property
    def is_direct(self) -> bool:
        """Whether compiled code may work on the state with no lock but the interpreter's."""
        return self._direct

    def _call(self, point: EntryPoint, *arguments: int) -> Any:
        return self._resources.call(point, *arguments)

    # --- blocks -------------------------------------------------------------------------------

    def allocate_address(self, size: int, align: int = 16) -> int | None:
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
        words = _word("size", size), _word("align", align)
        address: int = self._call(compiled.allocate_entry, *words)
        return address or None

    def allocate(self, size: int, align: int = 16) -> Handle:
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
        return self._allocate(size, align)

    def _allocate(self, size: int, align: int = 16) -> Handle:
        effective = max(_word("align", align), 16)
        if effective & (effective - 1):
            raise ValueError(f"align must be a power of two, got {align}")
        return Handle.of(self._resources, self, _word("size", size), effective)

    def free(self, block: Pointer) -> FreeResult:
        """Free a block.

        Parameters
        ----------
        block : int, Handle or another pointer
            A base address (see `pointer_argument` for what stands for one), or a handle, which
            frees the very block it was made for.

        Returns
        -------
        FreeResult
        """
        if isinstance(block, Handle):
            return block.release()
        if block.__class__ is int and 0 < block < 2**64:
            address = block
        else:
            pointer = pointer_argument(block, "block")
            pointer.release()
            if pointer.fault is not None:
                return FreeResult.FOREIGN_POINTER
            address = pointer.address
        code: int = self._call(compiled.free_entry, address)
        return FREE_RESULTS[code]

    def register_allocation(self, base: Address, size: int) -> None:
        """Declare a range as ours to the filter and the page oracle."""
        self._range(compiled.register_entry, base, size)

    def deregister_allocation(self, base: Address, size: int) -> None:
        """Take a range out of the page oracle."""
        self._range(compiled.deregister_entry, base, size)

    def _range(self, point: EntryPoint, base: Address, size: int) -> None:
        self._call(point, int(uint64("base", base)), _range_size("size", size))

    # --- validation ---------------------------------------------------------------------------

    def validate(self, target: Pointer) -> ValidationOutcome:
        """Classify an address, or the start of a buffer.

        Parameters
        ----------
        target : int, buffer or another pointer
            An address, or what stands for one (see `pointer_argument`); a number that is none,
            such as -1, is wild. An object that keeps its memory alive proves that, where the
            membrane does not own it, somebody else does; a view of an address proves nothing.

        Returns
        -------
        ValidationOutcome
        """
        if target.__class__ is int and self._direct:
            try:
                found = self._validate(self._caches.address, target)
            except OverflowError:
                return _nowhere(target)
            return found if found.base is not None else self._known_elsewhere(target, found)
        if isinstance(target, str):  # its characters would be copied, and the copy validated
            raise TypeError("target must be an address or an object with memory, got str")
        pointer = pointer_argument(target, "target")
        try:
            if pointer.fault is not None:
                ended = isinstance(pointer.fault, UseAfterFreeError)
                outcome = Outcome.TEMPORAL_VIOLATION if ended else Outcome.WILD
                return _nowhere(pointer.address, outcome)
            return self.classify(pointer.address, pointer.memory)
        finally:
            pointer.release()

    def classify(self, address: int, memory: KnownMemory | None) -> ValidationOutcome:
        """Classify an address whose owner, if it has one, is alive and knows its memory.

        Where neither this pipeline nor its owner knows it, the other pipelines of the process are
        asked.
        """
        found = self._known_elsewhere(address, self._classify(address))
        if found.outcome not in _UNKNOWN_HERE:
            return found
        if memory is None or not memory.is_owned or not self.disown(address, memory.length):
            return found
        kind = ValidationOutcome if memory.writable else ReadOnlyOutcome
        return kind(Outcome.FOREIGN, address, SafetyState.UNKNOWN, address, memory.length, None)

    def _known_elsewhere(self, address: int, found: ValidationOutcome) -> ValidationOutcome:
        """What another pipeline says of an address that this one does not know."""
        if found.outcome in _UNKNOWN_HERE:
            home = self.home(address)
            if home is not self:
                return home._classify(address)
        return found

    def home(self, address: int) -> ValidationPipeline:
        """The pipeline whose block is at an address: this one, unless only another has one."""
        if len(_open_pipelines) > 1 and self.repaired and not self.owns(address):
            for other in list(_open_pipelines):
                if other is not self and other.repaired and other.owns(address):
                    return other
        return self

    def owns(self, address: int) -> bool:
        """Whether an address is in the memory of a block, in use or in quarantine."""
        place, block = self.locate(address)
        return place != Place.NOWHERE and block is not None and block.state >= _PRESENT

    def _classify(self, address: int) -> ValidationOutcome:
        found: ValidationOutcome = self._resources.run(
            self._validate, self._caches.address, address
        )
        return found

    def disown(self, address: int, size: int) -> bool:
        """Forget blocks that were released from a range which somebody else is known to own.

        Returns
        -------
        bool
            False where nobody else can own it: a view keeps the memory of a freed block.
        """
        return not self.repaired or bool(self._call(compiled.disown_entry, address, size))

    def locate(self, address: Address) -> tuple[Place, Block | None]:
        """Return the `Place` of an address and the block it belongs to; tells the kernel nothing.

        Returns
        -------
        tuple of (Place, Block or None)
        """
        point = compiled.locate_entry
        place, *facts = self._call(point, int(uint64("address", address)))
        if place == Place.NOWHERE:
            return Place.NOWHERE, None
        return Place(place), Block.of(*facts[:5])

    def mapped_span(self, address: Address, size: int) -> int:
        """Return how many of `size` bytes from an address on the process has before a hole."""
        span = (int(uint64("address", address)), int(uint64("size", size)))
        return int(self._call(compiled.mapped_span_entry, *span))

    def foreign_span(self, address: Address, size: int) -> int:
        """Return how many of `size` foreign bytes there are before a hole or a block of ours."""
        span = (int(uint64("address", address)), int(uint64("size", size)))
        return int(self._call(compiled.foreign_span_entry, *span))

    @property
    def record(self) -> np.void:
        """State of the arena (what `Arena` has in its place)."""
        arena: np.void = self.states[0]["arena"]
        return arena

    # --- reports ------------------------------------------------------------------------------

    def metrics(self) -> dict[str, int]:
        """Return the fourteen counters by name."""
        counts = self.states[0]["metrics"]["counts"].tolist()
        return dict(zip((counter.name.lower() for counter in Counter), counts, strict=True))

    def cache_statistics(self) -> tuple[int, int]:
        """Return (hits, misses) of the calling thread's cache."""
        cache = self._caches.storage[0]["cache"]
        return int(cache["hits"]), int(cache["misses"])

    @property
    def healing(self) -> HealingPolicy:
        """The table of repairs of this pipeline, with its counters."""
        policy = object.__new__(HealingPolicy)
        policy._parameters = ()
        policy._bind(self.states["healing"])
        return policy

    def note_healing(self, kind: Healing, counter: Counter | None = None) -> None:
        """Count a repair that was made, in the policy and in the metrics.

        Parameters
        ----------
        kind : Healing
        counter : Counter, optional
            Besides `Counter.HEALS`.
        """
        point = compiled.note_healing_entry
        point.address_call(self._resources.address, kind, -1 if counter is None else counter)

    def statistics(self) -> dict[str, Any]:
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

    def last_trace(self) -> np.void:
        """Return the kernel calls of the latest validation; see `membrane.stages.state.TRACE`."""
        trace: np.void = self.states[0]["trace"].copy()
        return trace

    def __repr__(self) -> str:
        return f"<ValidationPipeline rules={self.rules} mode={self.mode.name.lower()}>"

    # --- end of life --------------------------------------------------------------------------

    def close(self) -> None:
        """Release all memory, blocks in use included.

        Memory under a view goes with the view. While guarded calls are running (this may be a
        callback of one, or another thread) nothing more can be done with the pipeline, and its
        memory is released when the last of them ends.
        """
        _open_pipelines.discard(self)
        with self._resources.lock:
            self._direct = False
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@functools.cache
def _load() -> None:
    """Have everything ready before the first block needs it."""
    compiled.load()
    handles.load()
    if layouts_are_known():
        parameters = ["$self", "size", "align=16"]
        handle_machine.install(
            ValidationPipeline, "allocate", parameters, handle_machine.allocate_method
        )


# Every pipeline knows its own blocks, and asks the others about all other memory.
_open_pipelines: weakref.WeakSet[ValidationPipeline] = weakref.WeakSet()
