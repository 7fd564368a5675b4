"""Handles: blocks as arrays of bytes that know when they are stale.

A handle is a NumPy array over the block itself, so `memoryview(handle)`, `np.asarray(handle)` and
every consumer of buffers work without a copy. Freeing the block makes the handle stale; memory
under an array or view that still exists is not given back to the source, so no view ever dangles.
"""

from __future__ import annotations

import ctypes
import functools
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn, Self, SupportsIndex, overload

import numpy as np

from membrane.blocks.arena import FREE_RESULTS, FreeResult
from membrane.errors import CorruptionError, DoubleFreeError, UseAfterFreeError
from membrane.pipeline import array_over, compiled, handle_machine
from membrane.pipeline.capsule import new_capsule
from membrane.pipeline.layouts import layouts_are_known
from membrane.pipeline.resources import Resources
from runtime_math.types import SafetyLevel

_PyCapsule: Any = type(array_over.capsule_table)
_base_of = vars(np.ndarray)["base"].__get__


class Lease:
    """The tie of a handle to its block, whose memory stays until the last array over it is gone.

    Parameters
    ----------
    capsule : object
        What the arrays belong to.
    record : int
        Address of the notes about the lease.

    Attributes
    ----------
    address, size, generation : int
        Of the block.
    """

    def __init__(self, capsule: object, record: int) -> None:
        self._capsule = capsule
        self._record = record
        facts = compiled.lease_facts_entry.address_call(record)
        self.address, self.size, self.generation, owner = map(int, facts)
        self._resources: Resources = ctypes.cast(owner, ctypes.py_object).value

    @property
    def freed(self) -> bool:
        """Whether the block is freed, by its handle or by its address."""
        return bool(compiled.is_freed_entry.address_call(self._record))

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
        code: int = self._resources.call(compiled.free_leased_entry, self._record)
        return FREE_RESULTS[code]

    def detach(self) -> None:
        """Leave the block to whoever has its address."""
        compiled.detach_entry.address_call(self._record)


def tell_lost(address: int) -> None:
    """Warn of a block whose last array has gone before it was freed."""
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

    __slots__ = ()

    @classmethod
    def of(cls, resources: Resources, pipeline: object, size: int, align: int) -> Self:
        """Allocate a block and make its handle.

        Parameters
        ----------
        resources : Resources
        pipeline : object
            Whose block it is. Held only because a pipeline that nobody holds is closed.
        size : int
        align : int

        Raises
        ------
        MemoryError
            The source has no such block.
        """
        record: int = compiled.new_lease_entry.address_call()
        # When this goes, the end of the lease is noted.
        capsule = new_capsule(record, compiled.drop_lease_entry)
        owners = id(resources), id(pipeline)
        address = resources.call(compiled.allocate_leased_entry, record, *owners, size, align)
        if not address:
            raise MemoryError(f"no memory for {size} bytes aligned to {align}")
        return array_over.array_over(cls, capsule, address, size)

    @property
    def lease(self) -> Lease | None:
        """The tie to the block; None in arrays derived from a handle."""
        capsule = _base_of(self)
        if type(capsule) is not _PyCapsule:
            return None
        return Lease(capsule, array_over.pointer_of(capsule, None))

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
        record = _record_of(self)
        return bool(record and compiled.is_freed_entry.address_call(record))

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
        return self._free()

    def _free(self) -> FreeResult:
        return self._tell_result(self.own_lease().free())

    def _tell_result(self, code: int) -> FreeResult:
        """What came of a free, or its exception; the handle is stale by now."""
        lease, result = self.own_lease(), FREE_RESULTS[code]
        self.__class__ = StaleHandle
        if result == FreeResult.DOUBLE_FREE:
            raise DoubleFreeError(f"the block at {lease.address:#x} is free already")
        if result == FreeResult.FREED_WITH_CANARY_CORRUPTION and lease.compares_guards:
            raise CorruptionError(
                f"memory beside the block of {lease.size} bytes at {lease.address:#x} was"
                " overwritten"
            )
        return result

    def release(self) -> FreeResult:
        """Free the block as `free` does, and tell what came of it instead of raising."""
        result = self.own_lease().free()
        self.__class__ = StaleHandle
        return result

    def detach(self) -> int:
        """Give up ownership: the block stays until it is freed by its address, returned here."""
        lease = self._live()
        lease.detach()
        self.__class__ = StaleHandle
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
        lease = self.lease
        if lease is None:
            return repr(np.asarray(self))
        state = "freed" if lease.freed else "live"
        return f"<Handle of {lease.size} bytes at {lease.address:#x}, {state}>"


def _record_in_python(handle: Handle) -> int:
    capsule = _base_of(handle)
    return array_over.pointer_of(capsule, None) if type(capsule) is _PyCapsule else 0


def _record_in_machine_code(handle: Handle) -> int:
    return int(_lease_of(id(handle)))


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(self: Handle, *arguments: Any, **keywords: Any) -> NoReturn:
        address = self.own_lease().address
        raise UseAfterFreeError(f"{name} of the handle of a block that was freed ({address:#x})")

    refuse.__name__ = name
    return refuse


# What tells about the array and not about its bytes, and what Python itself needs of an object.
_HARMLESS = {
    *("__array_finalize__", "__array_priority__", "__class__", "__class_getitem__", "__delattr__"),
    *("__dir__", "__doc__", "__format__", "__getattribute__", "__hash__", "__init__"),
    *("__init_subclass__", "__new__", "__release_buffer__", "__repr__", "__setattr__"),
    *("__sizeof__", "__str__", "__subclasshook__", "device", "dtype", "flags", "itemsize"),
    *("nbytes", "ndim", "shape", "size", "strides"),
}
_REFUSED = (set(dir(np.ndarray)) | {"__bytes__"}) - _HARMLESS


class StaleHandle(Handle):
    """A handle whose block was freed: whatever is asked of it raises `UseAfterFreeError`.

    Handles become stale by changing their class. Consumers that go past the class see memory that
    is still there, and nobody else's, as long as the handle exists: `numpy.asarray`, C code that
    knows NumPy, and before Python 3.12 all that takes buffers (`memoryview`, `os.write`,
    `readinto`).
    """

    __slots__ = ()
    __str__ = Handle.__repr__

    def __format__(self, specification: str) -> str:
        return format(repr(self), specification)

    for _name in _REFUSED:
        _is_method = callable(getattr(np.ndarray, _name, int))
        vars()[_name] = _refusal(_name) if _is_method else property(_refusal(_name))
    del _name, _is_method


_lease_of: Callable[[int], int]
_record_of = _record_in_python


def connect(record: np.void) -> tuple[object, ...]:
    """Tell a pipeline's state of the objects that its handles need; returns them, to be kept."""
    kept = (tell_lost, Handle, StaleHandle, "__class__", FreeResult.FREED)
    names = ("on_lost", "handle_type", "stale_type", "class_name", "freed_result")
    for name, each in zip(names, kept, strict=True):
        record[name] = id(each)
    return kept


@functools.cache
def load() -> None:
    """Have handles made and freed by machine code from now on, where that is possible."""
    global _record_of, _lease_of
    if layouts_are_known():
        _lease_of, _record_of = handle_machine.lease_entry.address_call, _record_in_machine_code
        handle_machine.install(Handle, "free", ["$self", "/"], handle_machine.free_method)
