"""Is there evidence, valid at any stopping time, that a family's adverse rate exceeds its budget?

For each API family the controller accumulates the Bernoulli log likelihood ratio of "adverse rate
q1" against "adverse rate p0" in fixed point (micro-nats). Under p0 its exponential is a
supermartingale of mean at most one, so by Ville's inequality it exceeds 1/alpha with probability
at most alpha, whenever one looks. A floor makes it forget good times, as in CUSUM; a cap bounds
the time to recover.

References
----------
.. [1] A. Wald, "Sequential Tests of Statistical Hypotheses", Ann. Math. Statist. 16(2), 1945.
.. [2] A. Ramdas, P. Gruenwald, V. Vovk, G. Shafer, "Game-theoretic statistics and safe
       anytime-valid inference", Statist. Sci. 38(4), 2023.
.. [3] E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, operation, reading, real, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.saturating import round_half_away
from runtime_math.types import FAMILY_COUNT, ApiFamily

MICRO_NATS_PER_NAT = 1_000_000.0
LOG_E_FLOOR = -20_000_000
LOG_E_CAP = 50_000_000
SMALLEST_RATE = 1e-6
DEFAULT_NULL_RATE = 0.02
DEFAULT_ALTERNATIVE_RATE = 0.20
DEFAULT_WARMUP_CALLS = 64
DEFAULT_WARNING_E = 100.0
DEFAULT_ALARM_E = 10_000.0
INT64_MAX = np.iinfo(np.int64).max


class EProcessState(IntEnum):
    """How strong the evidence against the adverse budget is."""

    CALIBRATING = 0
    NORMAL = 1
    WARNING = 2
    ALARM = 3


STATE = np.dtype(
    [
        ("calls", np.int64, (FAMILY_COUNT,)),
        ("adverse", np.int64, (FAMILY_COUNT,)),
        ("log_e", np.int64, (FAMILY_COUNT,)),
        ("warmup_calls", np.uint64),
        ("warning_level", np.int64),
        ("alarm_level", np.int64),
        ("adverse_delta", np.int64),
        ("clean_delta", np.int64),
    ],
    align=True,
)


class EProcessSummary(NamedTuple):
    """State of one family."""

    calls: int
    adverse: int
    e_value: float
    state: int


@jitted
def _to_micro_nats(nats):
    scaled = round_half_away(nats * MICRO_NATS_PER_NAT)
    if math.isnan(scaled):
        return 0
    if scaled >= 9223372036854775808.0:
        return INT64_MAX
    return int(scaled)


@jitted
def init(state, null_rate, alternative_rate, warmup_calls, warning_e, alarm_e):
    """Start with no evidence; the rates and thresholds are those of the two hypotheses."""
    largest_rate = 1.0 - SMALLEST_RATE
    p0 = min(max(null_rate, SMALLEST_RATE), largest_rate)
    q1 = alternative_rate
    if not math.isnan(q1):
        q1 = min(max(q1, p0 + SMALLEST_RATE), largest_rate)
    # Comparisons written so that a NaN threshold falls back to the one below it.
    warning = warning_e if warning_e > 1.0 else 1.0
    alarm = alarm_e if alarm_e > warning else warning
    state.adverse_delta = _to_micro_nats(math.log(q1 / p0))
    state.clean_delta = _to_micro_nats(math.log((1.0 - q1) / (1.0 - p0)))
    state.warning_level = _to_micro_nats(math.log(warning))
    state.alarm_level = _to_micro_nats(math.log(alarm))
    state.warmup_calls = warmup_calls
    for family in range(FAMILY_COUNT):
        state.calls[family] = 0
        state.adverse[family] = 0
        state.log_e[family] = 0


@jitted
def observe(state, family, adverse):
    """Add one outcome of a family; returns the family's state code."""
    state.calls[family] += 1
    delta = state.clean_delta
    if adverse:
        state.adverse[family] += 1
        delta = state.adverse_delta
    state.log_e[family] = min(max(state.log_e[family] + delta, LOG_E_FLOOR), LOG_E_CAP)
    return family_state(state, family)


@jitted
def family_state(state, family):
    """Return the state code of a family."""
    if np.uint64(state.calls[family]) < state.warmup_calls:
        return 0
    log_e = state.log_e[family]
    if log_e >= state.alarm_level:
        return 3
    return 2 if log_e >= state.warning_level else 1


@jitted
def e_value(state, family):
    """Return the e-value of a family: the likelihood ratio accumulated so far."""
    return math.exp(state.log_e[family] / MICRO_NATS_PER_NAT)


@jitted
def max_e_value(state):
    """Return the largest e-value of all families, at least 1."""
    largest = state.log_e[0]
    for family in range(1, FAMILY_COUNT):
        largest = max(largest, state.log_e[family])
    return max(1.0, math.exp(largest / MICRO_NATS_PER_NAT))


@jitted
def alarmed_family_count(state):
    """Return how many families are in alarm."""
    count = 0
    for family in range(FAMILY_COUNT):
        if family_state(state, family) == 3:
            count += 1
    return count


@jitted
def summary(state, family):
    """Return the counts, the e-value and the state of a family."""
    return EProcessSummary(
        state.calls[family],
        state.adverse[family],
        e_value(state, family),
        family_state(state, family),
    )


def _null_rate(name, value):
    rate = real(name, value)
    if math.isnan(rate) or rate + SMALLEST_RATE > 1.0 - SMALLEST_RATE:
        raise ValueError(f"{name} must be a rate below 0.999998, got {rate}")
    return rate


class EProcess(Monitor):
    """Anytime-valid sequential test of the adverse rate, per API family.

    Parameters
    ----------
    null_rate : float, default 0.02
        Adverse rate that is within budget, clamped to [1e-6, 1 - 1e-6].
    alternative_rate : float, default 0.20
        Adverse rate worth an alarm, clamped above the null rate.
    warmup_calls : int, default 64
        Calls of a family before it leaves CALIBRATING.
    warning_e, alarm_e : float, default 100 and 10 000
        E-values from which a family is in WARNING and in ALARM.

    Examples
    --------
    >>> monitor = EProcess()
    >>> for _ in range(64):
    ...     state = monitor.observe(ApiFamily.STDIO, False)
    >>> state
    <EProcessState.NORMAL: 1>
    >>> for _ in range(8):
    ...     state = monitor.observe(ApiFamily.STDIO, True)
    >>> state
    <EProcessState.WARNING: 2>
    >>> monitor.summary(ApiFamily.STDIO).adverse
    8
    """

    STATE = STATE
    PARAMETERS = {
        "null_rate": (_null_rate, DEFAULT_NULL_RATE),
        "alternative_rate": (real, DEFAULT_ALTERNATIVE_RATE),
        "warmup_calls": (uint64, DEFAULT_WARMUP_CALLS),
        "warning_e": (real, DEFAULT_WARNING_E),
        "alarm_e": (real, DEFAULT_ALARM_E),
    }
    initialise = init
    observe = operation(observe, EProcessState, family=member(ApiFamily), adverse=flag)
    state = operation(family_state, EProcessState, family=member(ApiFamily))
    e_value = operation(e_value, family=member(ApiFamily))
    max_e_value = reading(max_e_value)
    alarmed_family_count = reading(alarmed_family_count)
    summary = operation(
        summary,
        lambda values: values._replace(state=EProcessState(values.state)),
        family=member(ApiFamily),
    )
