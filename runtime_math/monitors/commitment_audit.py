"""Do replayed or degenerate state transitions occur more often than the audit allows?

Every transition is chained into a 64-bit commitment by SipHash-1-3 under the zero key, so the head
of the chain depends on the whole history; with a public key it reveals accidents, not forgery. A
transition whose fingerprint is among the last 128 is a replay. Replays and invalid transitions add
to a score that drains at a fixed rate and is reflected at zero, a one-sided CUSUM.

References
----------
.. [1] J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012.
.. [2] E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954.
.. [3] G. Shafer, V. Vovk, "Game-Theoretic Foundations for Probability and Finance", Wiley, 2019.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, uint32, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.siphash import siphash_round

WARMUP_TRANSITIONS = 16
RING_SIZE = 128
ANOMALY_SCORE = 5.0
TAMPER_SCORE = 20.0
INVALID_PENALTY = 2.0
REPLAY_PENALTY = 10.0
DRIFT = 0.05
NEW_WEIGHT = 0.03
OLD_WEIGHT = 1.0 - NEW_WEIGHT

BUCKET_COUNT = 256
BUCKET_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
BUCKET_SHIFT = np.uint64(56)

SIPHASH_V0 = np.uint64(0x736F6D6570736575)
SIPHASH_V1 = np.uint64(0x646F72616E646F6D)
SIPHASH_V2 = np.uint64(0x6C7967656E657261)
SIPHASH_V3 = np.uint64(0x7465646279746573)
# The last word of a message carries its length, 24 bytes, in the top byte.
SIPHASH_LENGTH_WORD = np.uint64(24 << 56)
SIPHASH_FINAL = np.uint64(0xFF)
ZERO = np.uint64(0)


class AuditState(IntEnum):
    """What the audit score says about the transitions."""

    CALIBRATING = 0
    CONSISTENT = 1
    ANOMALOUS = 2
    TAMPER_DETECTED = 3


# Fingerprints of equal bucket form a chain through the ring from newer to older: `newest` holds,
# per bucket, one plus the slot of the newest (0: none yet), `older` the same for each slot.
STATE = np.dtype(
    [
        ("commitment", np.uint64),
        ("martingale", np.float64),
        ("martingale_ewma", np.float64),
        ("total_observations", np.int64),
        ("invalid_transition_count", np.int64),
        ("replay_count", np.int64),
        ("ring", np.uint64, (RING_SIZE,)),
        ("older", np.uint8, (RING_SIZE,)),
        ("newest", np.uint8, (BUCKET_COUNT,)),
    ],
    align=True,
)


class AuditSummary(NamedTuple):
    """State, audit score, head of the commitment chain, and counters."""

    state: int
    martingale_value: float
    commitment_hash: int
    replay_count: int
    invalid_transition_count: int
    total_observations: int


@jitted
def init(state):
    """Start with an empty chain and an empty ring."""
    state.commitment = ZERO
    state.martingale = 0.0
    state.martingale_ewma = 0.0
    state.total_observations = 0
    state.invalid_transition_count = 0
    state.replay_count = 0
    for slot in range(RING_SIZE):
        state.ring[slot] = ZERO
        state.older[slot] = 0
    for bucket in range(BUCKET_COUNT):
        state.newest[bucket] = 0


@jitted
def commitment_hash(previous, from_state, to_state, transition_hash):
    """Return the head of the chain after one more transition: SipHash-1-3 of its 24 bytes."""
    states = np.uint64(from_state) | (np.uint64(to_state) << np.uint64(32))
    v0, v1, v2, v3 = siphash_round(SIPHASH_V0, SIPHASH_V1, SIPHASH_V2, SIPHASH_V3 ^ previous)
    v0, v1, v2, v3 = siphash_round(v0 ^ previous, v1, v2, v3 ^ states)
    v0, v1, v2, v3 = siphash_round(v0 ^ states, v1, v2, v3 ^ transition_hash)
    v0, v1, v2, v3 = siphash_round(v0 ^ transition_hash, v1, v2, v3 ^ SIPHASH_LENGTH_WORD)
    v0, v1, v2, v3 = siphash_round(v0 ^ SIPHASH_LENGTH_WORD, v1, v2 ^ SIPHASH_FINAL, v3)
    v0, v1, v2, v3 = siphash_round(v0, v1, v2, v3)
    v0, v1, v2, v3 = siphash_round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@jitted
def _remember(state, transition_hash):
    """Put a fingerprint into the ring; returns whether it was there already.

    Slots are reused without unlinking, so a chain may lead into a slot that holds a newer
    fingerprint. Every slot it reaches holds one of the last 128, so a match is a match; and as
    ages must grow along a chain, it ends there.
    """
    position = state.total_observations % RING_SIZE
    bucket = np.int64((transition_hash * BUCKET_MULTIPLIER) >> BUCKET_SHIFT)
    newest = state.newest[bucket]
    found = False
    link = np.int64(newest)
    age = -1
    while link > 0:
        slot = link - 1
        slot_age = (position - 1 - slot) % RING_SIZE
        if slot_age <= age:
            break
        if state.ring[slot] == transition_hash:
            found = True
            break
        age = slot_age
        link = np.int64(state.older[slot])
    state.ring[position] = transition_hash
    state.older[position] = newest
    state.newest[bucket] = position + 1
    return found


@jitted
def state_code(state):
    """Return the present state code."""
    if state.total_observations < WARMUP_TRANSITIONS:
        return 0
    if state.martingale >= TAMPER_SCORE:
        return 3
    return 2 if state.martingale >= ANOMALY_SCORE else 1


@jitted
def observe_transition(state, from_state, to_state, transition_hash):
    """Chain and audit one transition; returns the state code."""
    state.commitment = commitment_hash(state.commitment, from_state, to_state, transition_hash)
    penalty = 0.0
    if from_state == to_state and transition_hash == ZERO:
        state.invalid_transition_count += 1
        penalty = INVALID_PENALTY
    if _remember(state, transition_hash):
        state.replay_count += 1
        penalty = REPLAY_PENALTY
    state.total_observations += 1
    score = max((state.martingale + penalty) - DRIFT, 0.0)
    state.martingale = score
    state.martingale_ewma = (NEW_WEIGHT * score) + (OLD_WEIGHT * state.martingale_ewma)
    return state_code(state)


@jitted
def commitment(state):
    """Return the head of the commitment chain."""
    return state.commitment


@jitted
def martingale_value(state):
    """Return the audit score."""
    return state.martingale


@jitted
def martingale_mean(state):
    """Return the exponentially weighted mean of the audit score."""
    return state.martingale_ewma


@jitted
def replay_count(state):
    """Return the number of replays."""
    return state.replay_count


@jitted
def summary(state):
    """Return the state, the score, the head of the chain and the counters."""
    return AuditSummary(
        state_code(state),
        state.martingale,
        state.commitment,
        state.replay_count,
        state.invalid_transition_count,
        state.total_observations,
    )


class CommitmentAudit(Monitor):
    """Commitment chain over transitions, and a drained score of replays among the last 128.

    Examples
    --------
    >>> audit = CommitmentAudit()
    >>> for number in range(16):
    ...     state = audit.observe_transition(number, number + 1, 400 + number)
    >>> state, hex(audit.commitment)
    (<AuditState.CONSISTENT: 1>, '0xb88da37741fe951b')
    >>> audit.observe_transition(99, 100, 400)
    <AuditState.ANOMALOUS: 2>
    >>> audit.martingale_value
    9.95
    """

    STATE = STATE
    initialise = init
    observe_transition = operation(
        observe_transition, AuditState, from_state=uint32, to_state=uint32, transition_hash=uint64
    )
    state = reading(state_code, AuditState)
    commitment = reading(commitment)
    martingale_value = reading(martingale_value)
    martingale_mean = reading(martingale_mean)
    replay_count = reading(replay_count)
    summary = operation(summary, named(AuditSummary, state=AuditState))

    @staticmethod
    def commitment_hash(previous, from_state, to_state, transition_hash):
        """Return the head of a chain after one more transition."""
        return commitment_hash(
            uint64("previous", previous),
            uint32("from_state", from_state),
            uint32("to_state", to_state),
            uint64("transition_hash", transition_hash),
        )
