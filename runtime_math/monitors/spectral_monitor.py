"""Has the correlation structure of risk, latency, contention and hits just changed?

A window of 64 samples gives a 4 x 4 correlation matrix. Its largest eigenvalue is compared with
the Marchenko-Pastur edge of uncorrelated data, on the scale of Tracy-Widom fluctuations, and with
a baseline that adapts while nothing happens; a CUSUM adds up small excesses. Three signals in a
row make a new regime, which becomes the new baseline.

The eigenvalues are defined by 50 steps of power iteration with deflation, which mostly do not
converge, so no library routine gives the same numbers. Two ways lead to them:

- step by step, exactly as defined. It stops early when the vector repeats, with period one or
  two, because every later step is then known.
- through the powers A^16 and A^32 of the symmetric matrix: A^49 applied to the start vector is the
  49th iterate. Squaring a positive semidefinite matrix loses no accuracy; what can be lost is the
  share of the start vector in the dominant directions, so each result is accepted only where that
  share is well above rounding noise; the eigenvalues then agree to about 1e-13.

The second way is the usual one. The first is taken while the window fills, where the distance
from the baseline or what deflation leaves of the matrix is close to rounding noise, and when the
sample that enters equals the one that leaves: then nothing is computed anew until that ends.

References
----------
.. [1] V. A. Marchenko, L. A. Pastur, "Distribution of eigenvalues for some sets of random
       matrices", Math. USSR-Sbornik 1(4), 1967.
.. [2] I. M. Johnstone, "On the distribution of the largest eigenvalue in principal components
       analysis", Ann. Statist. 29(2), 2001.
.. [3] E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954.
.. [4] G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th ed., section 7.3, 2013.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, real
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.correlation import correlate_four_columns
from runtime_math.numerics.four_by_four import (
    deflate,
    matrix_times_vector,
    power_49,
    squared_norm,
)

DIMENSION = 4
WINDOW = 64
SMALLEST_EVALUATED = 8
EVALUATION_STEP = 16
BOOTSTRAP_SAMPLES = 32
EDGE_RATIO_THRESHOLD = 3.0
EDGE_RATIO_JUMP = 1.35
EIGENVALUE_JUMP = 1.50
TRACY_WIDOM_THRESHOLD = 2.5
CONFIRMATIONS = 3
CUSUM_DRIFT = 0.25
CUSUM_LEAK = 0.10
CUSUM_THRESHOLD = 4.0
BOOTSTRAP_WEIGHT = 0.15
BASELINE_WEIGHT = 0.05
FLOOR = 1e-12
SCALE_FLOOR = 1e-9
POWER_STEPS = 50
SMALLEST_NORM = 1e-15

# The shortcut leaves errors near 1e-13 in these figures; below the limit they would show.
EXACT_BELOW = 1e-3
SMALLEST_REMAINDER = 1e-2
NEGLIGIBLE_REMAINDER = 1e-13
SMALLEST_OVERLAP = 1e-4

_EVALUATED = [max(16, count) for count in (0, 16, 32, 48, 64)]
_ASPECT = [math.sqrt(DIMENSION / count) for count in _EVALUATED]
# Indexed by window fill / 16: Marchenko-Pastur edge, and the two factors of its fluctuation.
EDGE = np.array([(1.0 + q) * (1.0 + q) for q in _ASPECT])
FLUCTUATION = np.array([math.pow(1.0 + q, 4.0 / 3.0) for q in _ASPECT])
FLUCTUATION_DECAY = np.array([math.pow(float(count), -2.0 / 3.0) for count in _EVALUATED])


class SpectralPhase(IntEnum):
    """Phase of the correlation structure."""

    STATIONARY = 0
    TRANSITIONING = 1
    NEW_REGIME = 2


STATE = np.dtype(
    [
        ("window", np.float64, (WINDOW, DIMENSION)),
        ("sums", np.float64, (DIMENSION,)),
        ("sample", np.float64, (DIMENSION,)),
        ("correlations", np.float64, (DIMENSION, DIMENSION)),
        ("remainder", np.float64, (DIMENSION, DIMENSION)),
        ("eigenvalues", np.float64, (DIMENSION,)),
        ("max_eigenvalue", np.float64),
        ("edge_ratio", np.float64),
        ("mp_edge", np.float64),
        ("tw_z", np.float64),
        ("tw_delta", np.float64),
        ("cusum", np.float64),
        ("baseline_edge_ratio", np.float64),
        ("baseline_max_eigenvalue", np.float64),
        ("baseline_tw_z", np.float64),
        ("transition_count", np.int64),
        ("transition_streak", np.int64),
        ("write_position", np.int64),
        ("count", np.int64),
        ("phase", np.uint8),
        ("baseline_ready", np.bool_),
        ("iterated", np.bool_),
    ],
    align=True,
)


class SpectralSignature(NamedTuple):
    """Figures of the last evaluation; zeros before the first."""

    max_eigenvalue: float
    edge_ratio: float
    mp_edge: float
    tw_z: float
    tw_delta: float
    cusum: float
    phase: int
    transition_count: int


@jitted
def init(state):
    """Start with an empty window and no baseline."""
    for column in range(DIMENSION):
        state.sums[column] = 0.0
        state.sample[column] = 0.0
        state.eigenvalues[column] = 0.0
        for row in range(DIMENSION):
            state.correlations[row, column] = 0.0
            state.remainder[row, column] = 0.0
        for slot in range(WINDOW):
            state.window[slot, column] = 0.0
    state.max_eigenvalue = 0.0
    state.edge_ratio = 0.0
    state.mp_edge = 0.0
    state.tw_z = 0.0
    state.tw_delta = 0.0
    state.cusum = 0.0
    state.baseline_edge_ratio = 0.0
    state.baseline_max_eigenvalue = 0.0
    state.baseline_tw_z = 0.0
    state.transition_count = 0
    state.transition_streak = 0
    state.write_position = 0
    state.count = 0
    state.phase = 0
    state.baseline_ready = False
    state.iterated = False


@jitted
def iterate_eigenvalues(matrix, eigenvalues):
    """Write the four eigenvalue magnitudes of a 4 x 4 matrix, unsorted; destroys the matrix.

    Entry [j, i] of the array is row i of column j.
    """
    for start in range(DIMENSION):
        u0 = u1 = u2 = u3 = math.nan
        v0 = 1.0 if start == 0 else 0.0
        v1 = 1.0 if start == 1 else 0.0
        v2 = 1.0 if start == 2 else 0.0
        v3 = 1.0 if start == 3 else 0.0
        norm = 0.0
        step = POWER_STEPS
        while step > 0:
            step -= 1
            w0, w1, w2, w3 = matrix_times_vector(matrix, v0, v1, v2, v3)
            length = math.sqrt(((w0 * w0 + w1 * w1) + w2 * w2) + w3 * w3)
            if length < SMALLEST_NORM:
                break
            w0, w1, w2, w3 = w0 / length, w1 / length, w2 / length, w3 / length
            # Period one: nothing changes any more. Period two: an even number of steps neither.
            if (w0 == v0 and w1 == v1 and w2 == v2 and w3 == v3) or (
                step % 2 == 0 and w0 == u0 and w1 == u1 and w2 == u2 and w3 == u3
            ):
                step = 0
            u0, u1, u2, u3 = v0, v1, v2, v3
            v0, v1, v2, v3 = w0, w1, w2, w3
            norm = length
        eigenvalues[start] = norm
        if norm != 0.0:
            deflate(matrix, norm, v0, v1, v2, v3)


@jitted
def _eigenvalues_by_squaring(matrix, eigenvalues):
    """Write the same numbers by matrix powers; False where they might be noise.

    The matrix must be a correlation matrix; it is destroyed. A fourth eigenvalue that is surely
    the smallest is given as 0: only the three largest are needed.
    """
    largest, smallest = 0.0, math.inf
    for start in range(DIMENSION):
        eigenvalues[start] = 0.0
        rest = squared_norm(matrix)
        negligible = NEGLIGIBLE_REMAINDER if largest > 0.0 else 0.5 * SMALLEST_NORM
        if rest < negligible * negligible or (start == 3 and rest < smallest * smallest):
            continue
        m = matrix[start]
        if m[0] == 0.0 and m[1] == 0.0 and m[2] == 0.0 and m[3] == 0.0:
            smallest = 0.0
            continue
        if rest < SMALLEST_REMAINDER * SMALLEST_REMAINDER:
            return False
        w, x, y, z, square, powers = power_49(matrix, start)
        if not square >= SMALLEST_OVERLAP * SMALLEST_OVERLAP * (powers * rest):
            return False
        # The norms of neighbouring iterates give the value without normalising either.
        w, x, y, z = matrix_times_vector(matrix, w, x, y, z)
        following = ((w * w + x * x) + y * y) + z * z
        value = math.sqrt(following / square)
        eigenvalues[start] = value
        largest, smallest = max(largest, value), min(smallest, value)
        deflate(matrix, value * (1.0 / following), w, x, y, z)
    return True


# In what follows, max(constant, value) is the constant for a NaN value.


@jitted
def _measure(state):
    """Compute the figures of the last evaluation from the eigenvalues."""
    e = state.eigenvalues
    high, low = max(e[0], e[1]), min(e[0], e[1])
    high2, low2 = max(e[2], e[3]), min(e[2], e[3])
    largest = max(0.0, max(high, high2))
    # The middle pair of four: the smaller maximum and the larger minimum.
    middle = max(FLOOR, (max(low, low2) + min(high, high2)) / 2.0)
    c = state.correlations
    mean_variance = max(FLOOR, (((c[0, 0] + c[1, 1]) + c[2, 2]) + c[3, 3]) / 4.0)
    fill = state.count // EVALUATION_STEP
    edge = mean_variance * EDGE[fill]
    scale = max(SCALE_FLOOR, (mean_variance * FLUCTUATION[fill]) * FLUCTUATION_DECAY[fill])
    state.max_eigenvalue = largest
    state.edge_ratio = largest / middle
    state.mp_edge = edge
    state.tw_z = (largest - edge) / scale
    state.tw_delta = state.tw_z - state.baseline_tw_z if state.baseline_ready else 0.0


@jitted
def _blend_baseline(state, weight):
    keep = 1.0 - weight
    state.baseline_edge_ratio = keep * state.baseline_edge_ratio + weight * state.edge_ratio
    state.baseline_max_eigenvalue = (
        keep * state.baseline_max_eigenvalue + weight * state.max_eigenvalue
    )
    state.baseline_tw_z = keep * state.baseline_tw_z + weight * state.tw_z


@jitted
def _adopt_baseline(state):
    state.baseline_edge_ratio = state.edge_ratio
    state.baseline_max_eigenvalue = state.max_eigenvalue
    state.baseline_tw_z = state.tw_z


@jitted
def _decide(state):
    """Move the phase, the CUSUM and the baseline on by one evaluation."""
    if not state.baseline_ready:
        if state.baseline_edge_ratio == 0.0:
            _adopt_baseline(state)
        else:
            _blend_baseline(state, BOOTSTRAP_WEIGHT)
        state.baseline_ready = state.count >= BOOTSTRAP_SAMPLES
        state.phase = 0
        state.transition_streak = 0
        state.cusum *= 1.0 - CUSUM_LEAK
        return
    edge_jump = state.edge_ratio / max(FLOOR, state.baseline_edge_ratio)
    eigenvalue_jump = state.max_eigenvalue / max(FLOOR, state.baseline_max_eigenvalue)
    delta = state.tw_delta
    state.cusum = max(0.0, (1.0 - CUSUM_LEAK) * state.cusum + (delta - CUSUM_DRIFT))
    if (
        (delta > TRACY_WIDOM_THRESHOLD and state.edge_ratio > EDGE_RATIO_THRESHOLD)
        or edge_jump > EDGE_RATIO_JUMP
        or eigenvalue_jump > EIGENVALUE_JUMP
        or state.cusum > CUSUM_THRESHOLD
    ):
        state.transition_streak += 1
        if state.transition_streak < CONFIRMATIONS:
            state.phase = 1
            return
        if state.phase != 2:
            state.transition_count += 1
        state.phase = 2
        _adopt_baseline(state)
        state.cusum = 0.0
        return
    _blend_baseline(state, BASELINE_WEIGHT)
    state.transition_streak = 0
    state.phase = 0
    state.cusum *= 1.0 - CUSUM_LEAK


@jitted
def _copy_correlations(state):
    for column in range(DIMENSION):
        for row in range(DIMENSION):
            state.remainder[column, row] = state.correlations[column, row]


@jitted
def _evaluate(state, unchanged):
    correlate_four_columns(state.window, np.uint64(state.count), state.sums, state.correlations)
    iterated = unchanged or state.count < WINDOW or abs(state.tw_delta) < EXACT_BELOW
    if not iterated:
        _copy_correlations(state)
        iterated = not _eigenvalues_by_squaring(state.remainder, state.eigenvalues)
        if not iterated:
            _measure(state)
            iterated = abs(state.tw_delta) < EXACT_BELOW or abs(state.tw_z) < EXACT_BELOW
    if iterated:
        _copy_correlations(state)
        iterate_eigenvalues(state.remainder, state.eigenvalues)
        _measure(state)
    state.iterated = iterated


@jitted
def observe(state, risk_score, latency, contention, hit_rate):
    """Add one sample; returns the phase code."""
    sample, sums = state.sample, state.sums
    sample[0] = risk_score
    sample[1] = latency
    sample[2] = contention
    sample[3] = hit_rate
    slot = state.write_position
    state.write_position = (slot + 1) & (WINDOW - 1)
    unchanged = state.count == WINDOW
    if not unchanged:
        state.count += 1
    # Slots that are not filled yet hold zeros, and subtracting zero changes no bit.
    for column in range(DIMENSION):
        evicted, before = state.window[slot, column], sums[column]
        sums[column] = (before - evicted) + sample[column]
        state.window[slot, column] = sample[column]
        unchanged &= evicted == sample[column] and before == sums[column]
    if state.count >= SMALLEST_EVALUATED and state.count % EVALUATION_STEP == 0:
        if unchanged and state.iterated:
            # The same window gives the same figures; only the baseline has moved.
            state.tw_delta = state.tw_z - state.baseline_tw_z
        else:
            _evaluate(state, unchanged)
        _decide(state)
    return np.int64(state.phase)


@jitted
def phase(state):
    """Return the phase code."""
    return np.int64(state.phase)


@jitted
def transition_count(state):
    """Return how often a new regime was entered."""
    return state.transition_count


@jitted
def signature(state):
    """Return the figures of the last evaluation."""
    return SpectralSignature(
        state.max_eigenvalue,
        state.edge_ratio,
        state.mp_edge,
        state.tw_z,
        state.tw_delta,
        state.cusum,
        np.int64(state.phase),
        state.transition_count,
    )


summary = signature


class SpectralMonitor(Monitor):
    """Monitor of the correlation spectrum of four signals over 64 samples.

    Examples
    --------
    >>> monitor = SpectralMonitor()
    >>> for call in range(64):
    ...     phase = monitor.observe(0.01 * (call % 7), 3.0 + call % 5, 0.5 * (call % 2), 0.0)
    >>> phase
    <SpectralPhase.STATIONARY: 0>
    >>> SpectralMonitor.eigenvalues([[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 4]])
    [2.0, 1.0, 3.0, 4.0]
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe, SpectralPhase, risk_score=real, latency=real, contention=real, hit_rate=real
    )
    phase = reading(phase, SpectralPhase)
    transition_count = reading(transition_count)
    signature = operation(signature, named(SpectralSignature, phase=SpectralPhase))
    summary = signature

    @staticmethod
    def eigenvalues(matrix):
        """Return the values that 50 steps of power iteration with deflation find.

        Parameters
        ----------
        matrix : array_like of shape (4, 4)
            Real numbers; need not be symmetric.

        Returns
        -------
        list of 4 floats
            Norms at the last steps from the four unit vectors, in that order.
        """
        work = np.array(matrix, dtype=np.float64)
        if work.shape != (DIMENSION, DIMENSION):
            raise ValueError(f"matrix must have shape (4, 4), got {work.shape}")
        values = np.zeros(DIMENSION)
        iterate_eigenvalues(np.ascontiguousarray(work.T), values)
        return values.tolist()
