"""Is the combination of sixteen monitors' codes an admissible one?

Twelve fixed integer polynomials in the codes have upper bounds; an admissible combination keeps
all of them, as a point of a variety satisfies its equations. The share of broken constraints is
smoothed. No ideal is reduced: the constraints are evaluated, and codes above 3 are allowed.

References
----------
.. [1] D. A. Cox, J. Little, D. O'Shea, "Ideals, Varieties, and Algorithms", 4th ed., Springer,
       2015 (where normal forms come from; only the name is used).
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, named, operation, reading, vector
from runtime_math.numerics.bits import float64_bits
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import ordered_bits, resting_bits

CONSTRAINT_COUNT = 12
VARIABLE_COUNT = 16
CALIBRATION_CHECKS = 64
SMOOTHING_WEIGHT = 0.02
SMOOTHING_KEEP = 1.0 - SMOOTHING_WEIGHT
MINOR_RATE_FROM = 0.1
FAULT_RATE_FROM = 0.25
MINOR_RATE_BITS = ordered_bits(MINOR_RATE_FROM)
FAULT_RATE_BITS = ordered_bits(FAULT_RATE_FROM)
MINOR_COUNT_FROM = 2
FAULT_COUNT_FROM = 4
RESTING_RATE = resting_bits(lambda rate: SMOOTHING_KEEP * rate == rate)
BOUNDS = (1, 1, 5, 1, 1, 1, 6, 5, 2, 1, 1, 10)
# What the share of each number of violations adds to the rate. The running rate stalls just short
# of a threshold for some inputs, so these are products of the rounded shares, as the average has.
RATE_INCREMENT = np.array(
    [SMOOTHING_WEIGHT * (count / CONSTRAINT_COUNT) for count in range(CONSTRAINT_COUNT + 1)]
)


class Variable(IntEnum):
    """Places of the codes in the vector."""

    RISK_LEVEL = 0
    BRIDGE = 1
    CHANGEPOINT = 2
    HJI = 3
    ANYTIME_OR_PADIC = 4
    CVAR = 5
    COUPLING = 6
    MEAN_FIELD = 7
    EQUIVARIANT = 8
    MICROLOCAL = 9
    KTHEORY = 10
    SERRE = 11
    TSTRUCTURE = 12
    CLIFFORD = 13
    HIGHER_TOPOS = 14
    COMMITMENT_AUDIT = 15


class GrobnerState(IntEnum):
    """How many constraints are broken, now or on average."""

    CALIBRATING = 0
    CONSISTENT = 1
    MINOR_INCONSISTENCY = 2
    STRUCTURAL_FAULT = 3


STATE = np.dtype(
    [
        ("violation_rate", np.float64),
        ("last_violations", np.int64),
        ("max_excess", np.int64),
        ("code", np.int64),
        ("checks", np.int64),
        ("fault_count", np.int64),
    ],
    align=True,
)


class GrobnerSummary(NamedTuple):
    """Smoothed share of broken constraints, the latest check, verdict, and counts."""

    violation_rate: float
    last_violations: int
    max_excess: int
    state: int
    checks: int
    fault_count: int


@jitted
def init(state):
    """Start without checks."""
    state.violation_rate = 0.0
    state.last_violations = 0
    state.max_excess = 0
    state.code = 0
    state.checks = 0
    state.fault_count = 0


@jitted(forceinline=True)
def evaluate_constraints(codes):
    """Return the values of the twelve polynomials (``int64``); `BOUNDS` are their upper bounds."""
    # Signed before any difference: codes are unsigned.
    risk, bridge, changepoint = np.int64(codes[0]), np.int64(codes[1]), np.int64(codes[2])
    hji, microlocal = np.int64(codes[3]), np.int64(codes[9])
    serre, tstructure = np.int64(codes[11]), np.int64(codes[12])
    return (
        np.int64(codes[4]) - risk,
        np.int64(codes[5]) - risk,
        np.int64(codes[10]) + serre,
        tstructure - microlocal,
        tstructure - serre,
        np.int64(codes[13]) - np.int64(codes[8]),
        risk * np.int64(codes[6]),
        bridge + changepoint,
        hji - np.int64(codes[7]),
        np.int64(codes[14]) - np.int64(codes[15]),
        microlocal - risk,
        risk + bridge + changepoint + hji,
    )


@jitted
def check_state_vector(state, codes):
    """Check one vector of codes (16 entries, ``uint8``); returns the state code."""
    v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11 = evaluate_constraints(codes)
    e0, e1, e2, e3 = v0 - BOUNDS[0], v1 - BOUNDS[1], v2 - BOUNDS[2], v3 - BOUNDS[3]
    e4, e5, e6, e7 = v4 - BOUNDS[4], v5 - BOUNDS[5], v6 - BOUNDS[6], v7 - BOUNDS[7]
    e8, e9, e10, e11 = v8 - BOUNDS[8], v9 - BOUNDS[9], v10 - BOUNDS[10], v11 - BOUNDS[11]
    violations = (
        (int(e0 > 0) + int(e1 > 0) + int(e2 > 0) + int(e3 > 0))
        + (int(e4 > 0) + int(e5 > 0) + int(e6 > 0) + int(e7 > 0))
        + (int(e8 > 0) + int(e9 > 0) + int(e10 > 0) + int(e11 > 0))
    )
    state.last_violations = violations
    state.max_excess = max(
        max(max(e0, e1, e2, e3), max(e4, e5, e6, e7)), max(max(e8, e9, e10, e11), 0)
    )
    if violations > 0 or float64_bits(state.violation_rate) > RESTING_RATE:
        state.violation_rate = SMOOTHING_KEEP * state.violation_rate + RATE_INCREMENT[violations]
    rate_bits = float64_bits(state.violation_rate)
    checks = state.checks + 1
    state.checks = checks
    code = 1
    if checks < CALIBRATION_CHECKS:
        code = 0
    elif rate_bits >= FAULT_RATE_BITS or violations >= FAULT_COUNT_FROM:
        if state.code != 3:
            state.fault_count += 1
        code = 3
    elif rate_bits >= MINOR_RATE_BITS or violations >= MINOR_COUNT_FROM:
        code = 2
    state.code = code
    return code


@jitted
def current_state(state):
    """Return the code of the latest check."""
    return state.code


@jitted
def summary(state):
    """Return the rate, the latest check, the verdict and the counts."""
    return GrobnerSummary(
        state.violation_rate,
        state.last_violations,
        state.max_excess,
        state.code,
        state.checks,
        state.fault_count,
    )


class GrobnerNormalizer(Monitor):
    """Share of broken constraints among twelve polynomial ones on sixteen codes.

    `check_state_vector` takes the codes in the order of `Variable`: integers from 0 to 255,
    normally 0 to 3.

    Examples
    --------
    >>> monitor = GrobnerNormalizer()
    >>> for _ in range(64):
    ...     state = monitor.check_state_vector([1] * 16)
    >>> state
    <GrobnerState.CONSISTENT: 1>
    >>> monitor.check_state_vector([3] * 16)
    <GrobnerState.STRUCTURAL_FAULT: 3>
    >>> monitor.summary().last_violations
    4
    """

    STATE = STATE
    initialise = init
    check_state_vector = operation(
        check_state_vector, GrobnerState, codes=vector(VARIABLE_COUNT, np.uint8)
    )
    state = reading(current_state, GrobnerState)
    summary = operation(summary, named(GrobnerSummary, state=GrobnerState))
