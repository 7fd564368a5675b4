"""Keep what was just seen out of what counts as normal, until it has proved harmless.

A ring of the last 256 observations. What is pushed out was followed by 256 others without an
alarm and may be learnt; an alarm voids what is inside, all of it or one family's, so the events
that led to an alarm never become part of the baseline that it is judged by.

References
----------
.. [1] J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
       change detection", New England J. Statist. Data Sci. 2(2), 2023, sec. 2 (the null must be
       predictable from the past before the change).
"""

import numpy as np

from runtime_math.monitors.base import Monitor, integer, operation, uint64
from runtime_math.numerics.compilation import jitted

LAG = 256
VOID = 255

STATE = np.dtype(
    [
        ("payload", np.uint64, (LAG,)),
        ("released", np.uint64),
        ("position", np.int64),
        ("family", np.uint8, (LAG,)),
    ],
    align=True,
)


@jitted
def init(state):
    """Start empty."""
    state.released = np.uint64(0)
    state.position = 0
    for index in range(LAG):
        state.payload[index] = np.uint64(0)
        state.family[index] = VOID


@jitted
def push(state, family, payload):
    """Add an observation; returns the family of the one it releases (`VOID`: none).

    The released payload is then in the field ``released``.
    """
    index = state.position
    released_family = np.int64(state.family[index])
    state.released = state.payload[index]
    state.payload[index] = payload
    state.family[index] = family
    state.position = (index + 1) % LAG
    return released_family


@jitted
def void_all(state):
    """Forget everything inside."""
    for index in range(LAG):
        state.family[index] = VOID


@jitted
def void_family(state, family):
    """Forget one family's observations."""
    for index in range(LAG):
        if state.family[index] == family:
            state.family[index] = VOID


class QuarantineQueue(Monitor):
    """Delay line whose content can be voided.

    Examples
    --------
    >>> import numpy as np
    >>> queue = QuarantineQueue()
    >>> released = [queue.push(index % 2, index) for index in range(256)]
    >>> set(released) == {VOID}
    True
    >>> queue.void_family(1)
    >>> [queue.push(0, 0) for _ in range(4)]
    [0, 255, 0, 255]
    """

    STATE = STATE
    initialise = init
    push = operation(push, family=integer(0, VOID - 1), payload=uint64)
    void_all = operation(void_all)
    void_family = operation(void_family, family=integer(0, VOID - 1))
