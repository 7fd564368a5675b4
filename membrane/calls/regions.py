"""What a guarded call asks about each of its pointers before it runs.

A `Region` is a pointer with what is known about the memory behind it. Checking never touches that
memory; whoever goes on to use it holds a pin meanwhile, so that no other thread's free can give
it back to the allocator in between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from membrane.errors import (
    CorruptionError,
    NullPointerError,
    OutOfBoundsError,
    UnsafePointerError,
    UseAfterFreeError,
    WildPointerError,
)
from membrane.pipeline.buffers import buffer_range, is_writable
from membrane.pipeline.handle import Handle, Lease
from membrane.pipeline.validation_pipeline import ValidationPipeline
from membrane.stages.outcomes import Outcome

if TYPE_CHECKING:
    from membrane.pipeline.buffers import Address, Buffered

    Pointer: TypeAlias = Address | Buffered | None
    """What stands for a pointer: an address, a handle, an object with a buffer; None is null."""

_FAULTS: dict[Outcome, tuple[type[UnsafePointerError], str]] = {
    Outcome.NULL: (NullPointerError, "is null"),
    Outcome.TEMPORAL_VIOLATION: (UseAfterFreeError, "is in a block that was freed"),
    Outcome.RELEASED: (UseAfterFreeError, "is in a block that was freed and released"),
    Outcome.OUT_OF_BOUNDS: (OutOfBoundsError, "is beside the bytes of its block"),
    Outcome.CORRUPTED: (CorruptionError, "is in a block whose guards were overwritten"),
    Outcome.WILD: (WildPointerError, "is where the process has no memory"),
}


@dataclass(frozen=True)
class Region:
    """Memory behind a pointer.

    Attributes
    ----------
    name : str
        Of the argument, for messages.
    address : int
    rest : int or None
        Bytes that may be used from the address on; None: not known (foreign memory).
    writable : bool
    fault : UnsafePointerError or None
        Why the pointer must not be used at all.
    outcome : Outcome
    """

    name: str
    address: int
    rest: int | None
    writable: bool
    fault: UnsafePointerError | None
    outcome: Outcome


class AccessChecker:
    """Classifies pointers for one pipeline.

    Parameters
    ----------
    pipeline : ValidationPipeline
    """

    def __init__(self, pipeline: ValidationPipeline) -> None:
        self.pipeline = pipeline

    def region(self, pointer: Pointer, name: str) -> Region:
        """Classify a pointer: an address, None, a handle or an object with a buffer.

        Parameters
        ----------
        pointer : int, None or buffer
        name : str

        Returns
        -------
        Region
        """
        if pointer is None:
            pointer = 0
        if isinstance(pointer, (int, np.integer)):
            if not 0 <= int(pointer) < 2**64:
                raise ValueError(f"{name} must be an address from 0 to 2^64 - 1, got {pointer}")
            return self._classified(name, int(pointer), None, True)
        if isinstance(pointer, Handle) and pointer.lease is not None:
            return self._of_lease(pointer.lease, name)
        address, length = buffer_range(pointer)
        return self._classified(name, address, length, is_writable(pointer))

    def region_address(self, pointer: Pointer) -> int:
        """Return the address that a pointer stands for."""
        if pointer is None:
            return 0
        if isinstance(pointer, (int, np.integer)):
            return int(pointer)
        if isinstance(pointer, Handle) and pointer.lease is not None:
            return pointer.lease.address
        return buffer_range(pointer)[0]

    def _of_lease(self, lease: Lease, name: str) -> Region:
        if not lease.freed:
            return self._classified(name, lease.address, lease.size, True)
        fault = UseAfterFreeError(f"{name} is a handle whose block {lease.address:#x} was freed")
        return Region(name, lease.address, 0, False, fault, Outcome.TEMPORAL_VIOLATION)

    def _classified(self, name: str, address: int, length: int | None, writable: bool) -> Region:
        found = self.pipeline.validate(address)
        outcome, rest = found.outcome, found.remaining
        lively = (Outcome.RELEASED, Outcome.WILD, Outcome.NULL)
        if length is not None and outcome in lively and self.pipeline.disown(address, length):
            # The object is alive, so the memory is its own (an empty one may have none at all).
            outcome = Outcome.FOREIGN
        if outcome in (Outcome.FOREIGN, Outcome.BYPASSED):
            rest = length
        elif length is not None and rest is not None:
            rest = min(rest, length)
        fault = None
        if outcome in _FAULTS:
            kind, text = _FAULTS[outcome]
            if self.pipeline.repaired or outcome in (Outcome.NULL, Outcome.WILD):
                fault = kind(f"{name} ({address:#x}) {text}")
            else:
                rest = None
        elif (
            outcome == Outcome.FOREIGN
            and length is None
            and not self.pipeline.mapped_span(address, 1)
        ):
            # The reference's rules accept such an address, but using it would end the process.
            fault = WildPointerError(f"{name} ({address:#x}) is where the process has no memory")
        if outcome == Outcome.ONE_PAST_END:
            rest = 0
        return Region(name, address, rest, writable, fault, outcome)

    def reachable(self, region: Region, size: int) -> int:
        """Return how many of `size` bytes may be used from a region on, 0 to `size`."""
        if region.rest is not None:
            return min(size, region.rest)
        return self.span(region.address, size)

    def span(self, address: int, size: int) -> int:
        """Return how many of `size` bytes of foreign memory may be used from an address on."""
        if self.pipeline.repaired:
            return self.pipeline.foreign_span(address, size)
        return self.pipeline.mapped_span(address, size)

    @contextlib.contextmanager
    def pinned(self, *regions: Region) -> Iterator[None]:
        """Keep the memory of the regions' blocks from being released."""
        held = []
        try:
            for region in regions:
                memory = self.pipeline.pin_around(region.address)
                if memory is not None:
                    held.append(memory)
            yield
        finally:
            for memory in held:
                self.pipeline.unpin(memory)
