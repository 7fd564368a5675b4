"""Which few latent causes explain the anomalies that the probes report?

The anomaly flags of the executed probes are modelled as a non-negative, sparse mixture of six
latent causes with a known mixing matrix. Each observation takes one proximal-gradient step
(iterative shrinkage-thresholding) on 0.5 |A x - y|^2 + penalty |x|_1 over x >= 0, warm-started from
the last estimate. The size of the support, the l1 norm and the smoothed residual tell calm from
focused, diffuse and critical situations.

References
----------
.. [1] I. Daubechies, M. Defrise, C. De Mol, "An iterative thresholding algorithm for linear inverse
       problems with a sparsity constraint", Comm. Pure Appl. Math. 57(11), 2004.
.. [2] A. Beck, M. Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse
       Problems", SIAM J. Imaging Sci. 2(1), 2009.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, named, operation, reading, uint32
from runtime_math.numerics.bits import count_ones
from runtime_math.numerics.compilation import jitted
from runtime_math.types import PROBE_COUNT

CAUSE_COUNT = 6
ALL_PROBES = (1 << PROBE_COUNT) - 1
STEP = 0.18
SHRINKAGE = 0.045
LARGEST_CAUSE = 4.0
LARGEST_PREDICTION = 1.5
ACTIVE_CAUSE = 0.06
WARMUP_OBSERVATIONS = 64
RETAINED_RESIDUAL = 0.93
NEW_RESIDUAL = 0.07
CRITICAL_RESIDUAL = 0.40
CRITICAL_ENERGY = 0.65
STABLE_RESIDUAL = 0.08
STABLE_ENERGY = 0.35
FOCUSED_SUPPORT = 2

# Rows: probes by bit. Columns: temporal provenance, tail latency, path complexity, regime
# transition, exceptional numerics, admissibility of resources.
MIXING = np.array(
    [
        [0.30, 0.40, 0.10, 0.35, 0.08, 0.14],
        [0.10, 0.20, 0.55, 0.18, 0.04, 0.12],
        [0.08, 0.10, 0.60, 0.16, 0.03, 0.10],
        [0.22, 0.45, 0.08, 0.20, 0.06, 0.10],
        [0.20, 0.52, 0.06, 0.18, 0.07, 0.12],
        [0.12, 0.18, 0.08, 0.64, 0.05, 0.10],
        [0.18, 0.44, 0.08, 0.22, 0.05, 0.10],
        [0.36, 0.30, 0.06, 0.24, 0.04, 0.22],
        [0.22, 0.56, 0.06, 0.16, 0.04, 0.16],
        [0.06, 0.12, 0.10, 0.14, 0.68, 0.08],
        [0.24, 0.22, 0.06, 0.14, 0.04, 0.62],
        [0.10, 0.14, 0.52, 0.20, 0.06, 0.08],
        [0.16, 0.38, 0.10, 0.30, 0.04, 0.14],
        [0.28, 0.36, 0.12, 0.42, 0.06, 0.12],
        [0.18, 0.48, 0.14, 0.22, 0.08, 0.10],
        [0.22, 0.34, 0.16, 0.28, 0.10, 0.14],
        [0.20, 0.30, 0.12, 0.36, 0.06, 0.18],
    ]
)
PADDED = 24
CAUSE_ROWS = np.zeros((CAUSE_COUNT, PADDED))
CAUSE_ROWS[:, :PROBE_COUNT] = MIXING.T


class SparseState(IntEnum):
    """What the recovered causes look like."""

    CALIBRATING = 0
    STABLE = 1
    FOCUSED = 2
    DIFFUSE = 3
    CRITICAL = 4


STATE = np.dtype(
    [
        ("causes", np.float64, (CAUSE_COUNT,)),
        ("gradient", np.float64, (CAUSE_COUNT,)),
        ("residual", np.float64, (PADDED,)),
        # Length of the above, read at run time: a count that the compiler knows makes it unroll
        # the loop over the probes into scalar arithmetic.
        ("padded", np.int64),
        ("residual_ewma", np.float64),
        ("l1_energy", np.float64),
        ("support_size", np.int64),
        ("observations", np.int64),
        ("critical_count", np.int64),
        ("code", np.uint8),
    ],
    align=True,
)


class SparseSummary(NamedTuple):
    """State, shape of the recovered causes, and how badly they explain the flags."""

    state: int
    support_size: int
    l1_energy: float
    residual_ewma: float
    critical_count: int


@jitted
def init(state):
    """Start with no causes."""
    for cause in range(CAUSE_COUNT):
        state.causes[cause] = 0.0
        state.gradient[cause] = 0.0
    for probe in range(PADDED):
        state.residual[probe] = 0.0
    state.padded = PADDED
    state.residual_ewma = 0.0
    state.l1_energy = 0.0
    state.support_size = 0
    state.observations = 0
    state.critical_count = 0
    state.code = 0


@jitted
def _refresh_residuals(state, mask, anomaly_mask):
    """Clamped prediction minus flag of every executed probe, 0 for the others."""
    x = state.causes
    x0, x1, x2, x3, x4, x5 = x[0], x[1], x[2], x[3], x[4], x[5]
    for probe in range(state.padded):
        prediction = (
            CAUSE_ROWS[0, probe] * x0
            + CAUSE_ROWS[1, probe] * x1
            + CAUSE_ROWS[2, probe] * x2
            + CAUSE_ROWS[3, probe] * x3
            + CAUSE_ROWS[4, probe] * x4
            + CAUSE_ROWS[5, probe] * x5
        )
        residual = min(max(prediction, 0.0), LARGEST_PREDICTION) - float(anomaly_mask >> probe & 1)
        state.residual[probe] = residual * float(mask >> probe & 1)


@jitted
def _refresh_gradient(state):
    """Gradient of the squared error; returns the error itself."""
    g0 = g1 = g2 = g3 = g4 = g5 = 0.0
    squares = 0.0
    for probe in range(PROBE_COUNT):
        residual = state.residual[probe]
        squares += residual * residual
        g0 += MIXING[probe, 0] * residual
        g1 += MIXING[probe, 1] * residual
        g2 += MIXING[probe, 2] * residual
        g3 += MIXING[probe, 3] * residual
        g4 += MIXING[probe, 4] * residual
        g5 += MIXING[probe, 5] * residual
    g = state.gradient
    g[0], g[1], g[2], g[3], g[4], g[5] = g0, g1, g2, g3, g4, g5
    return squares


@jitted
def _shrink(state):
    """Proximal step on the causes, with their support and energy."""
    energy = 0.0
    support = 0
    for cause in range(CAUSE_COUNT):
        stepped = max(state.causes[cause] - STEP * state.gradient[cause], 0.0)
        shrunk = stepped - SHRINKAGE if stepped > SHRINKAGE else 0.0
        shrunk = min(shrunk, LARGEST_CAUSE)
        state.causes[cause] = shrunk
        energy += shrunk
        support += 1 if shrunk > ACTIVE_CAUSE else 0
    state.l1_energy = energy
    state.support_size = support


@jitted
def _classify(state, adverse):
    residual, energy, support = state.residual_ewma, state.l1_energy, state.support_size
    if state.observations < WARMUP_OBSERVATIONS:
        return 0
    badly_explained = residual > CRITICAL_RESIDUAL and energy > CRITICAL_ENERGY
    if adverse and badly_explained and support <= FOCUSED_SUPPORT:
        return 4
    if residual < STABLE_RESIDUAL and energy < STABLE_ENERGY:
        return 1
    return 2 if support <= FOCUSED_SUPPORT else 3


@jitted
def observe(state, mask, anomaly_mask, adverse):
    """Explain the flags of the probes in the mask; returns the state code."""
    executed = mask & ALL_PROBES
    if executed == 0:
        return int(state.code)
    rms = 0.0
    # Nothing to explain and nothing believed: only the smoothed residual moves.
    if state.l1_energy > 0.0 or (executed & anomaly_mask) != 0:
        _refresh_residuals(state, executed, anomaly_mask)
        squares = _refresh_gradient(state)
        _shrink(state)
        rms = math.sqrt(squares / count_ones(np.uint64(executed)))
    state.residual_ewma = RETAINED_RESIDUAL * state.residual_ewma + NEW_RESIDUAL * rms
    state.observations += 1
    code = _classify(state, adverse)
    if code == 4:
        state.critical_count += 1
    state.code = code
    return code


@jitted
def summary(state):
    """Return the state and the shape of the recovered causes."""
    return SparseSummary(
        int(state.code),
        state.support_size,
        state.l1_energy,
        state.residual_ewma,
        state.critical_count,
    )


class Sparse(Monitor):
    """Sparse recovery of latent fault causes from probe anomalies.

    `observe` takes two masks with bit p for probe p (further bits are ignored): the probes that
    ran and those that were anomalous, and whether the outcome was adverse.

    Examples
    --------
    >>> monitor = Sparse()
    >>> for _ in range(64):
    ...     state = monitor.observe(1 << 4, 1 << 4, True)
    >>> state
    <SparseState.CRITICAL: 4>
    >>> monitor.summary.support_size
    1
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, SparseState, mask=uint32, anomaly_mask=uint32, adverse=flag)
    summary = reading(summary, named(SparseSummary, state=SparseState))

    @property
    def causes(self):
        """Present estimate of the six latent causes."""
        return self.record["causes"].copy()
