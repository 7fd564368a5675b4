"""What a guarded function returns as a pointer: an address that still knows what it points to."""

from __future__ import annotations

from typing import Self

from membrane.errors import UseAfterFreeError
from membrane.pipeline.known_memory import KnownMemory
from membrane.pipeline.lifetimes import Resource


class BoundedPointer(int):
    """An address with what is known about it.

    Parameters
    ----------
    address : int
    memory : KnownMemory, optional
        From the address on.
    keeps : object, optional
        What must live as long as the pointer does.
    resource : Resource, optional
        What it points to, if the library made that.

    Examples
    --------
    >>> pointer = BoundedPointer(4096, KnownMemory(16))
    >>> pointer == 4096, pointer.memory.length
    (True, 16)
    """

    memory: KnownMemory | None
    keeps: object
    resource: Resource | None

    def __new__(
        cls,
        address: int,
        memory: KnownMemory | None = None,
        keeps: object = None,
        resource: Resource | None = None,
    ) -> Self:
        pointer = super().__new__(cls, address)
        pointer.memory, pointer.keeps, pointer.resource = memory, keeps, resource
        return pointer

    @property
    def fault(self) -> UseAfterFreeError | None:
        """Why it must not be used any more."""
        return None if self.resource is None else self.resource.fault(f"the pointer {int(self):#x}")

    def __repr__(self) -> str:
        what = "" if self.resource is None else f" {self.resource}"
        rest = "" if self.memory is None else f", {self.memory.length} bytes"
        return f"<pointer {int(self):#x}{what}{rest}>"
