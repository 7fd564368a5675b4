"""Are the bytes of fingerprints still so evenly spread that collisions stay improbable?

A histogram over the whole life gives the Shannon entropy and the Renyi entropy of order two, whose
half is the number of bits at which the birthday bound makes a collision likely. Both are
estimated anew at every 1024th byte and smoothed slowly.

References
----------
.. [1] T. M. Cover, J. A. Thomas, "Elements of Information Theory", 2nd ed., Wiley, 2006, ch. 2.
.. [2] A. Renyi, "On measures of entropy and information", Proc. 4th Berkeley Symp. Math. Statist.
       Prob. 1, 1961.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import (
    Monitor,
    named,
    operation,
    reading,
    uint8,
    uint64,
    vector,
)
from runtime_math.numerics.compilation import jitted

BIN_COUNT = 256
BYTES_PER_TAG = 8
ESTIMATION_PERIOD = 1024
CALIBRATION_BYTES = 256
SMOOTHING_WEIGHT = 0.005
SMOOTHING_KEEP = 1.0 - SMOOTHING_WEIGHT
SHANNON_DRIFT_BELOW = 7.5
SHANNON_RISK_BELOW = 6.5
RENYI_DRIFT_BELOW = 7.0
RENYI_RISK_BELOW = 6.0
IDEAL_ENTROPY = 8.0
FINGERPRINT_BYTES = 16.0


class ProvenanceState(IntEnum):
    """Whether the entropy still keeps collisions improbable."""

    CALIBRATING = 0
    SECURE = 1
    ENTROPY_DRIFT = 2
    COLLISION_RISK = 3


STATE = np.dtype(
    [
        ("histogram", np.int64, (BIN_COUNT,)),
        ("observations", np.int64),
        ("shannon_entropy", np.float64),
        ("renyi_h2", np.float64),
        ("code", np.int64),
        ("collision_risk_count", np.int64),
    ],
    align=True,
)


class ProvenanceSummary(NamedTuple):
    """Entropies in bits per byte, log2 of the collision probability of tags, verdict, counts."""

    shannon_entropy: float
    renyi_h2: float
    min_entropy: float
    collision_log2: float
    state: int
    observations: int
    collision_risk_count: int


@jitted
def init(state):
    """Start with an empty histogram and ideal entropies."""
    for value in range(BIN_COUNT):
        state.histogram[value] = 0
    state.observations = 0
    state.shannon_entropy = IDEAL_ENTROPY
    state.renyi_h2 = IDEAL_ENTROPY
    state.code = 0
    state.collision_risk_count = 0


@jitted
def estimate(state):
    """Smooth the present histogram's entropies into the running ones and set the code."""
    if state.observations < CALIBRATION_BYTES:
        state.code = 0
        return
    total = float(state.observations)
    shannon, collision = 0.0, 0.0
    for value in range(BIN_COUNT):
        if state.histogram[value] > 0:
            share = float(state.histogram[value]) / total
            shannon -= share * math.log2(share)
            collision += share * share
    renyi = -math.log2(collision)
    state.shannon_entropy = SMOOTHING_KEEP * state.shannon_entropy + SMOOTHING_WEIGHT * shannon
    state.renyi_h2 = SMOOTHING_KEEP * state.renyi_h2 + SMOOTHING_WEIGHT * renyi
    if state.renyi_h2 < RENYI_RISK_BELOW or state.shannon_entropy < SHANNON_RISK_BELOW:
        if state.code != 3:
            state.collision_risk_count += 1
        state.code = 3
    elif state.renyi_h2 < RENYI_DRIFT_BELOW or state.shannon_entropy < SHANNON_DRIFT_BELOW:
        state.code = 2
    else:
        state.code = 1


@jitted
def observe_byte(state, byte):
    """Add a batch of one byte (0 to 255); returns the state code."""
    state.histogram[byte] += 1
    observations = state.observations + 1
    state.observations = observations
    if observations % ESTIMATION_PERIOD == 0:
        estimate(state)
    return state.code


@jitted
def observe_bytes(state, byte_values):
    """Add a batch of bytes (``uint8``, any length, also none); returns the state code.

    The estimation period is looked at once, after the batch: one that steps over a multiple of
    1024 skips an estimation, and an empty one at a multiple repeats it.
    """
    for index in range(len(byte_values)):
        state.histogram[byte_values[index]] += 1
    state.observations += len(byte_values)
    if state.observations % ESTIMATION_PERIOD == 0:
        estimate(state)
    return state.code


@jitted
def observe_tag(state, tag):
    """Add the eight bytes of a 64-bit tag as one batch; returns the state code."""
    for place in range(BYTES_PER_TAG):
        byte = np.int64(tag >> np.uint64(8 * place)) & 0xFF
        state.histogram[byte] += 1
    state.observations += BYTES_PER_TAG
    if state.observations % ESTIMATION_PERIOD == 0:
        estimate(state)
    return state.code


@jitted
def current_state(state):
    """Return the code of the latest estimation."""
    return state.code


@jitted
def min_entropy(state):
    """Return minus log2 of the share of the most frequent byte; 8 without observations."""
    if state.observations == 0:
        return IDEAL_ENTROPY
    largest = 0
    for value in range(BIN_COUNT):
        largest = max(largest, state.histogram[value])
    return -math.log2(float(largest) / float(state.observations))


@jitted
def collision_log2(state):
    """Return log2 of the birthday bound for 16-byte tags of the estimated Renyi entropy."""
    log2_observations = 0.0
    if state.observations > 0:
        log2_observations = math.log2(float(state.observations))
    return 2.0 * log2_observations - state.renyi_h2 * FINGERPRINT_BYTES - 1.0


@jitted
def summary(state):
    """Return the entropies, the collision bound, the verdict and the counts."""
    return ProvenanceSummary(
        state.shannon_entropy,
        state.renyi_h2,
        min_entropy(state),
        collision_log2(state),
        state.code,
        state.observations,
        state.collision_risk_count,
    )


class ProvenanceInfo(Monitor):
    """Entropy of the bytes of fingerprints, for the probability of a collision.

    `observe_byte` takes one byte, `observe_bytes` an array of bytes, `observe_tag` an integer from
    0 to 2^64 - 1, whose bytes count from the least significant one.

    Examples
    --------
    >>> monitor = ProvenanceInfo()
    >>> state = monitor.observe_bytes(list(range(256)) * 4)
    >>> state, monitor.summary().shannon_entropy
    (<ProvenanceState.SECURE: 1>, 8.0)
    >>> for _ in range(40):
    ...     state = monitor.observe_bytes([7] * 1024)
    >>> state
    <ProvenanceState.ENTROPY_DRIFT: 2>
    """

    STATE = STATE
    initialise = init
    observe_byte = operation(observe_byte, ProvenanceState, byte=uint8)
    observe_bytes = operation(observe_bytes, ProvenanceState, byte_values=vector(None, np.uint8))
    observe_tag = operation(observe_tag, ProvenanceState, tag=uint64)
    state = reading(current_state, ProvenanceState)
    summary = operation(summary, named(ProvenanceSummary, state=ProvenanceState))
