"""Handles: blocks as arrays of bytes that know when they are stale.

A handle is a NumPy array over the block itself, so `memoryview(handle)`, `np.asarray(handle)` and
every consumer of buffers work without a copy. Freeing the block makes the handle stale; memory
under an array or view that still exists is not given back to the source, so no view ever dangles.
"""

import warnings
import weakref

import numpy as np

from membrane import pipeline_entry
from membrane.arena import FreeResult
from membrane.errors import CorruptionError, DoubleFreeError, UseAfterFreeError
from runtime_math.types import SafetyLevel


class Lease:
    """Ties a block to the arrays over it: pins its memory until the last of them is gone."""

    def __init__(self, pipeline, address):
        self.pipeline = pipeline
        found = pipeline._call(pipeline_entry.locate_entry, address)
        _, raw, _, self.size, self.generation, _, self.epoch, total, align = found
        self.address = address
        self.result = None
        self._state = {"freed": False}
        resources = pipeline._resources
        pipeline._call(pipeline_entry.pin_entry, raw)
        resources.pins += 1
        finalizer = weakref.finalize(
            self, _depart, resources, (raw, total, align), address, self.epoch, self._state
        )
        finalizer.atexit = False
        self.__array_interface__ = {
            "shape": (self.size,),
            "typestr": "|u1",
            "data": (address, False),
            "version": 3,
        }

    @property
    def freed(self):
        """Whether this handle has freed its block."""
        return self._state["freed"]

    def free(self):
        """Free the block; a second time it is a double free, whoever has the address by then."""
        if self.freed:
            return FreeResult.DOUBLE_FREE
        self._state["freed"] = True
        self.result = FreeResult(
            self.pipeline._call(pipeline_entry.free_epoch_entry, self.address, self.epoch)
        )
        return self.result

    def detach(self):
        """Leave the block to whoever has its address."""
        self._state["freed"] = True


def _depart(resources, memory, address, epoch, state):
    """Last array over a block is gone: have it unpinned, and freed if nobody did."""
    forgotten = not state["freed"]
    if forgotten and resources.open:
        message = f"handle of block {address:#x} lost without free()"
        warnings.warn(message, ResourceWarning, stacklevel=2)
    # Only noted here: the collector may run in the middle of an operation on the same tables.
    resources.departed.append((address, epoch, forgotten, memory))
    if resources.closing:
        resources.settle()


class Handle(np.ndarray):
    """A block of a pipeline as an array of bytes.

    A context manager: leaving it frees the block, and raises `CorruptionError` in strict mode if
    its header or canary was overwritten meanwhile. Slices and results are plain arrays.

    Attributes
    ----------
    lease : Lease
        The tie to the block; None in arrays derived from a handle.
    """

    lease = None

    @classmethod
    def of(cls, lease):
        """Make the handle of a lease."""
        handle = np.asarray(lease).view(cls)
        handle.lease = lease
        return handle

    @property
    def address(self):
        """Address of the first byte."""
        return self._live().address

    @property
    def generation(self):
        """Generation of the block."""
        return self._live().generation

    @property
    def freed(self):
        """Whether the block has been freed through this handle."""
        return self.lease is not None and self.lease.freed

    def _live(self):
        if self.lease is None:
            raise TypeError("this array is derived from a handle, it is not one")
        if self.lease.freed:
            raise UseAfterFreeError(f"the block at {self.lease.address:#x} has been freed")
        return self.lease

    def free(self):
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
        if self.lease is None:
            raise TypeError("this array is derived from a handle, it is not one")
        result = self.lease.free()
        if result == FreeResult.DOUBLE_FREE:
            raise DoubleFreeError(f"the block at {self.lease.address:#x} is free already")
        pipeline = self.lease.pipeline
        # The reference's rules look in the wrong place when a block is aligned to more than 16.
        trusted = pipeline.repaired and pipeline.mode != SafetyLevel.HARDENED
        if result == FreeResult.FREED_WITH_CANARY_CORRUPTION and trusted:
            raise CorruptionError(
                f"memory beside the block of {self.lease.size} bytes at"
                f" {self.lease.address:#x} was overwritten"
            )
        return result

    def detach(self):
        """Give up ownership: the block stays until it is freed by its address, returned here."""
        address = self._live().address
        self.lease.detach()
        return address

    def __enter__(self):
        self._live()
        return self

    def __exit__(self, *exception):
        if not self.lease.freed:
            self.free()

    def __getitem__(self, key):
        if self.freed:
            self._live()
        item = super().__getitem__(key)
        return item.view(np.ndarray) if isinstance(item, Handle) else item

    def __setitem__(self, key, value):
        if self.freed:
            self._live()
        super().__setitem__(key, value)

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array[()] if array.ndim == 0 else np.asarray(array)

    def __reduce__(self):
        raise TypeError("a handle can not be pickled; copy its bytes instead")

    def __repr__(self):
        if self.lease is None:
            return repr(np.asarray(self))
        state = "freed" if self.lease.freed else "live"
        return f"<Handle of {self.lease.size} bytes at {self.lease.address:#x}, {state}>"
