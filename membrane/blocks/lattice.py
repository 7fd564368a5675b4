"""What is known about a region of memory, and how do two findings combine?

Seven states, ordered from VALID down to UNKNOWN; READABLE and WRITABLE are not comparable. The
names of the two combining operations follow the reference, which turns the order upside down:
`join` goes down, to the more cautious state, and `meet` goes up.

References
----------
.. [1] B. A. Davey, H. A. Priestley, "Introduction to Lattices and Order", Cambridge University
       Press, 2nd edition, 2002.
"""

from enum import IntEnum

from runtime_math.numerics.compilation import jitted


class SafetyState(IntEnum):
    """What is known about a region."""

    UNKNOWN = 0
    INVALID = 1
    FREED = 2
    QUARANTINED = 3
    WRITABLE = 4
    READABLE = 5
    VALID = 6


# The codes as plain numbers, for jitted code.
UNKNOWN, INVALID, FREED, QUARANTINED, WRITABLE, READABLE, VALID = map(int, SafetyState)


@jitted
def incomparable(left, right):
    """Whether neither of two states is more cautious than the other."""
    return (left == WRITABLE and right == READABLE) or (left == READABLE and right == WRITABLE)


@jitted
def join(left, right):
    """Combine two states into the most cautious one.

    Examples
    --------
    >>> SafetyState(join(READABLE, WRITABLE))
    <SafetyState.QUARANTINED: 3>
    """
    if incomparable(left, right):
        return QUARANTINED
    return min(left, right)


@jitted
def meet(left, right):
    """Combine two states into the most permissive one.

    Examples
    --------
    >>> SafetyState(meet(READABLE, WRITABLE))
    <SafetyState.VALID: 6>
    """
    if incomparable(left, right):
        return VALID
    return max(left, right)


@jitted
def can_read(state):
    """Whether a region in this state may be read."""
    return state in (READABLE, VALID)


@jitted
def can_write(state):
    """Whether a region in this state may be written."""
    return state in (WRITABLE, VALID)


@jitted
def is_live(state):
    """Whether a region in this state belongs to a block in use."""
    return state >= WRITABLE


@jitted
def is_terminal(state):
    """Whether nothing more can be learned about a region in this state."""
    return state <= INVALID
