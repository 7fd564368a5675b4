"""What is the usual size of a cost, on a logarithmic scale?

A moving average of log2 values whose innovations are clipped, so one wild value moves it by at
most one step: a stochastic-approximation form of Huber's location estimate.

References
----------
.. [1] P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35(1), 1964.
.. [2] H. Robbins, S. Monro, "A stochastic approximation method", Ann. Math. Statist. 22(3), 1951.
"""

import numpy as np

from runtime_math.calibrated.learnt_rate import unit_interval
from runtime_math.monitors.base import Monitor, finite, operation, reading
from runtime_math.numerics.compilation import jitted

CLIP_OCTAVES = 1.0

STATE = np.dtype([("level", np.float64), ("count", np.float64), ("memory", np.float64)], align=True)


@jitted
def init(state, memory):
    """Know nothing."""
    state.level = 0.0
    state.count = 0.0
    state.memory = memory


@jitted
def start(state, value):
    """Take a value for the usual one, as if it had been the first seen."""
    state.level = value
    state.count = 1.0


@jitted
def learn(state, value, weight):
    """Move towards a value by at most one step, scaled by a weight from 0 to 1."""
    if state.count == 0.0:
        start(state, value)
        return
    if state.count < state.memory:
        state.count += 1.0
    innovation = min(max(value - state.level, -CLIP_OCTAVES), CLIP_OCTAVES)
    state.level += weight * innovation / state.count


@jitted
def level(state):
    """Return the usual value in octaves; 0 while nothing is known."""
    return state.level


class RobustLevel(Monitor):
    """Clipped moving average of logarithms.

    Parameters
    ----------
    memory : float, default 32
        The step is one over this number, larger while fewer values are known.

    Examples
    --------
    >>> monitor = RobustLevel()
    >>> for value in [4.0, 4.2, 3.8, 4.0, 60.0]:
    ...     monitor.learn(value, 1.0)
    >>> round(monitor.level, 2)
    4.2
    """

    STATE = STATE
    PARAMETERS = {"memory": (finite, 32.0)}
    initialise = init
    learn = operation(learn, value=finite, weight=unit_interval)
    start = operation(start, value=finite)
    level = reading(level)
