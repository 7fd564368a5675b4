"""How much should the severities of all monitors, taken together, add to the risk?

Every monitor is an expert whose severity predicts an adverse outcome. The controller keeps a
probability vector of trust in 31 of them: Hedge (exponentiated gradient) rewards those that were
severe when the outcome was adverse and discounts those severe on clean ones, and a fixed-share step
mixes in the uniform distribution so that no expert is ever written off. The trust-weighted mean
severity, scaled by the mode, is the risk bonus; on adverse calls the distance that trust has moved
adds to it.

References
----------
.. [1] Y. Freund, R. E. Schapire, "A decision-theoretic generalization of on-line learning and an
       application to boosting", J. Comput. System Sci. 55(1), 1997.
.. [2] M. Herbster, M. K. Warmuth, "Tracking the Best Expert", Machine Learning 32, 1998.
"""

import math
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, operation, reading, vector
from runtime_math.numerics.compilation import jitted
from runtime_math.types import PPM, SafetyLevel

SIGNAL_COUNT = 31
PADDED = 32
LEARNING_RATE = 0.14
CLEAN_BASE_LOSS = 0.2
SHARE = 0.02
UNIFORM = 1.0 / SIGNAL_COUNT
KEPT = 1.0 - SHARE
MIXED_IN = SHARE * UNIFORM
HIGHEST_SEVERITY = 4
BONUS_SCALE_PPM = np.array([220_000.0, 320_000.0, 80_000.0])
DRIFT_SCALE_PPM = 90_000.0
MAX_BONUS_PPM = 280_000
SMALLEST_WEIGHT = 1e-12
LOG_SIGNAL_COUNT = math.log(SIGNAL_COUNT)

LOSS_INPUT = np.array([severity / HIGHEST_SEVERITY for severity in range(HIGHEST_SEVERITY + 1)])
# exp(-rate * loss) for [clean, adverse] outcomes and each severity: all there are.
DISCOUNT = np.array(
    [
        [
            math.exp(-LEARNING_RATE * (CLEAN_BASE_LOSS + (1.0 - CLEAN_BASE_LOSS) * share))
            for share in LOSS_INPUT.tolist()
        ],
        [math.exp(-LEARNING_RATE * (1.0 - share)) for share in LOSS_INPUT.tolist()],
    ]
)

STATE = np.dtype(
    [
        ("weights", np.float64, (PADDED,)),
        ("previous", np.float64, (PADDED,)),
        # Length of the two arrays, read at run time: with a count that the compiler knows, it
        # unrolls the divisions into scalar ones, four times as slow as vectors.
        ("padded", np.int64),
        ("bonus_ppm", np.int64),
        ("drift_ppm", np.int64),
        ("observed", np.bool_),
    ],
    align=True,
)


class FusionSummary(NamedTuple):
    """Outputs of the last observation."""

    bonus_ppm: int
    entropy_milli: int
    drift_ppm: int
    dominant_signal: int


@jitted
def init(state):
    """Start with equal trust."""
    for signal in range(PADDED):
        state.weights[signal] = UNIFORM
        state.previous[signal] = UNIFORM
    state.padded = PADDED
    state.bonus_ppm = 0
    state.drift_ppm = 0
    state.observed = False


@jitted
def observe(state, severity, adverse, mode):
    """Learn from one outcome; returns the fused risk bonus in parts per million."""
    # Truncations below may sit exactly on whole numbers: all sums run in index order.
    outcome = 1 if adverse else 0
    weights, previous = state.weights, state.previous
    mass = 0.0
    for signal in range(SIGNAL_COUNT):
        weight = weights[signal]
        previous[signal] = weight
        weight *= DISCOUNT[outcome, min(np.int64(severity[signal]), HIGHEST_SEVERITY)]
        weights[signal] = weight
        mass += weight
    for signal in range(state.padded):
        weights[signal] = KEPT * (weights[signal] / mass) + MIXED_IN
    mass = 0.0
    for signal in range(SIGNAL_COUNT):
        mass += weights[signal]
    for signal in range(state.padded):
        weights[signal] = weights[signal] / mass
    score = 0.0
    moved = 0.0
    for signal in range(SIGNAL_COUNT):
        weight = weights[signal]
        score += weight * LOSS_INPUT[min(np.int64(severity[signal]), HIGHEST_SEVERITY)]
        moved += abs(previous[signal] - weight)
    drift = min(moved * 0.5, 1.0)
    bonus = int(score * BONUS_SCALE_PPM[mode])
    if adverse:
        bonus += int(drift * DRIFT_SCALE_PPM)
    state.bonus_ppm = min(bonus, MAX_BONUS_PPM)
    state.drift_ppm = int(drift * PPM)
    state.observed = True
    return state.bonus_ppm


@jitted
def entropy_milli(state):
    """Return the entropy of the trust in thousandths of the greatest; 0 before any observation."""
    if not state.observed:
        return 0
    entropy = 0.0
    for signal in range(SIGNAL_COUNT):
        weight = state.weights[signal]
        if weight > SMALLEST_WEIGHT:
            entropy -= weight * math.log(weight)
    return int(min(max(entropy / LOG_SIGNAL_COUNT, 0.0), 1.0) * 1000.0)


@jitted
def dominant_signal(state):
    """Return the first signal of greatest trust."""
    dominant = 0
    for signal in range(1, SIGNAL_COUNT):
        if state.weights[signal] > state.weights[dominant]:
            dominant = signal
    return dominant


@jitted
def summary(state):
    """Return the outputs of the last observation."""
    return FusionSummary(
        state.bonus_ppm, entropy_milli(state), state.drift_ppm, dominant_signal(state)
    )


class Fusion(Monitor):
    """Trust-weighted fusion of 31 monitor severities into one risk bonus.

    `observe` takes the severities as 31 codes from 0 to 255, of which everything above 4 counts
    as 4, the outcome, and the operating mode.

    Examples
    --------
    >>> monitor = Fusion()
    >>> severity = [0] * 31
    >>> severity[7] = 4
    >>> for _ in range(32):
    ...     bonus_ppm = monitor.observe(severity, True, SafetyLevel.HARDENED)
    >>> bonus_ppm
    189274
    >>> monitor.summary.dominant_signal, monitor.summary.entropy_milli
    (7, 608)
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe,
        severity=vector(SIGNAL_COUNT, np.uint8),
        adverse=flag,
        mode=member(SafetyLevel),
    )
    entropy_milli = reading(entropy_milli)
    dominant_signal = reading(dominant_signal)
    summary = reading(summary)

    @property
    def weights(self):
        """Trust in each signal, summing to 1."""
        return self.record["weights"][:SIGNAL_COUNT].copy()
