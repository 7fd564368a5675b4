"""Handles: blocks as arrays of bytes that know when they are stale.

A handle is a NumPy array over the block itself, so `memoryview(handle)`, `np.asarray(handle)` and
every consumer of buffers work without a copy. Freeing the block makes the handle stale; memory
under an array or view that still exists is not given back to the source, so no view ever dangles.
"""

from __future__ import annotations

import warnings
import weakref
from types import TracebackType
from typing import Any, NoReturn, Self, SupportsIndex, overload

import numpy as np

from membrane.blocks.arena import FreeResult
from membrane.errors import CorruptionError, DoubleFreeError, UseAfterFreeError
from membrane.pipeline import compiled
from membrane.pipeline.resources import Departure, Memory, Resources
from runtime_math.types import SafetyLevel


class Lease:
    """Ties a block to the arrays over it: pins its memory until the last of them is gone.

    Parameters
    ----------
    resources : Resources
    address : int
        Base of the block.
    pipeline : object
        Whose block it is. Held only because a pipeline that nobody holds is closed.
    """

    def __init__(self, resources: Resources, address: int, pipeline: object) -> None:
        self._resources = resources
        self._pipeline = pipeline
        found = resources.call(compiled.locate_entry, address)
        _, raw, _, size, generation, _, epoch, total, align = found
        self.address = address
        self.size: int = size
        self.generation: int = generation
        self.epoch: int = epoch
        self._state = {"freed": False}
        resources.call(compiled.pin_entry, raw)
        resources.pins += 1
        memory = Memory(raw, total, align)
        finalizer = weakref.finalize(self, _depart, resources, memory, address, epoch, self._state)
        finalizer.atexit = False
        self.__array_interface__ = {
            "shape": (size,),
            "typestr": "|u1",
            "data": (address, False),
            "version": 3,
        }

    @property
    def freed(self) -> bool:
        """Whether this handle has freed its block."""
        return self._state["freed"]

    @property
    def compares_guards(self) -> bool:
        """Whether a free that finds a guard overwritten is an error.

        Not under the reference's rules, which look in the wrong place when a block is aligned to
        more than 16.
        """
        hardened = self._resources.mode == SafetyLevel.HARDENED
        return self._resources.repaired and not hardened

    def free(self) -> FreeResult:
        """Free the block; a second time it is a double free, whoever has the address by then."""
        if self.freed:
            return FreeResult.DOUBLE_FREE
        self._state["freed"] = True
        return FreeResult(self._resources.call(compiled.free_epoch_entry, self.address, self.epoch))

    def detach(self) -> None:
        """Leave the block to whoever has its address."""
        self._state["freed"] = True


def _depart(
    resources: Resources, memory: Memory, address: int, epoch: int, state: dict[str, bool]
) -> None:
    """Last array over a block is gone: have it unpinned, and freed if nobody did."""
    forgotten = not state["freed"]
    warns = forgotten and resources.open
    # Only noted here: the collector may run in the middle of an operation on the same tables.
    resources.departed.append(Departure(address, epoch, forgotten, memory))
    if resources.closing:
        resources.settle()
    if warns:  # at the end: a warning may be an exception
        message = f"handle of block {address:#x} lost without free()"
        warnings.warn(message, ResourceWarning, stacklevel=2)


class Handle(np.ndarray[tuple[int], np.dtype[np.uint8]]):
    """A block of a pipeline as an array of bytes.

    A context manager: leaving it frees the block, and raises `CorruptionError` in strict mode if
    its header or canary was overwritten meanwhile. Slices and results are plain arrays.

    Attributes
    ----------
    lease : Lease or None
        The tie to the block; None in arrays derived from a handle.
    """

    lease: Lease | None = None

    @classmethod
    def of(cls, lease: Lease) -> Self:
        """Make the handle of a lease."""
        handle = np.asarray(lease).view(cls)
        handle.lease = lease
        return handle

    @property
    def address(self) -> int:
        """Address of the first byte."""
        return self._live().address

    @property
    def generation(self) -> int:
        """Generation of the block."""
        return self._live().generation

    @property
    def freed(self) -> bool:
        """Whether the block has been freed through this handle."""
        return self.lease is not None and self.lease.freed

    def own_lease(self) -> Lease:
        """Return the tie to the block; raises `TypeError` in an array derived from a handle."""
        if self.lease is None:
            raise TypeError("this array is derived from a handle, it is not one")
        return self.lease

    def _live(self) -> Lease:
        lease = self.own_lease()
        if lease.freed:
            raise UseAfterFreeError(f"the block at {lease.address:#x} has been freed")
        return lease

    def free(self) -> FreeResult:
        """Free the block.

        Returns
        -------
        FreeResult

        Raises
        ------
        DoubleFreeError
            This handle has freed it before, or the block was freed by its address.
        CorruptionError
            In strict mode, header or canary was overwritten; the block is freed all the same.
        """
        lease = self.own_lease()
        result = lease.free()
        if result == FreeResult.DOUBLE_FREE:
            raise DoubleFreeError(f"the block at {lease.address:#x} is free already")
        if result == FreeResult.FREED_WITH_CANARY_CORRUPTION and lease.compares_guards:
            raise CorruptionError(
                f"memory beside the block of {lease.size} bytes at {lease.address:#x} was"
                " overwritten"
            )
        return result

    def detach(self) -> int:
        """Give up ownership: the block stays until it is freed by its address, returned here."""
        lease = self._live()
        lease.detach()
        return lease.address

    def __enter__(self) -> Self:
        self._live()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self.own_lease().freed:
            self.free()

    @overload  # type: ignore[override]
    def __getitem__(self, key: SupportsIndex) -> np.uint8: ...
    @overload
    def __getitem__(self, key: slice) -> np.ndarray[tuple[int], np.dtype[np.uint8]]: ...
    @overload
    def __getitem__(self, key: Any) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if self.freed:
            self._live()
        item = super().__getitem__(key)
        return item.view(np.ndarray) if isinstance(item, Handle) else item

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.freed:
            self._live()
        super().__setitem__(key, value)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array[()] if array.ndim == 0 else np.asarray(array)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a handle can not be pickled; copy its bytes instead")

    def __repr__(self) -> str:
        if self.lease is None:
            return repr(np.asarray(self))
        state = "freed" if self.lease.freed else "live"
        return f"<Handle of {self.lease.size} bytes at {self.lease.address:#x}, {state}>"
