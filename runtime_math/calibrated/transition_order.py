"""Has the order of events changed, although each kind comes as often as before?

A plug-in likelihood ratio on the transitions of a small alphabet: a fast model (moving average of
the last few transitions from each symbol, mixed with the slow one) against the slow, learnt law,
which is forgiven a tolerance:

    R <- (1 + R) * fast(symbol | row) / (tolerance * slow(symbol | row)).

As long as no transition is more than `tolerance` times as probable as the slow law has it, the
factor's conditional mean is at most the total of the fast model, which is one: a
Shiryaev-Roberts e-detector. A symbol that has hardly been learnt yet never counts as evidence (its
factor is clipped at one, which only lowers the mean): a newcomer is not a changed order.

References
----------
.. [1] H. Robbins, D. Siegmund, "A class of stopping rules for testing parametric hypotheses",
       Proc. 6th Berkeley Symp., 1972 (plug-in mixtures).
.. [2] L. Wasserman, A. Ramdas, S. Balakrishnan, "Universal inference", PNAS 117(29), 2020.
.. [3] A. Dawid, "Present position and potential developments: the prequential approach",
       J. R. Statist. Soc. A 147(2), 1984.
"""

import numpy as np

from runtime_math.calibrated.learnt_rate import unit_interval
from runtime_math.calibrated.rate_detector import EVIDENCE_CAP
from runtime_math.monitors.base import Monitor, finite, integer, operation, reading
from runtime_math.numerics.compilation import jitted

LARGEST_ALPHABET = 9
MEMORY = 4096.0
GROWTH = 1.0 / (1.0 - 1.0 / MEMORY)
LARGEST_UNIT = 1e9
FAST_SHARE = 0.95
READY_COUNT = 30.0
# Times a symbol must usually have been learnt before its place in the order counts.
KNOWN_COUNT = 10.0

STATE = np.dtype(
    [
        ("slow", np.float64, (LARGEST_ALPHABET, LARGEST_ALPHABET)),
        ("fast", np.float64, (LARGEST_ALPHABET, LARGEST_ALPHABET)),
        ("row_total", np.float64, (LARGEST_ALPHABET,)),
        ("column_total", np.float64, (LARGEST_ALPHABET,)),
        ("unit", np.float64),
        ("evidence", np.float64),
        ("fast_rate", np.float64),
        ("tolerance", np.float64),
        ("known_count", np.float64),
        ("symbols", np.int64),
    ],
    align=True,
)


@jitted
def init(state, symbols, fast_rate, tolerance, known_count):
    """Start with one imagined transition of each kind and no evidence."""
    state.symbols = symbols
    state.fast_rate = fast_rate
    state.tolerance = tolerance
    state.known_count = known_count
    state.unit = 1.0
    state.evidence = 0.0
    for row in range(LARGEST_ALPHABET):
        state.row_total[row] = symbols
        state.column_total[row] = 0.0
        for column in range(LARGEST_ALPHABET):
            state.slow[row, column] = 1.0
            state.fast[row, column] = 1.0 / symbols


@jitted
def learn(state, row, symbol, weight):
    """Learn one transition into the slow law with a weight from 0 to 1."""
    state.unit *= GROWTH
    mass = state.unit * weight
    state.slow[row, symbol] += mass
    state.row_total[row] += mass
    state.column_total[symbol] += mass
    if state.unit > LARGEST_UNIT:
        for index in range(LARGEST_ALPHABET):
            total = 0.0
            for column in range(LARGEST_ALPHABET):
                # The imagined transitions have decayed too; keep every law positive.
                kept = max(state.slow[index, column] / state.unit, 1e-3)
                state.slow[index, column] = kept
                if column < state.symbols:
                    total += kept
            state.row_total[index] = total
            state.column_total[index] /= state.unit
        state.unit = 1.0


@jitted
def observe(state, row, symbol):
    """Add one transition from the symbol `row` to `symbol`; returns the detector's value."""
    if state.row_total[row] >= (READY_COUNT + state.symbols) * state.unit:
        slow = state.slow[row, symbol] / state.row_total[row]
        mixed = FAST_SHARE * state.fast[row, symbol] + (1.0 - FAST_SHARE) * slow
        factor = mixed / (state.tolerance * slow)
        if state.column_total[symbol] < state.known_count * state.unit:
            factor = min(factor, 1.0)
        state.evidence = min((1.0 + state.evidence) * factor, EVIDENCE_CAP)
    keep = 1.0 - state.fast_rate
    for column in range(state.symbols):
        state.fast[row, column] *= keep
    state.fast[row, symbol] += state.fast_rate
    return state.evidence


@jitted
def forget(state):
    """Forget all evidence; what was learnt stays."""
    state.evidence = 0.0


@jitted
def value(state):
    """Return the detector's statistic."""
    return state.evidence


def _alphabet(name, value):
    return integer(2, LARGEST_ALPHABET)(name, value)


def _tolerance(name, value):
    number = finite(name, value)
    if number < 1.0:
        raise ValueError(f"{name} must be at least 1, got {number}")
    return number


_symbol = integer(0, LARGEST_ALPHABET - 1)


class TransitionOrder(Monitor):
    """E-detector of a changed order of events.

    Parameters
    ----------
    symbols : int from 2 to 9, default 9
        Size of the alphabet.
    fast_rate : float in [0, 1], default 1/64
        Step of the fast model's moving average.
    tolerance : float, at least 1, default 1.5
        Factor by which any transition may become more probable without counting as a change.
    known_count : float, default 10
        Times a symbol must have been learnt before it counts as evidence.

    Examples
    --------
    >>> monitor = TransitionOrder(symbols=2, fast_rate=1 / 24, tolerance=1.2)
    >>> for index in range(400):
    ...     monitor.learn(index // 2 % 2, index // 3 % 2, 1.0)
    >>> for index in range(80):
    ...     evidence = monitor.observe(index % 2, 1 - index % 2)
    >>> evidence > 10_000
    True
    """

    STATE = STATE
    PARAMETERS = {
        "symbols": (_alphabet, LARGEST_ALPHABET),
        "fast_rate": (unit_interval, 1 / 64),
        "tolerance": (_tolerance, 1.5),
        "known_count": (finite, KNOWN_COUNT),
    }
    initialise = init
    learn = operation(learn, row=_symbol, symbol=_symbol, weight=unit_interval)
    observe = operation(observe, row=_symbol, symbol=_symbol)
    forget = operation(forget)
    value = reading(value)
