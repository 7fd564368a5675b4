"""How unusual is a value beside the past of its stream, as a p-value?

A conformal predictor for one number: the p-value of a value is the share of learnt values above
its bin, plus a random part of those in its bin, the value itself counted among them. While the
stream is exchangeable this is uniform on [0, 1]; a safety margin of one standard error covers the
finite memory of learnt values that p-values in a row share. Values are binned by the logarithm
of their size; the counts are decayed lazily (new values weigh more), and a Fenwick tree over the
bins, counted from the top, gives any upper tail in at most eight additions.

References
----------
.. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2nd ed., 2022,
       ch. 2 (smoothed conformal predictors) and ch. 8 (testing exchangeability).
.. [2] V. Vovk et al., "Retrain or not retrain: conformal test martingales for change-point
       detection", COPA, 2021.
.. [3] P. M. Fenwick, "A new data structure for cumulative frequency tables", Softw. Pract. Exp.
       24(3), 1994.
"""

import math
from typing import NamedTuple

import numpy as np

from runtime_math.calibrated.learnt_rate import GROWTH, LARGEST_UNIT, unit_interval
from runtime_math.monitors.base import Monitor, integer, operation, reading
from runtime_math.numerics.compilation import jitted

BIN_COUNT = 256
MARGIN = 1.0


def histogram_state(bins):
    """Make the dtype of a histogram with a number of bins."""
    return np.dtype(
        [
            ("mass", np.float64, (bins,)),
            ("tree", np.float64, (bins + 1,)),
            ("total", np.float64),
            ("unit", np.float64),
        ],
        align=True,
    )


STATE = histogram_state(BIN_COUNT)


class Histogram(NamedTuple):
    """How much has been learnt, and the bins of the median and the upper percentile."""

    count: float  # type: ignore[assignment] # hides tuple.count
    median_bin: int
    upper_percentile_bin: int


@jitted
def init(state):
    """Know nothing."""
    state.total = 0.0
    state.unit = 1.0
    for index in range(len(state.mass)):
        state.mass[index] = 0.0
    for index in range(len(state.tree)):
        state.tree[index] = 0.0


@jitted
def _rescale(state):
    for index in range(len(state.mass)):
        state.mass[index] /= state.unit
    for index in range(len(state.tree)):
        state.tree[index] /= state.unit
    state.total /= state.unit
    state.unit = 1.0


@jitted
def learn(state, index, weight):
    """Learn a value of a bin with a weight from 0 to 1."""
    state.unit *= GROWTH
    mass = state.unit * weight
    state.mass[index] += mass
    state.total += mass
    position = len(state.mass) - index
    while position < len(state.tree):
        state.tree[position] += mass
        position += position & -position
    if state.unit > LARGEST_UNIT:
        _rescale(state)


@jitted
def mass_above(state, index):
    """Decayed number of learnt values in higher bins, in units of the newest one."""
    position = len(state.mass) - index - 1
    total = 0.0
    while position > 0:
        total += state.tree[position]
        position &= position - 1
    return total / state.unit


@jitted
def count(state):
    """Decayed number of learnt values."""
    return state.total / state.unit


@jitted
def p_value(state, index, luck):
    """Smoothed p-value of a value in a bin; `luck` is uniform on [0, 1)."""
    own = state.mass[index] / state.unit + 1.0
    return min((mass_above(state, index) + luck * own) / (count(state) + 1.0), 1.0)


@jitted
def cautious(p, trials):
    """A p-value raised by one standard error of the learnt share it stands for."""
    return p + MARGIN * math.sqrt(p / (trials + 1.0))


@jitted
def quantile_bin(state, upper_share):
    """Return the lowest bin with at most a share of the learnt values above it."""
    for index in range(len(state.mass)):
        if mass_above(state, index) <= upper_share * count(state):
            return index
    return len(state.mass) - 1


@jitted
def summary(state):
    """Return the decayed count, the median's bin and that of the 99th percentile."""
    return Histogram(count(state), quantile_bin(state, 0.5), quantile_bin(state, 0.01))


class TailHistogram(Monitor):
    """Conformal p-values for one stream of binned values.

    Examples
    --------
    >>> histogram = TailHistogram()
    >>> for value in range(1000):
    ...     histogram.learn(value % 100, 1.0)
    >>> round(histogram.p_value(94, 0.5), 2), histogram.p_value(120, 0.5) < 0.001
    (0.06, True)
    """

    STATE = STATE
    initialise = init
    learn = operation(learn, index=integer(0, BIN_COUNT - 1), weight=unit_interval)
    mass_above = operation(mass_above, index=integer(0, BIN_COUNT - 1))
    p_value = operation(p_value, index=integer(0, BIN_COUNT - 1), luck=unit_interval)
    count = reading(count)
    summary = operation(summary)
