"""Has the shape of the recent point cloud changed?

Every 24 samples form a cloud in four dimensions. The persistence diagram of its connected
components under growing distance holds the edge lengths of the Euclidean minimum spanning tree.
Two numbers summarise it: the total length and the entropy of the lengths' shares. A cloud is
anomalous when either differs by more than half from an adaptive baseline.

The tree is grown on squared distances (Prim), which sees every pair once and so finds the
diameter on the way; roots are taken of the 23 edges only. As correct rounding is monotone, the
lengths are those of any other minimum spanning tree algorithm, bit for bit.

References
----------
.. [1] H. Edelsbrunner, J. Harer, "Computational Topology", AMS, 2010, chapter VII.
.. [2] R. C. Prim, "Shortest connection networks and some generalizations", Bell Syst. Tech. J.
       36(6), 1957.
.. [3] H. Chintakunta, T. Gentimis, R. Gonzalez-Diaz, M.-J. Jimenez, H. Krim, "An entropy-based
       persistence barcode", Pattern Recognition 48(2), 2015.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, operation, reading, real, vector
from runtime_math.numerics.compilation import jitted

DIMENSION = 4
CLOUD = 24
SIGNIFICANT_FRACTION = 0.15
ADAPTATION = 0.05
BASELINE_WINDOWS = 4
CHANGE_THRESHOLD = 0.5
SMALLEST_SCALE = 1e-12
SMALLEST_SHARE = 1e-15


class PersistenceState(IntEnum):
    """How the last cloud compares with the baseline."""

    CALIBRATING = 0
    NORMAL = 1
    ANOMALOUS = 2


STATE = np.dtype(
    [
        ("coordinates", np.float64, (DIMENSION, CLOUD)),
        ("nearest", np.float64, (CLOUD,)),
        ("farthest", np.float64, (CLOUD,)),
        ("deaths", np.float64, (CLOUD,)),
        ("total_persistence", np.float64),
        ("persistence_entropy", np.float64),
        ("max_persistence", np.float64),
        ("baseline_entropy", np.float64),
        ("baseline_total", np.float64),
        ("pair_count", np.int64),
        ("significant_features", np.int64),
        ("write_position", np.int64),
        ("baseline_windows", np.int64),
        ("anomaly_count", np.int64),
        ("state", np.uint8),
    ],
    align=True,
)


class PersistenceSummary(NamedTuple):
    """Summary of a persistence diagram; zeros where there is none."""

    pair_count: int
    total_persistence: float
    significant_features: int
    persistence_entropy: float
    max_persistence: float


@jitted
def init(state):
    """Start before the first sample of the first cloud."""
    for point in range(CLOUD):
        state.nearest[point] = 0.0
        state.farthest[point] = 0.0
        state.deaths[point] = 0.0
        for axis in range(DIMENSION):
            state.coordinates[axis, point] = 0.0
    state.total_persistence = 0.0
    state.persistence_entropy = 0.0
    state.max_persistence = 0.0
    state.baseline_entropy = 0.0
    state.baseline_total = 0.0
    state.pair_count = 0
    state.significant_features = 0
    state.write_position = 0
    state.baseline_windows = 0
    state.anomaly_count = 0
    state.state = 0


@jitted
def _attach(coordinates, nearest, farthest, outside):
    """Let the point just behind the outside points update their nearest and farthest distances."""
    a, b = coordinates[0, outside], coordinates[1, outside]
    c, d = coordinates[2, outside], coordinates[3, outside]
    # One element after the other, without a running maximum: this vectorises.
    for point in range(outside):
        w, x = coordinates[0, point] - a, coordinates[1, point] - b
        y, z = coordinates[2, point] - c, coordinates[3, point] - d
        square = ((w * w + x * x) + y * y) + z * z
        low, high = nearest[point], farthest[point]
        nearest[point] = square if square < low else low
        farthest[point] = square if square > high else high


@jitted
def _insert(deaths, length, edges):
    """Insert a length into the first, ascending entries."""
    slot = edges
    while slot > 0 and deaths[slot - 1] > length:
        deaths[slot] = deaths[slot - 1]
        slot -= 1
    deaths[slot] = length


@jitted
def span(coordinates, nearest, farthest, deaths):
    """Grow the minimum spanning tree of a cloud.

    Writes its edge lengths, ascending, and returns the diameter. The coordinates, an array of
    shape (4, n) with n >= 1, are permuted; NaN distances count as infinite.
    """
    points = np.uint64(coordinates.shape[1])
    for point in range(points):
        nearest[point] = math.inf
        farthest[point] = 0.0
    outside = points - np.uint64(1)
    edges = 0
    while outside > np.uint64(0):
        _attach(coordinates, nearest, farthest, outside)
        best, length = np.uint64(0), nearest[0]
        for point in range(np.uint64(1), outside):
            closer = nearest[point] < length
            length = nearest[point] if closer else length
            best = point if closer else best
        outside -= np.uint64(1)
        # The new tree point goes behind the outside points, the last of them takes its place.
        nearest[best] = nearest[outside]
        for axis in range(DIMENSION):
            moved = coordinates[axis, outside]
            coordinates[axis, outside] = coordinates[axis, best]
            coordinates[axis, best] = moved
        _insert(deaths, length, edges)
        edges += 1
    diameter = 0.0
    for edge in range(edges):
        deaths[edge] = math.sqrt(deaths[edge])
    for point in range(points):
        diameter = max(diameter, farthest[point])
    return math.sqrt(diameter)


@jitted
def summarize(deaths, pairs, diameter):
    """Return the summary of the first `pairs` deaths, given in ascending order."""
    threshold = diameter * SIGNIFICANT_FRACTION
    total, longest, significant = 0.0, 0.0, 0
    for pair in range(pairs):
        persistence = deaths[pair]
        total += persistence
        longest = max(longest, persistence)
        if persistence > threshold:
            significant += 1
    entropy = 0.0
    if total > SMALLEST_SCALE:
        for pair in range(pairs):
            share = deaths[pair] / total
            if share > SMALLEST_SHARE:
                entropy -= share * math.log(share)
    return PersistenceSummary(pairs, total, significant, entropy, longest)


@jitted
def _change(value, baseline):
    if baseline > SMALLEST_SCALE:
        return abs(value - baseline) / baseline
    return 1.0 if value > SMALLEST_SCALE else 0.0


@jitted
def _adapt(state, keep, weight):
    state.baseline_entropy = keep * state.baseline_entropy + weight * state.persistence_entropy
    state.baseline_total = keep * state.baseline_total + weight * state.total_persistence


@jitted
def _evaluate(state):
    diameter = span(state.coordinates, state.nearest, state.farthest, state.deaths)
    figures = summarize(state.deaths, CLOUD - 1, diameter)
    state.pair_count = figures.pair_count
    state.total_persistence = figures.total_persistence
    state.significant_features = figures.significant_features
    state.persistence_entropy = figures.persistence_entropy
    state.max_persistence = figures.max_persistence
    if state.baseline_windows < BASELINE_WINDOWS:
        weight = 1.0 / (state.baseline_windows + 1.0)
        _adapt(state, 1.0 - weight, weight)
        state.baseline_windows += 1
        state.state = 0
    elif (
        _change(state.persistence_entropy, state.baseline_entropy) > CHANGE_THRESHOLD
        or _change(state.total_persistence, state.baseline_total) > CHANGE_THRESHOLD
    ):
        state.state = 2
        state.anomaly_count += 1
    else:
        state.state = 1
        _adapt(state, 1.0 - ADAPTATION, ADAPTATION)


@jitted
def observe(state, risk_score, latency, contention, hit_rate):
    """Add one sample, given as four numbers; returns the state code."""
    point = state.write_position
    state.coordinates[0, point] = risk_score
    state.coordinates[1, point] = latency
    state.coordinates[2, point] = contention
    state.coordinates[3, point] = hit_rate
    point += 1
    if point == CLOUD:
        _evaluate(state)
        point = 0
    state.write_position = point
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
def anomaly_count(state):
    """Return how many clouds were anomalous."""
    return state.anomaly_count


@jitted
def summary(state):
    """Return the summary of the last complete cloud."""
    return PersistenceSummary(
        state.pair_count,
        state.total_persistence,
        state.significant_features,
        state.persistence_entropy,
        state.max_persistence,
    )


def _point(name, value):
    values = vector(DIMENSION)(name, value)
    if np.isnan(values).any():
        raise ValueError(f"{name} must not hold NaN: distances need an order")
    return values


class Persistence(Monitor):
    """Anomaly detection on the persistent homology of clouds of 24 samples.

    Samples are four real numbers; infinities are allowed, NaN is refused.

    Examples
    --------
    >>> monitor = Persistence()
    >>> for call in range(120):
    ...     state = monitor.observe([0.02 * (call % 5), 3.0, 0.5, 0.0])
    >>> state
    <PersistenceState.NORMAL: 1>
    >>> Persistence.h0([[0, 0, 0, 0], [3, 0, 0, 0], [20, 0, 0, 0]])
    array([ 3., 17.])
    """

    STATE = STATE
    initialise = init
    observe = operation(observe_values, PersistenceState, values=_point)
    state = reading(current_state, PersistenceState)
    anomaly_count = reading(anomaly_count)
    summary = operation(summary)

    @staticmethod
    def h0(points):
        """Return the deaths of the components of a cloud, ascending.

        Parameters
        ----------
        points : array_like of shape (n, 4)
            The cloud, without NaN.

        Returns
        -------
        numpy.ndarray
            n - 1 floats, none for fewer than two points.
        """
        cloud = np.array(points, dtype=np.float64)
        if cloud.size == 0:
            return np.zeros(0)
        if cloud.ndim != 2 or cloud.shape[1] != DIMENSION:
            raise ValueError(f"points must have shape (n, {DIMENSION}), got {cloud.shape}")
        if np.isnan(cloud).any():
            raise ValueError("points must not hold NaN: distances need an order")
        nearest, farthest, deaths = np.zeros((3, len(cloud)))
        span(np.ascontiguousarray(cloud.T), nearest, farthest, deaths)
        return deaths[:-1]

    @staticmethod
    def summarize(deaths, diameter):
        """Return the `PersistenceSummary` of ascending deaths in a cloud of the given diameter."""
        lengths = vector(None)("deaths", deaths)
        return summarize(lengths, len(lengths), real("diameter", diameter))
