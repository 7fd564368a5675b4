"""Do calls of one class still look alike once mode, profile and family are factored out?

Every call becomes a vector (risk, latency, adversity, policy). An affine correction for the mode,
an exchange for the full profile and a permutation for the class of the family (its orbit) carry it
to a canonical frame, in which calls of one orbit should coincide. The distance to the orbit's
running centroid, smoothed, is the drift: small while behaviour commutes with those actions.

References
----------
.. [1] T. Church, B. Farb, "Representation theory and homological stability", Adv. Math. 245,
       2013 (the notion of a stable representation; here only a distance to a centroid is computed).
.. [2] S. W. Roberts, "Control chart tests based on geometric moving averages", Technometrics 1(3),
       1959 (the exponentially weighted averages).
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import (
    Monitor,
    flag,
    member,
    named,
    operation,
    reading,
    uint32,
    uint64,
)
from runtime_math.numerics.bits import float64_bits
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.logarithm import LOG1P
from runtime_math.numerics.subnormals import ordered_bits, resting_bits
from runtime_math.types import PPM, ApiFamily, SafetyLevel, ValidationProfile

WARMUP_CALLS = 96
EARLY_CALLS = 512
EARLY_WEIGHT = 0.045
LATE_WEIGHT = 0.015
DRIFT_KEEP = 0.96
DRIFT_WEIGHT = 0.04
RESTING_DRIFT = resting_bits(lambda drift: DRIFT_KEEP * drift == drift)
MASS_KEEP = 0.98
MASS_WEIGHT = 0.02
MASS_FADE = 0.998
RESTING_MASS = resting_bits(lambda mass: MASS_FADE * mass == mass)
ALIGNED_BELOW = 0.085
DRIFT_BELOW = 0.18
ALIGNED_BITS = ordered_bits(ALIGNED_BELOW)
DRIFT_BITS = ordered_bits(DRIFT_BELOW)
FRACTURE_RISK_PPM = 700_000
ORBIT_COUNT = 4
FEATURE_COUNT = 4


class EquivariantState(IntEnum):
    """How far calls are from the centroid of their orbit."""

    CALIBRATING = 0
    ALIGNED = 1
    DRIFT = 2
    FRACTURED = 3


class Orbit(IntEnum):
    """Class of API families that share one canonical frame and one centroid."""

    MEMORY = 0
    CONTROL = 1
    IO = 2
    NUMERIC = 3


ORBIT_OF_FAMILY = np.array(
    [
        Orbit.MEMORY,  # pointer validation
        Orbit.MEMORY,  # allocator
        Orbit.MEMORY,  # string memory
        Orbit.IO,  # stdio
        Orbit.CONTROL,  # threading
        Orbit.IO,  # resolver
        Orbit.NUMERIC,  # math, floating-point environment
        Orbit.CONTROL,  # loader
        Orbit.MEMORY,  # stdlib
    ],
    dtype=np.int64,
)
POLICY_LEVEL = np.array([[0.1, 0.4], [0.5, 0.8], [0.0, 0.0]])  # [mode, profile]
# ln(1 + cost) / 8 reaches its cap of 1 at 2980 ns.
LATENCY_CAP_NS = np.uint64(2980)
LATENCY_LEVEL = LOG1P[: int(LATENCY_CAP_NS)] / 8.0

STATE = np.dtype(
    [
        ("centroids", np.float64, (ORBIT_COUNT, FEATURE_COUNT)),
        ("orbit_mass", np.float64, (ORBIT_COUNT,)),
        ("drift_ewma", np.float64),
        ("observations", np.int64),
        ("drift_count", np.int64),
        ("fractured_count", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class EquivariantSummary(NamedTuple):
    """Verdict, alignment (1 000 000 ppm: no drift), events, and the most active orbit."""

    state: int
    alignment_ppm: int
    drift_count: int
    fractured_count: int
    dominant_orbit: int


@jitted
def init(state):
    """Start with centroids at the origin and no activity."""
    for orbit in range(ORBIT_COUNT):
        state.orbit_mass[orbit] = 0.0
        for feature in range(FEATURE_COUNT):
            state.centroids[orbit, feature] = 0.0
    state.drift_ewma = 0.0
    state.observations = 0
    state.drift_count = 0
    state.fractured_count = 0
    state.code = 0


@jitted
def raw_features(mode, profile, estimated_cost_ns, adverse, risk_bound_ppm):
    """Return risk, latency, adversity and policy level, before any action of the group."""
    latency = 1.0
    if estimated_cost_ns < LATENCY_CAP_NS:
        latency = LATENCY_LEVEL[estimated_cost_ns]
    return risk_bound_ppm / PPM, latency, 1.0 if adverse else 0.0, POLICY_LEVEL[mode, profile]


@jitted
def canonical_features(family, mode, profile, estimated_cost_ns, adverse, risk_bound_ppm):
    """Return the vector of a call in the canonical frame of its orbit."""
    risk, latency, adversity, policy = raw_features(
        mode, profile, estimated_cost_ns, adverse, risk_bound_ppm
    )
    # All features are non-negative and only risk and latency can leave [0, 1], hence two bounds.
    if mode == 1:
        risk = min(1.08 * risk + 0.04 * adversity, 1.0)
        latency = 0.92 * latency
    else:
        risk = min(0.96 * risk, 1.0)
        latency = min(1.04 * latency, 1.0)
    if profile == 1:
        risk, latency = latency, risk
        policy += 0.15
    orbit = ORBIT_OF_FAMILY[family]
    if orbit == 0:
        return risk, latency, adversity, policy
    if orbit == 1:
        return latency, adversity, risk, policy
    if orbit == 2:
        return adversity, risk, latency, policy
    return risk, policy, latency, adversity


@jitted
def classify(observations, drift_ewma, adverse, risk_bound_ppm):
    """Return the code for a number of calls, a drift and the latest call's signs of trouble."""
    if observations < WARMUP_CALLS:
        return 0
    drift_bits = float64_bits(drift_ewma)
    if drift_bits < ALIGNED_BITS:
        return 1
    if drift_bits >= DRIFT_BITS and (adverse or risk_bound_ppm > FRACTURE_RISK_PPM):
        return 3
    return 2


@jitted
def observe(state, family, mode, profile, estimated_cost_ns, adverse, risk_bound_ppm):
    """Compare a call with its orbit's centroid, then move the centroid; returns the code."""
    first, second, third, fourth = canonical_features(
        family, mode, profile, estimated_cost_ns, adverse, risk_bound_ppm
    )
    orbit = ORBIT_OF_FAMILY[family]
    centroids = state.centroids
    calls = state.observations
    if calls == 0:
        centroids[orbit, 0] = first
        centroids[orbit, 1] = second
        centroids[orbit, 2] = third
        centroids[orbit, 3] = fourth
    first_gap = first - centroids[orbit, 0]
    second_gap = second - centroids[orbit, 1]
    third_gap = third - centroids[orbit, 2]
    fourth_gap = fourth - centroids[orbit, 3]
    squared_gap = first_gap * first_gap
    squared_gap += second_gap * second_gap
    squared_gap += third_gap * third_gap
    squared_gap += fourth_gap * fourth_gap
    weight = EARLY_WEIGHT if calls < EARLY_CALLS else LATE_WEIGHT
    keep = 1.0 - weight
    centroids[orbit, 0] = keep * centroids[orbit, 0] + weight * first
    centroids[orbit, 1] = keep * centroids[orbit, 1] + weight * second
    centroids[orbit, 2] = keep * centroids[orbit, 2] + weight * third
    centroids[orbit, 3] = keep * centroids[orbit, 3] + weight * fourth
    active_mass = MASS_KEEP * state.orbit_mass[orbit] + MASS_WEIGHT
    for other in range(ORBIT_COUNT):
        if float64_bits(state.orbit_mass[other]) > RESTING_MASS:
            state.orbit_mass[other] *= MASS_FADE
    state.orbit_mass[orbit] = active_mass
    # In the unit cube no distance exceeds the bound of 2.
    residual = math.sqrt(squared_gap)
    if residual > 0.0 or float64_bits(state.drift_ewma) > RESTING_DRIFT:
        state.drift_ewma = DRIFT_KEEP * state.drift_ewma + DRIFT_WEIGHT * residual
    state.observations = calls + 1
    code = classify(calls + 1, state.drift_ewma, adverse, risk_bound_ppm)
    state.code = code
    if code >= 2:
        state.drift_count += 1
        if code == 3:
            state.fractured_count += 1
    return code


@jitted
def current_state(state):
    """Return the code of the latest call; it is stored, since it depends on that call."""
    return state.code


@jitted
def alignment_ppm(state):
    """Return one minus the drift, in ppm, truncated."""
    return int((1.0 - min(state.drift_ewma, 1.0)) * PPM)


@jitted
def heaviest(orbit_mass):
    """Return the index of the largest of the four masses, the lowest on ties."""
    orbit = 0
    for other in range(1, ORBIT_COUNT):
        if orbit_mass[other] > orbit_mass[orbit]:
            orbit = other
    return orbit


@jitted
def dominant_orbit(state):
    """Return the orbit with the most recent activity."""
    return heaviest(state.orbit_mass)


@jitted
def summary(state):
    """Return the verdict, the alignment, the event counts and the dominant orbit."""
    return EquivariantSummary(
        state.code,
        alignment_ppm(state),
        state.drift_count,
        state.fractured_count,
        dominant_orbit(state),
    )


class Equivariant(Monitor):
    """Drift of calls from the centroid of their class, in a frame free of mode and profile.

    `observe` takes the family, mode and profile of a call (enum members or codes), its cost in
    nanoseconds (0 to 2^64 - 1), whether it was adverse, and the risk bound in ppm (0 to 2^32 - 1).

    Examples
    --------
    >>> monitor = Equivariant()
    >>> for _ in range(96):
    ...     state = monitor.observe(
    ...         ApiFamily.STDIO, SafetyLevel.STRICT, ValidationProfile.FAST, 8, False, 20_000
    ...     )
    >>> state
    <EquivariantState.ALIGNED: 1>
    >>> monitor.dominant_orbit
    <Orbit.IO: 2>
    >>> monitor.observe(ApiFamily.MATH_FENV, 1, 1, 900, True, 800_000)
    <EquivariantState.ALIGNED: 1>
    >>> monitor.summary().alignment_ppm
    926986
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe,
        EquivariantState,
        family=member(ApiFamily),
        mode=member(SafetyLevel),
        profile=member(ValidationProfile),
        estimated_cost_ns=uint64,
        adverse=flag,
        risk_bound_ppm=uint32,
    )
    state = reading(current_state, EquivariantState)
    alignment_ppm = reading(alignment_ppm)
    dominant_orbit = reading(dominant_orbit, Orbit)
    summary = operation(
        summary, named(EquivariantSummary, state=EquivariantState, dominant_orbit=Orbit)
    )
