"""May this call be escalated merely for being unusual?

A token bucket in integers: 5 thousandths of a token per call, at most 16 tokens, so whatever the
input, any n calls in a row spend at most 16 + 0.005 n tokens.

References
----------
.. [1] R. L. Cruz, "A calculus for network delay", IEEE Trans. Inf. Theory 37(1), 1991.
"""

import numpy as np

from runtime_math.monitors.base import Monitor, operation, reading
from runtime_math.numerics.compilation import jitted

MILLITOKENS_PER_CALL = 5
CAPACITY_MILLITOKENS = 16_000
MILLITOKENS = 1_000

STATE = np.dtype([("millitokens", np.int64), ("spent", np.int64)], align=True)


@jitted
def init(state):
    """Start full."""
    state.millitokens = CAPACITY_MILLITOKENS
    state.spent = 0


@jitted
def refill(state):
    """Count one call."""
    state.millitokens = min(state.millitokens + MILLITOKENS_PER_CALL, CAPACITY_MILLITOKENS)


@jitted
def take(state):
    """Spend one token if there is one; returns whether there was."""
    if state.millitokens < MILLITOKENS:
        return False
    state.millitokens -= MILLITOKENS
    state.spent += 1
    return True


@jitted
def tokens(state):
    """Return the tokens left."""
    return state.millitokens / MILLITOKENS


class TokenBucket(Monitor):
    """Bound on escalations that a single unusual call can cause.

    Examples
    --------
    >>> bucket = TokenBucket()
    >>> sum(bucket.take() for _ in range(100))
    16
    >>> for _ in range(200):
    ...     bucket.refill()
    >>> bucket.tokens, bucket.take(), bucket.take()
    (1.0, True, False)
    """

    STATE = STATE
    initialise = init
    refill = operation(refill)
    take = operation(take)
    tokens = reading(tokens)
