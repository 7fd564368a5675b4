"""Pins of a guarded call: memory that stays while a C function works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from membrane.pipeline import compiled
from membrane.pipeline.capsule import new_capsule
from membrane.stages.call_regions import FREED, INTACT, OVERWRITTEN

if TYPE_CHECKING:
    from membrane.pipeline.resources import Resources

__all__ = ["FREED", "INTACT", "OVERWRITTEN", "CallPins"]


class CallPins:
    """Blocks that are pinned for one call.

    Pinning and noting the pin are one step of compiled code. The notes belong to a capsule, whose
    end undoes the pins. So an exception that arrives at any moment, a `KeyboardInterrupt` for
    instance, leaves no pin behind.

    Parameters
    ----------
    count : int
        How many regions the call has at most.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._address: int = compiled.new_regions_entry.address_call(count)
        self._capsule: object = new_capsule(self._address, compiled.drop_regions_entry)
        self._with_lock: Resources | None = None

    def hold(self, number: int, resources: Resources, address: int, is_write: bool) -> bool:
        """Pin the block around an address for a region; False where there is none."""
        if resources.source is not None:
            self._with_lock = resources
        return bool(
            resources.call(
                compiled.hold_entry, self._address, number, id(resources), address, is_write
            )
        )

    def damage(self) -> tuple[int, int]:
        """Return (number of the first damaged region, what has happened to it)."""
        number, happened = compiled.damage_entry.address_call(self._address, self._count)
        return int(number), int(happened)

    def release(self) -> None:
        """Undo all pins."""
        if self._with_lock is None:
            self._capsule = None
            return
        with self._with_lock.lock:  # a source gives up the interpreter's lock
            self._capsule = None
