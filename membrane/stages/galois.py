"""What may a caller do with a pointer, given what is known about it?

The abstraction map lifts an address with its facts to a record; the concretisation map takes the
record and a wanted size back to an action: go on, go on with less, or stop.

References
----------
.. [1] P. Cousot, R. Cousot, "Abstract interpretation: a unified lattice model for static analysis
       of programs by construction or approximation of fixpoints", POPL 1977.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from membrane.blocks.lattice import INVALID, QUARANTINED, SafetyState, is_live
from membrane.tables.words import ZERO
from runtime_math.numerics.compilation import jitted
from runtime_math.validation import member, uint32, uint64


class PointerAbstraction(NamedTuple):
    """What is known about an address.

    Attributes
    ----------
    address : int
    state : SafetyState
    base : int or None
        First byte of the block around the address.
    remaining : int or None
        Bytes from the address to the end of the block.
    generation : int or None
        Generation of the block.
    """

    address: int
    state: SafetyState
    base: int | None
    remaining: int | None
    generation: int | None


class ConcreteActionKind(IntEnum):
    """What to do with a use of a pointer."""

    PROCEED = 0
    HEAL = 1
    DENY = 2


# The codes as plain numbers, for jitted code.
PROCEED, HEAL, DENY = map(int, ConcreteActionKind)


class ConcreteAction(NamedTuple):
    """An action with the address and the number of bytes it allows (0 and 0 when denied)."""

    kind: ConcreteActionKind
    address: int
    size: int


@jitted
def concretize_facts(address, state, remaining_known, remaining, requested):
    """Decide on a use of `requested` bytes; returns (kind, bytes allowed)."""
    if address == ZERO or INVALID <= state <= QUARANTINED:
        return DENY, ZERO
    if is_live(state) and remaining_known and requested > remaining:
        return HEAL, remaining
    return PROCEED, requested


def null() -> PointerAbstraction:
    """Abstraction of the null pointer."""
    return PointerAbstraction(0, SafetyState.INVALID, None, None, None)


def unknown(address: int) -> PointerAbstraction:
    """Abstraction of an address that nothing is known about."""
    known = int(uint64("address", address))
    return PointerAbstraction(known, SafetyState.UNKNOWN, None, None, None)


def validated(
    address: int, state: SafetyState, base: int, remaining: int, generation: int
) -> PointerAbstraction:
    """Abstraction of an address inside a known block; the facts are taken as they are."""
    return PointerAbstraction(
        int(uint64("address", address)),
        SafetyState(member(SafetyState)("state", state)),
        int(uint64("base", base)),
        int(uint64("remaining", remaining)),
        uint32("generation", generation),
    )


def _optional(validate: Callable[[str, int], int], name: str, value: int | None) -> int | None:
    return None if value is None else int(validate(name, value))


def abstract_pointer(
    address: int,
    state: SafetyState,
    base: int | None = None,
    remaining: int | None = None,
    generation: int | None = None,
) -> PointerAbstraction:
    """Lift an address and its facts to a record; address 0 is null whatever the facts.

    Parameters
    ----------
    address, base, remaining : int
        Unsigned 64-bit numbers; None: not known.
    state : SafetyState
    generation : int or None
        Unsigned 32-bit number.

    Returns
    -------
    PointerAbstraction

    Examples
    --------
    >>> abstract_pointer(0, SafetyState.VALID).state
    <SafetyState.INVALID: 1>
    """
    facts = PointerAbstraction(
        int(uint64("address", address)),
        SafetyState(member(SafetyState)("state", state)),
        _optional(uint64, "base", base),
        _optional(uint64, "remaining", remaining),
        _optional(uint32, "generation", generation),
    )
    return facts if facts.address else null()


def concretize(abstraction: PointerAbstraction, requested: int) -> ConcreteAction:
    """Decide on a use of `requested` bytes at a pointer.

    Parameters
    ----------
    abstraction : PointerAbstraction
    requested : int
        Bytes wanted, unsigned 64-bit.

    Returns
    -------
    ConcreteAction

    Examples
    --------
    >>> concretize(validated(4096, SafetyState.VALID, 4096, 10, 1), 12)
    ConcreteAction(kind=<ConcreteActionKind.HEAL: 1>, address=4096, size=10)
    """
    remaining = abstraction.remaining
    kind, size = concretize_facts(
        np.uint64(abstraction.address),
        int(abstraction.state),
        remaining is not None,
        ZERO if remaining is None else np.uint64(remaining),
        uint64("requested", requested),
    )
    address = 0 if kind == ConcreteActionKind.DENY else abstraction.address
    return ConcreteAction(ConcreteActionKind(kind), address, int(size))
