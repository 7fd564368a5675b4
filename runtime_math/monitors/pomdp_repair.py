"""Are the actions taken close to what a planner with a belief about the system's health would do?

Four hidden levels of health follow an action-dependent Markov chain; the risk figure and the
adverse flag are its noisy observation. Bayes' rule keeps a belief over the levels. The cost of the
action taken is compared with the optimum of a one-step look-ahead, and the gap is smoothed. The
optimum includes the discounted cost of the next step and the action's cost does not, so good
actions fall below it and count as a gap of zero.

References
----------
.. [1] L. P. Kaelbling, M. L. Littman, A. R. Cassandra, "Planning and acting in partially
       observable stochastic domains", Artificial Intelligence 101, 1998.
"""

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
    uint8,
    uint32,
)
from runtime_math.numerics.bits import float64_bits
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import ordered_bits, resting_bits
from runtime_math.types import MembraneAction

CALIBRATION_CALLS = 128
SMOOTHING_WEIGHT = 0.05
DISCOUNT = 0.95
SUBOPTIMAL_FROM = 0.15
DIVERGENCE_FROM = 0.40
LARGEST_GAP = 2.0
RISK_BOUNDS_PPM = (50_000, 200_000, 500_000)


class Health(IntEnum):
    """Hidden level of health."""

    HEALTHY = 0
    DEGRADED = 1
    FAULTY = 2
    CRITICAL = 3


HEALTH_COUNT = len(Health)

# Probability of the next level: action, present level, next level.
CHAINS = (
    (
        (0.90, 0.08, 0.02, 0.00),
        (0.05, 0.80, 0.12, 0.03),
        (0.01, 0.05, 0.74, 0.20),
        (0.00, 0.02, 0.08, 0.90),
    ),
    (
        (0.95, 0.04, 0.01, 0.00),
        (0.15, 0.75, 0.08, 0.02),
        (0.05, 0.20, 0.65, 0.10),
        (0.02, 0.08, 0.20, 0.70),
    ),
    (
        (0.95, 0.04, 0.01, 0.00),
        (0.40, 0.50, 0.08, 0.02),
        (0.15, 0.35, 0.40, 0.10),
        (0.05, 0.15, 0.30, 0.50),
    ),
    (
        (0.92, 0.06, 0.02, 0.00),
        (0.10, 0.78, 0.10, 0.02),
        (0.03, 0.12, 0.70, 0.15),
        (0.01, 0.05, 0.14, 0.80),
    ),
)
# Immediate cost: action, level.
COSTS = (
    (0.0, 10.0, 30.0, 50.0),
    (5.0, 2.0, 8.0, 15.0),
    (8.0, 3.0, 2.0, 5.0),
    (20.0, 12.0, 5.0, 1.0),
)
LEAST_COST = tuple(min(costs) for costs in zip(*COSTS, strict=True))
# The tuples are compiled into the look-ahead as constants; arrays serve actions known at run time.
TRANSITION = np.array(CHAINS)
COST = np.array(COSTS)
# Likelihood of an observation, [adverse, level, risk bucket].
CLEAN_LIKELIHOOD = np.array(
    [
        [0.70, 0.20, 0.08, 0.02],
        [0.25, 0.45, 0.22, 0.08],
        [0.08, 0.20, 0.45, 0.27],
        [0.02, 0.08, 0.25, 0.65],
    ]
)
ADVERSE_FACTOR = np.array([0.7, 0.9, 1.2, 1.5])
LIKELIHOOD = np.stack([CLEAN_LIKELIHOOD, CLEAN_LIKELIHOOD * ADVERSE_FACTOR[:, None]])

RESTING_GAP = resting_bits(lambda gap: SMOOTHING_WEIGHT * gap == 0.0)
SUBOPTIMAL_BITS = ordered_bits(SUBOPTIMAL_FROM)
DIVERGENCE_BITS = ordered_bits(DIVERGENCE_FROM)


class PomdpState(IntEnum):
    """How far actions are from the look-ahead's optimum."""

    CALIBRATING = 0
    OPTIMAL = 1
    SUBOPTIMAL_POLICY = 2
    POLICY_DIVERGENCE = 3


STATE = np.dtype(
    [
        ("belief", np.float64, (HEALTH_COUNT,)),
        ("optimality_gap", np.float64),
        ("optimal_value", np.float64),
        ("observed_value", np.float64),
        ("observations", np.int64),
        ("divergence_count", np.int64),
    ],
    align=True,
)


class PomdpSummary(NamedTuple):
    """Verdict, belief over the levels of `Health`, smoothed values (negative costs), and counts."""

    state: int
    belief: tuple
    optimal_value: float
    observed_value: float
    optimality_gap: float
    total_observations: int
    divergence_count: int


@jitted
def init(state):
    """Start with a uniform belief."""
    for level in range(HEALTH_COUNT):
        state.belief[level] = 0.25
    state.optimality_gap = 0.0
    state.optimal_value = 0.0
    state.observed_value = 0.0
    state.observations = 0
    state.divergence_count = 0


@jitted(forceinline=True)
def observation_likelihood(risk_ppm, adverse):
    """Return the probability of an observation at each level of health."""
    kind = 1 if adverse else 0
    bucket = 3
    if risk_ppm < RISK_BOUNDS_PPM[0]:
        bucket = 0
    elif risk_ppm < RISK_BOUNDS_PPM[1]:
        bucket = 1
    elif risk_ppm < RISK_BOUNDS_PPM[2]:
        bucket = 2
    return (
        LIKELIHOOD[kind, 0, bucket],
        LIKELIHOOD[kind, 1, bucket],
        LIKELIHOOD[kind, 2, bucket],
        LIKELIHOOD[kind, 3, bucket],
    )


@jitted(forceinline=True)
def predict(belief, action, level):
    """Return the probability of a level after an action, from a belief (array of 4)."""
    return (
        TRANSITION[action, 0, level] * belief[0]
        + TRANSITION[action, 1, level] * belief[1]
        + TRANSITION[action, 2, level] * belief[2]
        + TRANSITION[action, 3, level] * belief[3]
    )


@jitted(forceinline=True)
def expected_cost(belief, action):
    """Return the expected immediate cost of an action (0 to 3) at a belief (array of 4)."""
    return (
        belief[0] * COST[action, 0]
        + belief[1] * COST[action, 1]
        + belief[2] * COST[action, 2]
        + belief[3] * COST[action, 3]
    )


@jitted(forceinline=True)
def lookahead_cost(healthy, degraded, faulty, critical, chain, costs):
    """Return the cost of an action and of the best next one, which knows the level by then."""
    from_healthy, from_degraded, from_faulty, from_critical = chain
    # A healthy level costs nothing next: its term would be an exact zero.
    to_degraded = (
        from_healthy[1] * healthy
        + from_degraded[1] * degraded
        + from_faulty[1] * faulty
        + from_critical[1] * critical
    )
    to_faulty = (
        from_healthy[2] * healthy
        + from_degraded[2] * degraded
        + from_faulty[2] * faulty
        + from_critical[2] * critical
    )
    to_critical = (
        from_healthy[3] * healthy
        + from_degraded[3] * degraded
        + from_faulty[3] * faulty
        + from_critical[3] * critical
    )
    now = healthy * costs[0] + degraded * costs[1] + faulty * costs[2] + critical * costs[3]
    future = to_degraded * LEAST_COST[1] + to_faulty * LEAST_COST[2] + to_critical * LEAST_COST[3]
    return now + DISCOUNT * future


@jitted(forceinline=True)
def least_cost(healthy, degraded, faulty, critical):
    """Return the least look-ahead cost of the four actions at a belief."""
    return min(
        min(
            lookahead_cost(healthy, degraded, faulty, critical, CHAINS[0], COSTS[0]),
            lookahead_cost(healthy, degraded, faulty, critical, CHAINS[1], COSTS[1]),
        ),
        min(
            lookahead_cost(healthy, degraded, faulty, critical, CHAINS[2], COSTS[2]),
            lookahead_cost(healthy, degraded, faulty, critical, CHAINS[3], COSTS[3]),
        ),
    )


@jitted
def optimal_cost(belief):
    """Return the least look-ahead cost of the four actions at a belief (array of 4)."""
    return least_cost(belief[0], belief[1], belief[2], belief[3])


@jitted
def classify(observations, smoothed_gap):
    """Return the code for a number of calls and a smoothed gap (not negative)."""
    if observations < CALIBRATION_CALLS:
        return 0
    bits = float64_bits(smoothed_gap)
    if bits >= DIVERGENCE_BITS:
        return 3
    return 2 if bits >= SUBOPTIMAL_BITS else 1


@jitted
def observe(state, risk_ppm, action_code, adverse):
    """Update the belief by an observation and an action, and judge the action; returns the code.

    Action codes are those of `MembraneAction`; larger ones act as DENY.
    """
    # Unsigned, so that indexing needs no provision for negative numbers.
    action = np.uint64(min(action_code, 3))
    likely_healthy, likely_degraded, likely_faulty, likely_critical = observation_likelihood(
        risk_ppm, adverse
    )
    belief = state.belief
    healthy = likely_healthy * predict(belief, action, 0)
    degraded = likely_degraded * predict(belief, action, 1)
    faulty = likely_faulty * predict(belief, action, 2)
    critical = likely_critical * predict(belief, action, 3)
    # At least 0.019 for any belief, so the division is safe; the optimum is at least 0.19.
    evidence = healthy + degraded + faulty + critical
    healthy, degraded = healthy / evidence, degraded / evidence
    faulty, critical = faulty / evidence, critical / evidence
    belief[0], belief[1], belief[2], belief[3] = healthy, degraded, faulty, critical
    optimum = least_cost(healthy, degraded, faulty, critical)
    cost = expected_cost(belief, action)
    gap = min(max((cost - optimum) / optimum, 0.0), LARGEST_GAP)
    observations = state.observations + 1
    state.observations = observations
    if observations == 1:
        state.optimality_gap = gap
        state.optimal_value = -optimum
        state.observed_value = -cost
    else:
        if gap > 0.0 or float64_bits(state.optimality_gap) > RESTING_GAP:
            state.optimality_gap += SMOOTHING_WEIGHT * (gap - state.optimality_gap)
        state.optimal_value += SMOOTHING_WEIGHT * (-optimum - state.optimal_value)
        state.observed_value += SMOOTHING_WEIGHT * (-cost - state.observed_value)
    code = classify(observations, state.optimality_gap)
    # The verdict exists from the last calibration call on, the count starts one call later.
    if code == 3 and observations > CALIBRATION_CALLS:
        state.divergence_count += 1
    return code


@jitted
def current_state(state):
    """Return the state code."""
    return classify(state.observations, state.optimality_gap)


@jitted
def expected_cost_now(state, action):
    """Return the expected immediate cost of an action (0 to 3) at the present belief."""
    return expected_cost(state.belief, action)


@jitted
def optimal_cost_now(state):
    """Return the least look-ahead cost at the present belief."""
    return optimal_cost(state.belief)


@jitted
def summary(state):
    """Return the verdict, the belief, the smoothed values and the counts."""
    belief = state.belief
    return PomdpSummary(
        current_state(state),
        (belief[0], belief[1], belief[2], belief[3]),
        state.optimal_value,
        state.observed_value,
        state.optimality_gap,
        state.observations,
        state.divergence_count,
    )


class PomdpRepair(Monitor):
    """Gap between the actions taken and a one-step look-ahead under a belief about health.

    `observe` takes the risk in ppm (0 to 2^32 - 1), the code of the action taken (0 to 255, from 3
    on DENY) and whether the call was adverse.

    Examples
    --------
    >>> monitor = PomdpRepair()
    >>> for _ in range(128):
    ...     state = monitor.observe(10_000, MembraneAction.ALLOW, False)
    >>> state
    <PomdpState.OPTIMAL: 1>
    >>> round(monitor.summary().belief[Health.HEALTHY], 3)
    0.952
    >>> for _ in range(40):
    ...     state = monitor.observe(600_000, MembraneAction.ALLOW, True)
    >>> state
    <PomdpState.POLICY_DIVERGENCE: 3>
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, PomdpState, risk_ppm=uint32, action_code=uint8, adverse=flag)
    state = reading(current_state, PomdpState)
    expected_cost = operation(expected_cost_now, action=member(MembraneAction))
    optimal_cost = reading(optimal_cost_now)
    summary = operation(summary, named(PomdpSummary, state=PomdpState))
