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


@jitted
def join(left, right):
    """Combine two states into the most cautious one.

    Examples
    --------
    >>> SafetyState(join(5, 4))
    <SafetyState.QUARANTINED: 3>
    """
    if (left == 4 and right == 5) or (left == 5 and right == 4):
        return 3
    return min(left, right)


@jitted
def meet(left, right):
    """Combine two states into the most permissive one.

    Examples
    --------
    >>> SafetyState(meet(5, 4))
    <SafetyState.VALID: 6>
    """
    if (left == 4 and right == 5) or (left == 5 and right == 4):
        return 6
    return max(left, right)


@jitted
def can_read(state):
    """Whether a region in this state may be read."""
    return state == 5 or state == 6


@jitted
def can_write(state):
    """Whether a region in this state may be written."""
    return state == 4 or state == 6


@jitted
def is_live(state):
    """Whether a region in this state belongs to a block in use."""
    return state >= 4


@jitted
def is_terminal(state):
    """Whether nothing more can be learned about a region in this state."""
    return state <= 1
