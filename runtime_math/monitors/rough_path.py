"""Does the path of recent samples look like the paths seen so far, order included?

The stream of 4-vectors is cut into windows of 32. The signature of a window, here the iterated
sums of its increments over strictly increasing times up to depth three (84 numbers), tells which
coordinate moved before which. A window is anomalous when its signature is farther from an
adaptive baseline than twice the baseline's norm.

The iterated sums obey Chen's identity step by step, so they grow with each sample and no window is
stored. They are sums, not integrals: the terms of equal times that the signature of the
piecewise-linear path has are absent.

References
----------
.. [1] K.-T. Chen, "Integration of paths, geometric invariants and a generalized Baker-Hausdorff
       formula", Ann. of Math. 65, 1957.
.. [2] I. Chevyrev, A. Kormilitzin, "A primer on the signature method in machine learning",
       arXiv:1603.03788, 2016.
.. [3] F. Kiraly, H. Oberhauser, "Kernels for sequentially ordered data", JMLR 20(31), 2019
       (iterated sums).
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, real, vector
from runtime_math.numerics.compilation import jitted

DIMENSION = 4
# Entries of a signature: level 1, then level 2 row by row, then level 3.
LEVEL2 = DIMENSION
LEVEL3 = LEVEL2 + DIMENSION**2
ENTRIES = LEVEL3 + DIMENSION**3
WINDOW = 32
BASELINE_WINDOWS = 4
ANOMALY_THRESHOLD = 2.0
ADAPTATION = 0.02
SMALLEST_NORM = 1e-12


class RoughPathState(IntEnum):
    """How the last window's signature compares with the baseline."""

    CALIBRATING = 0
    NORMAL = 1
    ANOMALOUS = 2


STATE = np.dtype(
    [
        ("signature", np.float64, (ENTRIES,)),
        ("baseline", np.float64, (ENTRIES,)),
        ("previous", np.float64, (DIMENSION,)),
        ("baseline_norm", np.float64),
        ("distance", np.float64),
        ("signature_norm", np.float64),
        ("write_position", np.int64),
        ("baseline_windows", np.int64),
        ("anomaly_count", np.int64),
        ("state", np.uint8),
    ],
    align=True,
)


class RoughPathSummary(NamedTuple):
    """Figures of the last complete window; the score uses the baseline as it is now."""

    state: int
    signature_norm: float
    baseline_norm: float
    distance_to_baseline: float
    anomaly_score: float
    anomaly_count: int


class Signature(NamedTuple):
    """Truncated signature of a path: arrays of shape (4,), (4, 4) and (4, 4, 4)."""

    level1: np.ndarray
    level2: np.ndarray
    level3: np.ndarray


@jitted
def init(state):
    """Start before the first sample of the first window."""
    for entry in range(ENTRIES):
        state.signature[entry] = 0.0
        state.baseline[entry] = 0.0
    for coordinate in range(DIMENSION):
        state.previous[coordinate] = 0.0
    state.baseline_norm = 0.0
    state.distance = 0.0
    state.signature_norm = 0.0
    state.write_position = 0
    state.baseline_windows = 0
    state.anomaly_count = 0
    state.state = 0


@jitted
def extend(signature, step0, step1, step2, step3):
    """Append one increment to a signature; the deeper levels see the shallower before it."""
    for pair in range(DIMENSION**2):
        area = signature[LEVEL2 + pair]
        entry = LEVEL3 + DIMENSION * pair
        signature[entry] += area * step0
        signature[entry + 1] += area * step1
        signature[entry + 2] += area * step2
        signature[entry + 3] += area * step3
    for coordinate in range(DIMENSION):
        moved = signature[coordinate]
        entry = LEVEL2 + DIMENSION * coordinate
        signature[entry] += moved * step0
        signature[entry + 1] += moved * step1
        signature[entry + 2] += moved * step2
        signature[entry + 3] += moved * step3
    signature[0] += step0
    signature[1] += step1
    signature[2] += step2
    signature[3] += step3


@jitted
def norm(signature):
    """Return the Euclidean norm of the 84 entries."""
    total = 0.0
    for entry in range(ENTRIES):
        total += signature[entry] * signature[entry]
    return math.sqrt(total)


@jitted
def distance(signature, other):
    """Return the Euclidean distance of two signatures."""
    total = 0.0
    for entry in range(ENTRIES):
        difference = signature[entry] - other[entry]
        total += difference * difference
    return math.sqrt(total)


@jitted
def blend(signature, other, weight):
    """Move a signature towards another: the weight is the other's share."""
    keep = 1.0 - weight
    for entry in range(ENTRIES):
        signature[entry] = keep * signature[entry] + weight * other[entry]


@jitted
def _adapt(state, weight):
    blend(state.baseline, state.signature, weight)
    state.baseline_norm = norm(state.baseline)


@jitted
def _evaluate(state):
    state.signature_norm = norm(state.signature)
    if state.baseline_windows < BASELINE_WINDOWS:
        _adapt(state, 1.0 / (state.baseline_windows + 1.0))
        state.baseline_windows += 1
        state.state = 0
        return
    state.distance = distance(state.signature, state.baseline)
    score = state.distance / state.baseline_norm if state.baseline_norm > SMALLEST_NORM else 0.0
    if score > ANOMALY_THRESHOLD:
        state.state = 2
        state.anomaly_count += 1
    else:
        state.state = 1
        _adapt(state, ADAPTATION)


@jitted
def observe(state, risk_score, latency, contention, hit_rate):
    """Add one sample, given as four numbers; returns the state code."""
    previous = state.previous
    position = state.write_position
    if position > 0:
        extend(
            state.signature,
            risk_score - previous[0],
            latency - previous[1],
            contention - previous[2],
            hit_rate - previous[3],
        )
    previous[0] = risk_score
    previous[1] = latency
    previous[2] = contention
    previous[3] = hit_rate
    position += 1
    if position == WINDOW:
        _evaluate(state)
        for entry in range(ENTRIES):
            state.signature[entry] = 0.0
        position = 0
    state.write_position = position
    return np.int64(state.state)


@jitted
def observe_values(state, values):
    """Add one sample, given as an array of four; returns the state code."""
    return observe(state, values[0], values[1], values[2], values[3])


@jitted
def current_state(state):
    """Return the state code."""
    return np.int64(state.state)


@jitted
def summary(state):
    """Return the figures of the last window and the score against the present baseline."""
    score = 0.0
    # Not the complement of the test in the evaluation: a NaN norm has to show.
    if not state.baseline_norm < SMALLEST_NORM:
        score = state.distance / state.baseline_norm
    return RoughPathSummary(
        np.int64(state.state),
        state.signature_norm,
        state.baseline_norm,
        state.distance,
        score,
        state.anomaly_count,
    )


def _levels(entries):
    return Signature(
        entries[:LEVEL2].copy(),
        entries[LEVEL2:LEVEL3].reshape((DIMENSION,) * 2).copy(),
        entries[LEVEL3:].reshape((DIMENSION,) * 3).copy(),
    )


def _entries(signature):
    entries = np.concatenate([np.asarray(level, dtype=np.float64).ravel() for level in signature])
    if entries.shape != (ENTRIES,):
        raise ValueError(f"a signature has {ENTRIES} entries, got {entries.size}")
    return entries


class RoughPath(Monitor):
    """Anomaly detection on truncated path signatures of windows of 32 samples.

    Examples
    --------
    >>> monitor = RoughPath()
    >>> for call in range(160):
    ...     state = monitor.observe([0.01 * (call % 4), 3.0, 0.5, 0.0])
    >>> state
    <RoughPathState.NORMAL: 1>
    >>> path = [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
    >>> float(RoughPath.signature(path).level2[0, 1])
    1.0
    """

    STATE = STATE
    initialise = init
    observe = operation(observe_values, RoughPathState, values=vector(DIMENSION))
    state = reading(current_state, RoughPathState)
    summary = operation(summary, named(RoughPathSummary, state=RoughPathState))

    @staticmethod
    def signature(path):
        """Return the iterated sums of a path up to depth three.

        Parameters
        ----------
        path : array_like of shape (m, 4)
            Points in order; fewer than two give zeros.

        Returns
        -------
        Signature
            Arrays of the three levels.
        """
        points = np.asarray(path, dtype=np.float64)
        if points.size == 0:
            points = points.reshape(0, DIMENSION)
        if points.ndim != 2 or points.shape[1] != DIMENSION:
            raise ValueError(f"path must have shape (m, {DIMENSION}), got {points.shape}")
        entries = np.zeros(ENTRIES)
        for step in points[1:] - points[:-1]:
            extend(entries, *step)
        return _levels(entries)

    @staticmethod
    def norm(signature):
        """Return the Euclidean norm of a `Signature`."""
        return norm(_entries(signature))

    @staticmethod
    def distance(signature, other):
        """Return the Euclidean distance of two `Signature` tuples."""
        return distance(_entries(signature), _entries(other))

    @staticmethod
    def blend(signature, other, weight):
        """Return a `Signature` moved towards another by the given share (a real number)."""
        entries = _entries(signature)
        blend(entries, _entries(other), real("weight", weight))
        return _levels(entries)
