"""The C library's memory functions, each guarded by a pipeline; `membrane.libc` has them all."""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager
from dataclasses import replace

from membrane.blocks.arena import Block, FreeResult
from membrane.blocks.lattice import SafetyState
from membrane.blocks.lookup import Place
from membrane.calls.guarded_call import Call, CallSession
from membrane.calls.regions import AccessChecker, Region
from membrane.calls.strings import string_end
from membrane.errors import (
    CorruptionError,
    DoubleFreeError,
    ForeignFreeError,
    InvalidFreeError,
    OutOfBoundsError,
    OverlapError,
    SizeOverflowError,
    UnsafePointerError,
    UnterminatedStringError,
    UseAfterFreeError,
)
from membrane.pipeline.pointer_argument import Pointer, PointerArgument, pointer_argument
from membrane.pipeline.validation_pipeline import ValidationPipeline
from membrane.stages.heal import Healing
from membrane.tables.words import SIZE_LIMIT
from runtime_math.types import ApiFamily

# ctypes' own helpers copy what they are shown, and take sizes of 31 bits.
_library = ctypes.CDLL(None)
_memcmp, _memchr = _library.memcmp, _library.memchr
_memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_memchr.argtypes, _memchr.restype = (
    [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t],
    ctypes.c_void_p,
)

FREE_FAULTS: dict[FreeResult, tuple[type[UnsafePointerError], Healing, str]] = {
    FreeResult.FREED_WITH_CANARY_CORRUPTION: (CorruptionError, Healing.NONE, "was overwritten"),
    FreeResult.DOUBLE_FREE: (DoubleFreeError, Healing.IGNORE_DOUBLE_FREE, "is free already"),
    FreeResult.FOREIGN_POINTER: (
        ForeignFreeError,
        Healing.IGNORE_FOREIGN_FREE,
        "was not allocated here",
    ),
    FreeResult.INVALID_POINTER: (
        InvalidFreeError,
        Healing.IGNORE_FOREIGN_FREE,
        "is not the base of a block",
    ),
}


class GuardedLibrary:
    """Guarded calls on one pipeline.

    Parameters
    ----------
    pipeline : ValidationPipeline, optional
        By default a new one with the repaired rules in the configured mode.
    """

    def __init__(self, pipeline: ValidationPipeline | None = None) -> None:
        self.pipeline = ValidationPipeline() if pipeline is None else pipeline
        self.checker = AccessChecker(self.pipeline)

    # --- allocation ---------------------------------------------------------------------------

    def malloc(self, size: int) -> Call[int | None]:
        """Allocate; the value is None when there is no memory."""
        with self._session("malloc", ApiFamily.ALLOCATOR) as session:
            return session.result(self._allocate(session, size))

    def calloc(self, count: int, size: int) -> Call[int | None]:
        """Allocate zeroed memory for an array; the product is checked for overflow."""
        with self._session("calloc", ApiFamily.ALLOCATOR) as session:
            if count < 0 or size < 0 or count * size >= SIZE_LIMIT:
                session.fail(SizeOverflowError(f"{count} * {size} bytes"))
                return session.result(None)
            address = self._allocate(session, count * size)
            if address is not None:
                ctypes.memset(address, 0, count * size)
            return session.result(address)

    def realloc(self, pointer: Pointer, size: int) -> Call[int | None]:
        """Move a block to one of another size, always to a new address."""
        with self._session("realloc", ApiFamily.ALLOCATOR) as session:
            if self._argument(pointer).is_null:
                return session.result(self._allocate(session, size))
            block = self._block_of(session, pointer)
            if size == 0 and block is not None:
                self._free(session, pointer)
                return session.result(None)
            address = self._allocate(session, size)
            if block is not None and address is not None:
                with self.checker.regions((pointer, "pointer")):
                    ctypes.memmove(address, block.user_base, min(block.user_size, size))
                self._free(session, pointer)
            return session.result(address)

    def free(self, pointer: Pointer) -> Call[FreeResult | None]:
        """Free a block; the value is the `FreeResult`, None for a null pointer."""
        with self._session("free", ApiFamily.ALLOCATOR) as session:
            if self._argument(pointer).is_null:
                return session.result(None)
            return session.result(self._free(session, pointer))

    def _allocate(self, session: CallSession, size: int) -> int | None:
        if not 0 <= size < SIZE_LIMIT:
            session.fail(SizeOverflowError(f"{size} bytes"))
            return None
        if not session.may_allocate(size):
            return None
        return self.pipeline.allocate_address(size)

    def _free(self, session: CallSession, pointer: Pointer) -> FreeResult:
        argument = self._argument(pointer)
        address = argument.address
        if argument.handle is not None:
            result = argument.handle.release()
        else:
            result = self.pipeline.home(address).free(address)
        if result == FreeResult.FREED:
            return result
        session.adverse = True
        kind, healing, text = FREE_FAULTS[result]
        if self.pipeline.repaired:
            if healing == Healing.NONE and session.heals:
                return result
            session.fail(kind(f"memory at {address:#x} {text}"), healing)
        elif session.heals and healing != Healing.NONE:
            session.repair(healing, 0, 0, f"memory at {address:#x} {text}")
        return result

    def _block_of(self, session: CallSession, pointer: Pointer) -> Block | None:
        """Return the live block to reallocate, or None when realloc has to act as malloc."""
        argument = self._argument(pointer)
        if argument.handle is not None and argument.handle.freed:
            place, block = Place.NOWHERE, None
        else:
            place, block = self.pipeline.home(argument.address).locate(argument.address)
        if place == Place.BASE and block is not None and block.state == SafetyState.VALID:
            return block
        if not self.pipeline.repaired and not session.heals:
            return None
        error: UnsafePointerError = ForeignFreeError("the pointer was not allocated here")
        if block is not None:
            error = InvalidFreeError("the pointer is not the base of a block")
        if (block is not None and block.state != SafetyState.VALID) or argument.handle is not None:
            error = UseAfterFreeError("the block was freed")
        session.fail(error, Healing.REALLOC_AS_MALLOC)
        return None

    # --- memory -------------------------------------------------------------------------------

    def memcpy(self, destination: Pointer, source: Pointer, size: int) -> Call[int]:
        """Copy between regions that must not overlap; the value is the number of bytes copied."""
        with self._session("memcpy") as session:
            return self._copy(session, destination, source, size, may_overlap=False)

    def memmove(self, destination: Pointer, source: Pointer, size: int) -> Call[int]:
        """Copy between regions that may overlap; the value is the number of bytes copied."""
        with self._session("memmove") as session:
            return self._copy(session, destination, source, size, may_overlap=True)

    def memset(self, destination: Pointer, byte: int, size: int) -> Call[int]:
        """Fill; the value is the number of bytes filled."""
        with (
            self._session("memset") as session,
            self.checker.regions((destination, "destination")) as (target,),
        ):
            count = self._bounded(session, size, target, writes=(target,))
            if count:
                ctypes.memset(target.address, byte & 0xFF, count)
            return session.result(count)

    def memcmp(self, left: Pointer, right: Pointer, size: int) -> Call[int]:
        """Compare; the value is -1, 0 or 1."""
        with (
            self._session("memcmp") as session,
            self.checker.regions((left, "left"), (right, "right")) as regions,
        ):
            count = self._bounded(session, size, *regions)
            return session.result(_compared(regions, count))

    def memchr(self, pointer: Pointer, byte: int, size: int) -> Call[int | None]:
        """Search a byte; the value is its address or None."""
        with (
            self._session("memchr") as session,
            self.checker.regions((pointer, "pointer")) as (region,),
        ):
            count = self._bounded(session, size, region)
            return session.result(_memchr(region.address, byte & 0xFF, count) if count else None)

    def _copy(
        self,
        session: CallSession,
        destination: Pointer,
        source: Pointer,
        size: int,
        may_overlap: bool,
    ) -> Call[int]:
        with self._both(destination, source) as (target, origin):
            count = self._bounded(session, size, target, origin, writes=(target,))
            overlap = abs(target.address - origin.address) < count
            if overlap and not may_overlap and self.pipeline.repaired:
                error = OverlapError("source and destination overlap")
                session.fail(error, Healing.UPGRADE_TO_SAFE_VARIANT, count, count)
            if count:
                ctypes.memmove(target.address, origin.address, count)
        return session.result(count)

    def _bounded(
        self, session: CallSession, size: int, *regions: Region, writes: tuple[Region, ...] = ()
    ) -> int:
        """Return how many bytes a call may touch in all its regions; fails for fewer than asked."""
        if not 0 <= size < SIZE_LIMIT:
            session.fail(SizeOverflowError(f"{size} bytes"), Healing.CLAMP_SIZE, size % 2**64, 0)
            known = [region.rest for region in regions if region.rest is not None]
            usable = len(known) == len(regions) and not any(region.fault for region in regions)
            return min(known) if usable else 0
        if size == 0:
            return 0
        session.decide(regions[0].address, size, bool(writes))
        for region in regions:
            if region.fault is not None:
                session.fail(region.fault, Healing.RETURN_SAFE_DEFAULT, size, 0)
                return 0
            if region in writes and not region.writable:
                error = OutOfBoundsError(f"{region.name} may not be written")
                session.fail(error, Healing.RETURN_SAFE_DEFAULT, size, 0)
                return 0
        reachable = [self.checker.reachable(each, size, each in writes) for each in regions]
        count = min(reachable)
        if count < size:
            count = self._clamped(session, size, count, regions[reachable.index(count)])
        return count

    def _clamped(self, session: CallSession, size: int, count: int, region: Region) -> int:
        if not self.pipeline.repaired and region.rest is not None and not session.heals:
            return self._unclamped(region, size)
        text = f"{size} bytes at {region.name} ({region.address:#x}), which has {count}"
        session.fail(OutOfBoundsError(text), Healing.CLAMP_SIZE, size, count)
        return count

    def _unclamped(self, region: Region, size: int) -> int:
        """Under the reference's strict rules nothing is clamped; only unmapped memory stops it."""
        return self.checker.span(region.address, size)

    # --- strings ------------------------------------------------------------------------------

    def strlen(self, pointer: Pointer) -> Call[int]:
        """Length of a string."""
        with (
            self._session("strlen") as session,
            self.checker.regions((pointer, "string")) as (region,),
        ):
            return session.result(self._length(session, region, None))

    def strnlen(self, pointer: Pointer, limit: int) -> Call[int]:
        """Length of a string of at most `limit` characters."""
        with (
            self._session("strnlen") as session,
            self.checker.regions((pointer, "string")) as (region,),
        ):
            return session.result(self._length(session, region, limit))

    def strcpy(self, destination: Pointer, source: Pointer) -> Call[int]:
        """Copy a string; the value is the number of characters copied."""
        with (
            self._session("strcpy") as session,
            self._both(destination, source) as (target, origin),
        ):
            return session.result(self._put_string(session, target, origin))

    def strncpy(self, destination: Pointer, source: Pointer, limit: int) -> Call[int]:
        """Copy at most `limit` characters and fill up to `limit` with zeros.

        Like the C function it writes no terminator after `limit` characters. The value is the
        number of characters copied.
        """
        with (
            self._session("strncpy") as session,
            self._both(destination, source) as (target, origin),
        ):
            room = self._bounded(session, limit, target, writes=(target,))
            length = self._length(session, origin, room) if room else 0
            clamped = session.healing.kind == Healing.CLAMP_SIZE
            if clamped and length == room and room:
                length -= 1  # a repair leaves a string
            if length:
                ctypes.memmove(target.address, origin.address, length)
            if room > length:
                ctypes.memset(target.address + length, 0, room - length)
            return session.result(length)

    def strcat(self, destination: Pointer, source: Pointer) -> Call[int]:
        """Append a string; the value is the length of the result."""
        with (
            self._session("strcat") as session,
            self._both(destination, source) as (target, origin),
        ):
            start = self._length(session, target, None)
            if session.healing.kind != Healing.NONE:
                return session.result(start)
            tail = self._shifted(target, start)
            return session.result(start + self._put_string(session, tail, origin))

    def strcmp(self, left: Pointer, right: Pointer) -> Call[int]:
        """Compare strings; the value is -1, 0 or 1."""
        with self._session("strcmp") as session:
            with self.checker.regions((left, "left"), (right, "right")) as regions:
                first, second = (self._length(session, region, None) for region in regions)
                found = _compared(regions, min(first, second))
            return session.result(found or (first > second) - (first < second))

    def strchr(self, pointer: Pointer, character: int) -> Call[int | None]:
        """Search a character, the terminator included; the value is its address or None."""
        with (
            self._session("strchr") as session,
            self.checker.regions((pointer, "string")) as (region,),
        ):
            length = self._length(session, region, None)
            if character & 0xFF == 0:
                ends = session.healing.kind == Healing.NONE
                return session.result(region.address + length if ends else None)
            found = _memchr(region.address, character & 0xFF, length) if length else None
            return session.result(found)

    def _length(self, session: CallSession, region: Region, limit: int | None) -> int:
        """Length of a string; fails when the memory ends before the string does."""
        if limit is not None and limit <= 0:
            return 0
        if region.fault is not None:
            session.fail(region.fault)
            return 0
        length, terminated = string_end(self.checker, region, limit)
        if not terminated and length != limit:
            text = f"no terminator in {length} bytes of {region.name} ({region.address:#x})"
            if self.pipeline.repaired or session.heals:
                session.fail(UnterminatedStringError(text), Healing.CLAMP_SIZE, length, length)
        return length

    def _put_string(self, session: CallSession, target: Region, origin: Region) -> int:
        """Copy a string with its terminator, truncated where a repair is due."""
        length = self._length(session, origin, None)
        if session.healing.kind == Healing.RETURN_SAFE_DEFAULT:
            return 0
        session.decide(target.address, length + 1, True)
        if target.fault is not None or not target.writable:
            error = target.fault or OutOfBoundsError(f"{target.name} may not be written")
            session.fail(error)
            return 0
        room = self.checker.reachable(target, length + 1, writing=True)
        if room <= length:
            if not self.pipeline.repaired and not session.heals and target.rest is not None:
                room = self._unclamped(target, length + 1)
            else:
                text = f"{length + 1} bytes at {target.name} ({target.address:#x}) with {room}"
                kept = max(room - 1, 0)
                error = OutOfBoundsError(text)
                session.fail(error, Healing.TRUNCATE_WITH_NULL, length, kept)
            length = max(room - 1, 0)
        if room:
            if length:
                ctypes.memmove(target.address, origin.address, length)
            ctypes.memset(target.address + length, 0, 1)
        return length

    # --- helpers ------------------------------------------------------------------------------

    def _session(self, function: str, family: ApiFamily = ApiFamily.STRING_MEMORY) -> CallSession:
        return CallSession(self.pipeline, function, family)

    def _both(self, destination: Pointer, source: Pointer) -> AbstractContextManager[list[Region]]:
        return self.checker.regions((destination, "destination"), (source, "source"))

    @staticmethod
    def _shifted(region: Region, offset: int) -> Region:
        rest = None if region.rest is None else region.rest - offset
        return replace(region, address=region.address + offset, rest=rest)

    @staticmethod
    def _argument(pointer: Pointer) -> PointerArgument:
        """What a pointer to a block stands for; its buffer, if it is one, is given back at once."""
        argument = pointer_argument(pointer)
        argument.release()
        return argument


def _compared(regions: list[Region], count: int) -> int:
    """-1, 0 or 1: how the first bytes of two regions compare."""
    left, right = regions
    difference = _memcmp(left.address, right.address, count) if count else 0
    return (difference > 0) - (difference < 0)
