"""Which repairs exist, when are they due, and how many were made?

A repair never guesses what the caller meant: it makes a call smaller (clamp, truncate), or does
not make it (ignored frees, safe defaults), or makes the call that is always defined (realloc of an
unknown pointer as malloc). Deciding on a repair does not count it; whoever applies it does.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from membrane.tables.words import ONE, ZERO
from runtime_math.monitors.base import Monitor
from runtime_math.numerics.compilation import jitted
from runtime_math.validation import member, uint64


class Healing(IntEnum):
    """A repair; the value is the index of its counter."""

    NONE = 0
    CLAMP_SIZE = 1
    TRUNCATE_WITH_NULL = 2
    IGNORE_DOUBLE_FREE = 3
    IGNORE_FOREIGN_FREE = 4
    REALLOC_AS_MALLOC = 5
    RETURN_SAFE_DEFAULT = 6
    UPGRADE_TO_SAFE_VARIANT = 7


KIND_COUNT = len(Healing)
# The codes of decisions that jitted code takes; the counter of NONE counts all repairs.
NONE, CLAMP_SIZE, TRUNCATE_WITH_NULL = map(int, list(Healing)[: Healing.IGNORE_DOUBLE_FREE])


class HealingPlan(NamedTuple):
    """A repair with the size asked for and the size it leaves (both 0 where it has none)."""

    kind: Healing
    requested: int
    applied: int

    @property
    def is_heal(self) -> bool:
        """Whether anything is repaired at all."""
        return self.kind != Healing.NONE


STATE = np.dtype([("counts", np.uint64, (KIND_COUNT,))], align=True)


@jitted
def init(state):
    """Set all counters to zero."""
    for kind in range(KIND_COUNT):
        state.counts[kind] = ZERO


@jitted
def record(state, kind):
    """Count a repair that was made: in the total and in its own counter; NONE counts nothing."""
    if kind != NONE:
        state.counts[NONE] += ONE
        state.counts[kind] += ONE


@jitted
def copy_bounds(requested, source_known, source_rest, destination_known, destination_rest):
    """Decide on a copy; returns (kind, bytes to copy)."""
    available = requested
    if source_known and source_rest < available:
        available = source_rest
    if destination_known and destination_rest < available:
        available = destination_rest
    return (CLAMP_SIZE if available < requested else NONE), available


@jitted
def string_bounds(source_length, destination_known, destination_rest):
    """Decide on a string with its terminator; returns (kind, characters to copy)."""
    if not destination_known or source_length < destination_rest:
        return NONE, source_length
    if destination_rest == ZERO:
        return TRUNCATE_WITH_NULL, destination_rest
    return TRUNCATE_WITH_NULL, destination_rest - ONE


def _optional(name: str, value: int | None) -> tuple[bool, np.uint64]:
    return (False, ZERO) if value is None else (True, uint64(name, value))


def _plan(kind: int, requested: int, applied: int) -> HealingPlan:
    return HealingPlan(Healing(kind), requested, int(applied)) if kind != NONE else NO_HEALING


NO_HEALING = HealingPlan(Healing.NONE, 0, 0)


class HealingPolicy(Monitor):
    """The table of repairs of one pipeline, with its counters.

    Examples
    --------
    >>> policy = HealingPolicy()
    >>> plan = policy.heal_copy_bounds(100, src_remaining=64, dst_remaining=None)
    >>> plan
    HealingPlan(kind=<Healing.CLAMP_SIZE: 1>, requested=100, applied=64)
    >>> policy.note(plan)
    >>> policy.counters()["total"], policy.counters()["clamp_size"]
    (1, 1)
    """

    STATE = STATE
    initialise = init

    def note(self, action: HealingPlan | Healing) -> None:
        """Count a repair that was made.

        Parameters
        ----------
        action : HealingPlan or Healing
        """
        kind = action.kind if isinstance(action, HealingPlan) else action
        record(self.record, member(Healing)("kind", kind))

    def heal_copy_bounds(
        self, requested: int, src_remaining: int | None = None, dst_remaining: int | None = None
    ) -> HealingPlan:
        """Decide on a copy of `requested` bytes between regions of known (or unknown: None) rest.

        Returns
        -------
        HealingPlan
            CLAMP_SIZE with the bytes that both sides have, or NONE.
        """
        kind, applied = copy_bounds(
            uint64("requested", requested),
            *_optional("src_remaining", src_remaining),
            *_optional("dst_remaining", dst_remaining),
        )
        return _plan(kind, requested, applied)

    def heal_string_bounds(self, src_len: int, dst_remaining: int | None = None) -> HealingPlan:
        """Decide on a string of `src_len` characters and a terminator.

        Returns
        -------
        HealingPlan
            TRUNCATE_WITH_NULL with the characters to copy, or NONE. Into a rest of 0 not even the
            terminator may be written.
        """
        kind, applied = string_bounds(
            uint64("src_len", src_len), *_optional("dst_remaining", dst_remaining)
        )
        return _plan(kind, src_len, applied)

    def counters(self) -> dict[str, int]:
        """Return the number of repairs: in all, and of each kind."""
        names = ["total"] + [kind.name.lower() for kind in list(Healing)[1:]]
        return dict(zip(names, (int(count) for count in self._storage[0]["counts"]), strict=True))
