"""Timing on a machine that others use, too: short samples, the best repeat of each stretch.

A sample of many milliseconds is hardly ever free of preemption. So a stream of calls is cut into
stretches of less than a millisecond, the whole stream is repeated, and of each stretch the
shortest time counts. The mean over the stretches still holds the dear ones among the calls, which
a plain minimum would drop.
"""

import numpy as np

_SHORTEST_SAMPLE = 0.4e-3
_LONG_CALL, _FEW_CALLS = 20e-6, 16
_CALLS = 512  # divides the length of the mixed traffic, so that stretches repeat
STRETCHES = 64


def calls_for(timing):
    """Return how many calls make a sample of about half a millisecond: 512, or a multiple.

    Of calls that take tens of microseconds there are 16 in a sample.
    """
    calls = _CALLS
    while (shortest := min(timing(calls) for _ in range(3))) < _SHORTEST_SAMPLE:
        calls *= 2
    return _FEW_CALLS if shortest > calls * _LONG_CALL else calls


def best_stretches(timings, repeats, stretches=STRETCHES):
    """Time several things, alternating.

    Parameters
    ----------
    timings : dict of callables
        Timing functions ``timing(loops) -> seconds`` by name.
    repeats : int
        Times that the stream is repeated.
    stretches : int
        Samples in one pass over the stream.

    Returns
    -------
    dict of numpy.ndarray
        By name, nanoseconds per call of each stretch.
    """
    calls = {name: calls_for(timing) for name, timing in timings.items()}
    best = {name: np.full(stretches, np.inf) for name in timings}
    for _ in range(repeats):
        for stretch in range(stretches):
            for name, timing in timings.items():
                nanoseconds = timing(calls[name]) / calls[name] * 1e9
                best[name][stretch] = min(best[name][stretch], nanoseconds)
    return best
