"""Deviation of a vector of codes from its running mean, with the sums that monitors ask of it.

Two monitors start from the same steps on the same input, so the pass over the vector is here: a
stand-alone monitor keeps a tracker of its own, the kernel runs one for both.
"""

import numpy as np

from runtime_math.numerics.compilation import jitted

SIGNAL_COUNT = 25
SMOOTHING_WEIGHT = 0.05

TRACKER = np.dtype(
    [
        ("running_mean", np.float64, (SIGNAL_COUNT,)),
        ("deviation", np.float64, (SIGNAL_COUNT,)),
        ("squares", np.float64, (SIGNAL_COUNT,)),
        ("projections", np.float64, (SIGNAL_COUNT,)),
        ("observations", np.int64),
    ],
    align=True,
)


@jitted(forceinline=True)
def track(tracker, severity):
    """Move the mean towards a vector of codes and keep the deviation from the new mean.

    Parameters
    ----------
    tracker : record of `TRACKER`
        All zero at birth; the first vector becomes the mean.
    severity : array of uint8
        The first 25 entries are read.

    Returns
    -------
    sum_of_squares, projection : float
        Scalar products of the deviation with itself and with the previous deviation, added up
        from the first entry to the last.
    """
    weight = SMOOTHING_WEIGHT if tracker.observations > 0 else 1.0
    tracker.observations += 1
    # Two loops: the entries of the first share vector registers, while the sums of the second have
    # a fixed order and wait for nothing but one another.
    for signal in range(SIGNAL_COUNT):
        value = float(severity[signal])
        mean = tracker.running_mean[signal]
        mean = mean + weight * (value - mean)
        tracker.running_mean[signal] = mean
        deviation = value - mean
        tracker.squares[signal] = deviation * deviation
        tracker.projections[signal] = deviation * tracker.deviation[signal]
        tracker.deviation[signal] = deviation
    sum_of_squares, projection = 0.0, 0.0
    for signal in range(SIGNAL_COUNT):
        sum_of_squares += tracker.squares[signal]
        projection += tracker.projections[signal]
    return sum_of_squares, projection
