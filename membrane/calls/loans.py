"""What a library was given to keep: held for as long as it may use it."""

from __future__ import annotations

from membrane.calls.regions import AccessChecker, HeldRegions, Region
from membrane.errors import UseAfterFreeError
from membrane.pipeline.pins import FREED


class KeptMemory:
    """Memory that a library keeps a pointer to.

    Its block is pinned and its buffer is held, so that the library never reads what is not there;
    a free of the block is noticed.

    Parameters
    ----------
    checker : AccessChecker
    region : Region
    what : str
        For messages.
    """

    def __init__(self, checker: AccessChecker, region: Region, what: str) -> None:
        self._what = what
        self._keeps = region.pointer.keeps
        self._held = HeldRegions(checker, 1)
        self._held.add(self._keeps if region.pointer.export else region.pointer, what, False)

    def fault(self) -> UseAfterFreeError | None:
        """Why it may be used no more."""
        if self._held.damage()[1] != FREED:
            return None
        return UseAfterFreeError(f"{self._what}, was freed before that")

    def release(self) -> None:
        """Let go of it."""
        self._held.release()
        self._keeps = None


class KeptCallback:
    """A function that a library may call.

    Parameters
    ----------
    function : object
    """

    def __init__(self, function: object) -> None:
        self._function: object = function

    def fault(self) -> None:
        """It lives as long as it is held."""

    def release(self) -> None:
        """Let go of it."""
        self._function = None
