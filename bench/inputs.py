"""Inputs of the benchmarks: the fixed ones of the original, and reproducible random traffic."""

import numpy as np

from runtime_math import (
    CONTEXT,
    EVENT,
    ApiFamily,
    EventKind,
    RuntimeContext,
    SafetyLevel,
    ValidationProfile,
)

ADDRESS = 0x12345678
FOREIGN_ADDRESS = 0xDEADBEEF0000
KNOWN_BYTES = 256
FAST_COST_NS = 12
FULL_COST_NS = 120

TRAFFIC_LENGTH = 4096
TRAFFIC_SEED = 20_240_501
ADVERSE_RATE = 0.005
WRITE_RATE = 0.4
BLOOM_NEGATIVE_RATE = 0.15
LARGEST_REQUEST = 8192
LARGEST_CONTENTION = 32
FAST_COSTS_NS = (6, 20)
FULL_COSTS_NS = (60, 180)


def safety_level(mode):
    """Return the `SafetyLevel` of a mode's name."""
    return SafetyLevel[mode.upper()]


def fixed_context():
    """Return the context of the original's benchmarks."""
    return RuntimeContext.pointer_validation(ADDRESS, False)


def traffic():
    """Return mixed traffic: contexts of all families, costs per profile, adverse flags.

    Returns
    -------
    contexts : numpy.ndarray of dtype CONTEXT
    costs_ns : numpy.ndarray of uint64, shape (n, 2)
        Cost of each call under the fast and under the full profile.
    adverse : numpy.ndarray of bool
    """
    random = np.random.default_rng(TRAFFIC_SEED)
    n = TRAFFIC_LENGTH
    contexts = np.zeros(n, CONTEXT)
    contexts["family"] = random.integers(0, len(ApiFamily), n)
    contexts["addr_hint"] = random.integers(1, 1 << 47, n, dtype=np.uint64)
    contexts["requested_bytes"] = random.integers(0, LARGEST_REQUEST, n)
    contexts["is_write"] = random.random(n) < WRITE_RATE
    contexts["contention_hint"] = random.integers(0, LARGEST_CONTENTION, n)
    contexts["bloom_negative"] = random.random(n) < BLOOM_NEGATIVE_RATE
    costs = np.empty((n, len(ValidationProfile)), np.uint64)
    costs[:, ValidationProfile.FAST] = random.integers(*FAST_COSTS_NS, n)
    costs[:, ValidationProfile.FULL] = random.integers(*FULL_COSTS_NS, n)
    return contexts, costs, random.random(n) < ADVERSE_RATE


def traffic_calls():
    """Return the same traffic as Python objects: a list of (context, costs, adverse)."""
    contexts, costs, adverse = traffic()
    return [
        (RuntimeContext(*context.item()), tuple(map(int, cost)), bool(bad))
        for context, cost, bad in zip(contexts, costs, adverse, strict=True)
    ]


def mixed_events(level, contexts, costs_ns, adverse):
    """Return events: the decisions and observations of traffic in turn."""
    events = np.zeros(2 * len(contexts), EVENT)
    events["mode"] = level
    decisions, observations = events[::2], events[1::2]
    decisions["kind"], observations["kind"] = EventKind.DECIDE, EventKind.OBSERVE
    for field in contexts.dtype.names:
        decisions[field] = contexts[field]
    observations["family"] = contexts["family"]
    observations["cost_ns"] = costs_ns[:, ValidationProfile.FAST]
    observations["adverse"] = adverse
    return events
