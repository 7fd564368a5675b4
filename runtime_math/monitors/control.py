"""From which risk on is full validation, or a repair, worth its price?

A primal-dual controller holds two budgets, for the average latency and for the adverse rate. Every
128 calls each dual variable (price) moves by a clamped multiple of its constraint's violation:
subgradient ascent on the dual, that is, integral control. The prices shift the two risk triggers
that the kernel compares its risk with. All averages run over the whole history.

References
----------
.. [1] S. Boyd, L. Vandenberghe, "Convex Optimization", Cambridge University Press, 2004, ch. 5.
.. [2] M. J. Neely, "Stochastic Network Optimization with Application to Communication and
       Queueing Systems", Morgan & Claypool, 2010.
"""

from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, operation, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.types import PPM, SafetyLevel

PERIOD = 128
LATENCY_TARGET_NS = 60
RISK_TARGET_PPM = 8_000
LATENCY_DIVISOR = 4
RISK_DIVISOR = 256
LARGEST_LATENCY_STEP = 64
LARGEST_RISK_STEP = 128
MODE_COUNT = len(SafetyLevel)
BASE_FULL_TRIGGER_PPM = np.array([220_000, 80_000, 1_000_000], np.int64)
BASE_REPAIR_TRIGGER_PPM = np.array([1_000_000, 140_000, 1_000_000], np.int64)
FULL_TRIGGER_RANGE_PPM = (5_000, 900_000)
REPAIR_TRIGGER_RANGE_PPM = (10_000, 980_000)
MAX_REQUEST_BYTES = np.array([1 << 27, 1 << 28, (1 << 64) // 4 - 1], np.uint64)

STATE = np.dtype(
    [
        ("observed_calls", np.int64),
        ("total_cost_ns", np.uint64),
        ("adverse_events", np.int64),
        ("lambda_latency", np.int64),
        ("lambda_risk", np.int64),
        # Triggers of each mode under the present prices, which move once in PERIOD calls.
        ("full_trigger_ppm", np.int64, (MODE_COUNT,)),
        ("repair_trigger_ppm", np.int64, (MODE_COUNT,)),
    ],
    align=True,
)


class ControlLimits(NamedTuple):
    """Risk from which to validate fully, risk from which to repair, and the largest request."""

    full_validation_trigger_ppm: int
    repair_trigger_ppm: int
    max_request_bytes: int


@jitted
def _toward_zero(number, divisor):
    return -(-number // divisor) if number < 0 else number // divisor


@jitted
def _clamp(number, low, high):
    return min(max(number, low), high)


@jitted
def _publish_triggers(state):
    full_shift = state.lambda_latency - state.lambda_risk
    repair_shift = _toward_zero(state.lambda_latency, 2) - _toward_zero(state.lambda_risk, 2)
    for mode in range(MODE_COUNT):
        state.full_trigger_ppm[mode] = _clamp(
            BASE_FULL_TRIGGER_PPM[mode] + full_shift, *FULL_TRIGGER_RANGE_PPM
        )
        state.repair_trigger_ppm[mode] = _clamp(
            BASE_REPAIR_TRIGGER_PPM[mode] + repair_shift, *REPAIR_TRIGGER_RANGE_PPM
        )


@jitted
def init(state):
    """Start with both prices at zero."""
    state.observed_calls = 0
    state.total_cost_ns = 0
    state.adverse_events = 0
    state.lambda_latency = 0
    state.lambda_risk = 0
    _publish_triggers(state)


@jitted
def _update_prices(state):
    calls = np.uint64(state.observed_calls)
    mean_cost_ns = np.int64(state.total_cost_ns // calls)
    rate_ppm = np.int64(np.uint64(state.adverse_events) * np.uint64(PPM) // calls)
    latency_step = _toward_zero(mean_cost_ns - LATENCY_TARGET_NS, LATENCY_DIVISOR)
    risk_step = _toward_zero(rate_ppm - RISK_TARGET_PPM, RISK_DIVISOR)
    state.lambda_latency += _clamp(latency_step, -LARGEST_LATENCY_STEP, LARGEST_LATENCY_STEP)
    state.lambda_risk += _clamp(risk_step, -LARGEST_RISK_STEP, LARGEST_RISK_STEP)
    _publish_triggers(state)


@jitted
def observe(state, cost_ns, adverse):
    """Add the cost and the outcome of one call; every 128th call moves the prices."""
    state.observed_calls += 1
    state.total_cost_ns += cost_ns
    if adverse:
        state.adverse_events += 1
    if state.observed_calls % PERIOD == 0:
        _update_prices(state)


@jitted
def limits(state, mode):
    """Return the two triggers and the largest request of a mode."""
    return ControlLimits(
        state.full_trigger_ppm[mode], state.repair_trigger_ppm[mode], MAX_REQUEST_BYTES[mode]
    )


class Control(Monitor):
    """Primal-dual controller of the risk triggers.

    The prices are ``record["lambda_latency"]`` and ``record["lambda_risk"]``; nothing bounds them,
    only the triggers are clamped.

    Examples
    --------
    >>> monitor = Control()
    >>> for _ in range(128):
    ...     monitor.observe(12, False)
    >>> limits = monitor.limits(SafetyLevel.HARDENED)
    >>> limits.full_validation_trigger_ppm, limits.repair_trigger_ppm
    (80019, 140009)
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, cost_ns=uint64, adverse=flag)
    limits = operation(limits, mode=member(SafetyLevel))
