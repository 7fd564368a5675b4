"""What a guarded call asks about each of its pointers before it runs.

A `Region` is a pointer with what is known about the memory behind it. Checking never touches that
memory. The block around it, if there is one, is pinned before it is looked at, so that no other
thread's free can give it back to the allocator once it has been found in order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from membrane.blocks.page_permissions import accessible_span
from membrane.errors import (
    CorruptionError,
    NullPointerError,
    OutOfBoundsError,
    UnsafePointerError,
    UseAfterFreeError,
    WildPointerError,
)
from membrane.pipeline.known_memory import KnownMemory
from membrane.pipeline.lifetimes import lifetimes
from membrane.pipeline.pins import INTACT, CallPins
from membrane.pipeline.pointer_argument import Pointer, PointerArgument, pointer_argument
from membrane.pipeline.validation_pipeline import ValidationPipeline
from membrane.stages.outcomes import Outcome

_FAULTS: dict[Outcome, tuple[type[UnsafePointerError], str]] = {
    Outcome.NULL: (NullPointerError, "is null"),
    Outcome.TEMPORAL_VIOLATION: (UseAfterFreeError, "is in a block that was freed"),
    Outcome.RELEASED: (UseAfterFreeError, "is in a block that was freed and released"),
    Outcome.OUT_OF_BOUNDS: (OutOfBoundsError, "is beside the bytes of its block"),
    Outcome.CORRUPTED: (CorruptionError, "is in a block whose guards were overwritten"),
    Outcome.WILD: (WildPointerError, "is where the process has no memory"),
}
_FOREIGN = (Outcome.FOREIGN, Outcome.BYPASSED)


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
    memory : KnownMemory or None
        What the owner of the pointer knows.
    pointer : PointerArgument
    """

    name: str
    address: int
    rest: int | None
    writable: bool
    fault: UnsafePointerError | None
    outcome: Outcome
    memory: KnownMemory | None
    pointer: PointerArgument

    @property
    def in_block(self) -> bool:
        """Whether it lies in a live block of a pipeline."""
        return self.outcome in (Outcome.VALIDATED, Outcome.CACHED_VALID)


class AccessChecker:
    """Classifies pointers for one pipeline.

    Parameters
    ----------
    pipeline : ValidationPipeline
    """

    def __init__(self, pipeline: ValidationPipeline) -> None:
        self.pipeline = pipeline

    def regions(self, *named: tuple[Pointer, str]) -> HeldRegions:
        """Classify pointers, and keep the memory of their blocks and buffers for a `with`.

        Parameters
        ----------
        *named : tuple of (pointer, str)
            Each with its name for messages.
        """
        held = HeldRegions(self, len(named))
        try:
            for pointer, name in named:
                held.add(pointer, name, is_write=False)
        except BaseException:
            held.release()
            raise
        return held

    def region(
        self, pins: CallPins, number: int, pointer: Pointer, name: str, is_write: bool
    ) -> Region:
        """Classify one pointer of a call whose pins are held.

        Parameters
        ----------
        pins : CallPins
        number : int
            Of the region in the call.
        pointer : PointerArgument or object
            See `membrane.pipeline.pointer_argument.pointer_argument`.
        name : str
        is_write : bool
            Whether the guard words of its block are to be compared after the call.
        """
        argument: PointerArgument = (
            pointer if isinstance(pointer, PointerArgument) else pointer_argument(pointer, name)
        )
        if argument.fault is not None:
            return self._faulty(name, argument, argument.fault, Outcome.WILD)
        if argument.handle is not None and argument.handle.freed:
            text = f"{name} is a handle whose block {argument.address:#x} was freed"
            error = UseAfterFreeError(text)
            return self._faulty(name, argument, error, Outcome.TEMPORAL_VIOLATION)
        home = self.pipeline.home(argument.address)
        pins.hold(number, home.resources, argument.address, is_write)
        found = home.classify(argument.address, argument.memory)
        if found.outcome == Outcome.FOREIGN:
            return self._foreign(name, argument)
        return self._described(name, argument, found.outcome, found.remaining)

    @staticmethod
    def region_of_library(name: str, pointer: PointerArgument) -> Region:
        """Memory that a library has made and still has."""
        address = pointer.address
        return Region(name, address, None, True, None, Outcome.FOREIGN, pointer.memory, pointer)

    def _foreign(self, name: str, argument: PointerArgument) -> Region:
        """Memory of no pipeline: of its owner, or of a C library."""
        address = argument.address
        if argument.memory is not None and argument.memory.is_owned:
            lifetimes.disown(address)
        else:
            made = lifetimes.around(address)
            fault = made.fault(f"{name} ({address:#x})") if made is not None else None
            if fault is not None:
                return self._faulty(name, argument, fault, Outcome.TEMPORAL_VIOLATION)
            if made is not None and argument.memory is None:
                rest = made.address + (made.size or 0) - address
                argument = replace(argument, memory=KnownMemory(rest))
        return self._described(name, argument, Outcome.FOREIGN, None)

    @staticmethod
    def _faulty(
        name: str, argument: PointerArgument, fault: UnsafePointerError, outcome: Outcome
    ) -> Region:
        return Region(name, argument.address, 0, False, fault, outcome, None, argument)

    def _described(
        self, name: str, argument: PointerArgument, outcome: Outcome, rest: int | None
    ) -> Region:
        address, memory, fault = argument.address, argument.memory, None
        if outcome in _FOREIGN:
            rest = None if memory is None else memory.length
        elif memory is not None and rest is not None:
            rest = min(rest, memory.length)
        if outcome in _FAULTS:
            kind, text = _FAULTS[outcome]
            if self.pipeline.repaired or outcome in (Outcome.NULL, Outcome.WILD):
                fault = kind(f"{name} ({address:#x}) {text}")
            else:
                rest = None
        elif outcome == Outcome.FOREIGN and memory is None and not accessible_span(address, 1):
            # The reference's rules accept such an address, but using it would end the process.
            fault = WildPointerError(f"{name} ({address:#x}) is where the process has no memory")
        if outcome == Outcome.ONE_PAST_END:
            rest = 0
        writable = memory is None or memory.writable
        return Region(name, address, rest, writable, fault, outcome, memory, argument)

    def reachable(self, region: Region, size: int, writing: bool = False) -> int:
        """Return how many of `size` bytes may be used from a region on, 0 to `size`."""
        if region.outcome == Outcome.BYPASSED:
            return size
        if region.rest is None:
            return self.span(region.address, size, writing)
        known = min(size, region.rest)
        asks = region.memory is not None and (
            region.memory.is_mapping or not (region.memory.is_owned or region.in_block)
        )
        return accessible_span(region.address, known, writing) if asks else known

    def span(self, address: int, size: int, writing: bool = False) -> int:
        """Return how many of `size` bytes of foreign memory may be used from an address on."""
        if self.pipeline.repaired:
            size = self.pipeline.foreign_span(address, size)
        return accessible_span(address, size, writing)


class HeldRegions:
    """The regions of one call: their blocks are pinned and their buffers are held.

    Parameters
    ----------
    checker : AccessChecker
    count : int
        How many are expected; more may come.
    """

    def __init__(self, checker: AccessChecker, count: int) -> None:
        self._checker = checker
        self._count = count
        self._pins = [CallPins(count)]
        self._found: list[Region] = []

    def add(self, pointer: Pointer, name: str, is_write: bool) -> Region:
        """Classify one more pointer; see `AccessChecker.region`."""
        number = len(self._found)
        if number >= self._count:
            self._pins.append(CallPins(1))
        place = number if number < self._count else 0
        region = self._checker.region(self._pins[-1], place, pointer, name, is_write)
        self._found.append(region)
        return region

    def of_library(self, pointer: PointerArgument, name: str) -> Region:
        """Take in memory that a library has made and still has: there is no block to pin."""
        region = self._checker.region_of_library(name, pointer)
        self._found.append(region)
        return region

    def damage(self) -> tuple[Region | None, int]:
        """Return (the first damaged region, what has happened to it)."""
        for place, pins in enumerate(self._pins):
            number, happened = pins.damage()
            if happened != INTACT:
                first = self._count + place - 1 if place else 0
                return self._found[first + number], happened
        return None, INTACT

    def release(self) -> None:
        """Undo the pins, and let go of the buffers."""
        for pins in self._pins:
            pins.release()
        for region in self._found:
            region.pointer.release()

    def __enter__(self) -> list[Region]:
        return self._found

    def __exit__(self, *raised: object) -> None:
        self.release()
