"""Pins of a guarded call: memory that stays while a C function works on it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from membrane.pipeline import compiled
from membrane.stages.call_regions import FREED, INTACT, OVERWRITTEN, REGION

if TYPE_CHECKING:
    from membrane.pipeline.resources import Resources

__all__ = ["FREED", "INTACT", "OVERWRITTEN", "CallPins"]


class CallPins:
    """Blocks that are pinned for one call.

    Pinning and noting the pin are one step of compiled code, and unpinning happens once however
    often it is asked for: here, at the end of the call, or when the object goes. So an exception
    that arrives at any moment, a `KeyboardInterrupt` for instance, leaves no pin behind.

    Parameters
    ----------
    count : int
        How many regions the call has at most.
    """

    _resources: list[Resources] = []  # until there are any

    def __init__(self, count: int) -> None:
        self._regions = np.zeros(count, REGION)
        self._address: int = self._regions.ctypes.data
        self._resources = []

    def hold(self, number: int, resources: Resources, address: int, is_write: bool) -> bool:
        """Pin the block around an address for a region; False where there is none."""
        self._regions[number]["is_write"] = is_write
        self._resources.append(resources)
        self.__class__ = _HeldPins
        place = self._address + number * REGION.itemsize
        return bool(resources.call(compiled.hold_entry, place, address))

    def damage(self) -> tuple[int, int]:
        """Return (number of the first damaged region, what has happened to it)."""
        number, happened = compiled.damage_entry.address_call(self._address, len(self._regions))
        return int(number), int(happened)

    def release(self) -> None:
        """Undo all pins; what an interruption leaves is undone by the next release."""
        while self._resources:
            self._resources[-1].unpin(self._address, len(self._regions))
            self._resources.pop()
        self.__class__ = CallPins


class _HeldPins(CallPins):
    """Pins that something is left to be undone of; only these have a finalizer to lose it in."""

    def __del__(self) -> None:
        while self._resources:
            with contextlib.suppress(KeyboardInterrupt):
                self.release()
