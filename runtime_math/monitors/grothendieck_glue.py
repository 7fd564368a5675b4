"""Do sources that answer the same kind of query agree where they overlap?

Local answers glue to a global one exactly when they agree on overlaps (the cocycle condition).
Every comparison of two sources updates smoothed rates of disagreement: of all comparisons, of the
query family, of the pair within the family, and of those comparisons that ask only for agreement
up to equivalence (stack checks). A verdict is formed at every 256th comparison.

References
----------
.. [1] S. Mac Lane, I. Moerdijk, "Sheaves in Geometry and Logic", Springer, 1992, ch. III.
.. [2] A. Vistoli, "Notes on Grothendieck topologies, fibered categories and descent theory",
       in "Fundamental Algebraic Geometry", AMS, 2005.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, operation, reading
from runtime_math.numerics.bits import float64_bits
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import resting_bits

SOURCE_COUNT = 8
QUERY_FAMILY_COUNT = 6
PAIR_COUNT = SOURCE_COUNT * (SOURCE_COUNT - 1) // 2
VERDICT_PERIOD = 256
SMOOTHING_WEIGHT = 0.015
SMOOTHING_KEEP = 1.0 - SMOOTHING_WEIGHT
RESTING_RATE = resting_bits(lambda rate: SMOOTHING_KEEP * rate == rate)
DESCENT_FAILURE_FROM = 0.08
STACK_FAULT_FROM = 0.2


class GrothendieckState(IntEnum):
    """Verdict of the latest cadence point."""

    CALIBRATING = 0
    COHERENT = 1
    DESCENT_FAILURE = 2
    STACKIFICATION_FAULT = 3


class QueryFamily(IntEnum):
    """What the sources are asked for."""

    HOSTNAME = 0
    SERVICE = 1
    USER_GROUP = 2
    LOCALE_RESOLUTION = 3
    ENCODING_LOOKUP = 4
    TRANSLITERATION = 5


class DataSource(IntEnum):
    """Who answers."""

    FILES = 0
    DNS = 1
    LDAP = 2
    NIS = 3
    CACHE = 4
    LOCALE_FILES = 5
    ICONV_TABLES = 6
    FALLBACK = 7


STATE = np.dtype(
    [
        ("pair_rates", np.float64, (QUERY_FAMILY_COUNT, PAIR_COUNT)),
        ("family_rates", np.float64, (QUERY_FAMILY_COUNT,)),
        ("family_observations", np.int64, (QUERY_FAMILY_COUNT,)),
        ("global_rate", np.float64),
        ("stack_rate", np.float64),
        ("checks", np.int64),
        ("descent_failure_count", np.int64),
        ("stack_fault_count", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class GrothendieckSummary(NamedTuple):
    """Smoothed rates of disagreement, verdict, counts, and the pair that disagrees most."""

    family_violation_rates: tuple
    global_violation_rate: float
    stack_violation_rate: float
    state: int
    checks: int
    descent_failure_count: int
    stack_fault_count: int
    worst_pair: tuple


@jitted
def init(state):
    """Start without comparisons."""
    for family in range(QUERY_FAMILY_COUNT):
        state.family_rates[family] = 0.0
        state.family_observations[family] = 0
        for pair in range(PAIR_COUNT):
            state.pair_rates[family, pair] = 0.0
    state.global_rate = 0.0
    state.stack_rate = 0.0
    state.checks = 0
    state.descent_failure_count = 0
    state.stack_fault_count = 0
    state.code = 0


@jitted
def pair_index(source_i, source_j):
    """Return the index of an unordered pair of two sources, 0 to 27."""
    smaller, larger = min(source_i, source_j), max(source_i, source_j)
    return (larger * (larger - 1) >> 1) + smaller


@jitted(forceinline=True)
def _update(rates, place, increment):
    if increment > 0.0 or float64_bits(rates[place]) > RESTING_RATE:
        rates[place] = SMOOTHING_KEEP * rates[place] + increment


@jitted
def _decide(state):
    # The stack rate comes first and fades only on stack checks, so it may mask the other for long.
    if state.stack_rate >= STACK_FAULT_FROM:
        if state.code != 3:
            state.stack_fault_count += 1
        state.code = 3
    elif state.global_rate >= DESCENT_FAILURE_FROM:
        if state.code != 2:
            state.descent_failure_count += 1
        state.code = 2
    else:
        state.code = 1


@jitted
def observe_cocycle(state, family, source_i, source_j, compatible, is_stack_check):
    """Add a comparison of two sources; returns the state code.

    A source compared with itself says nothing: the call is not counted.
    """
    if source_i == source_j:
        return state.code
    increment = 0.0 if compatible else SMOOTHING_WEIGHT
    pair = pair_index(source_i, source_j)
    _update(state.pair_rates, (family, pair), increment)
    _update(state.family_rates, family, increment)
    state.family_observations[family] += 1
    if increment > 0.0 or float64_bits(state.global_rate) > RESTING_RATE:
        state.global_rate = SMOOTHING_KEEP * state.global_rate + increment
    if is_stack_check and (increment > 0.0 or float64_bits(state.stack_rate) > RESTING_RATE):
        state.stack_rate = SMOOTHING_KEEP * state.stack_rate + increment
    checks = state.checks + 1
    state.checks = checks
    if checks % VERDICT_PERIOD == 0:
        _decide(state)
    return state.code


@jitted
def current_state(state):
    """Return the code of the latest cadence point."""
    return state.code


@jitted
def worst_pair(state):
    """Return the pair of sources that disagrees most in any family; (0, 0) where none does."""
    largest, first, second = 0.0, 0, 0
    for family in range(QUERY_FAMILY_COUNT):
        for smaller in range(SOURCE_COUNT):
            for larger in range(smaller + 1, SOURCE_COUNT):
                rate = state.pair_rates[family, pair_index(smaller, larger)]
                if rate > largest:
                    largest, first, second = rate, smaller, larger
    return first, second


@jitted
def family_violation_rate(state, family):
    """Return the rate of disagreement of one query family."""
    return state.family_rates[family]


@jitted
def summary(state):
    """Return the rates, the verdict, the counts and the worst pair."""
    rates = state.family_rates
    return GrothendieckSummary(
        (rates[0], rates[1], rates[2], rates[3], rates[4], rates[5]),
        state.global_rate,
        state.stack_rate,
        state.code,
        state.checks,
        state.descent_failure_count,
        state.stack_fault_count,
        worst_pair(state),
    )


def _pair_of_sources(pair):
    return tuple(DataSource(source) for source in pair)


class GrothendieckGlue(Monitor):
    """Rates of disagreement between data sources, for each kind of query.

    `observe_cocycle` takes the query family, two sources (enum members or codes), whether they
    agreed, and whether agreement up to equivalence was asked for.

    Examples
    --------
    >>> monitor = GrothendieckGlue()
    >>> for call in range(256):
    ...     state = monitor.observe_cocycle(
    ...         QueryFamily.HOSTNAME, DataSource.FILES, DataSource.DNS, call % 4 > 0, False
    ...     )
    >>> state
    <GrothendieckState.DESCENT_FAILURE: 2>
    >>> monitor.worst_pair
    (<DataSource.FILES: 0>, <DataSource.DNS: 1>)
    """

    STATE = STATE
    initialise = init
    observe_cocycle = operation(
        observe_cocycle,
        GrothendieckState,
        family=member(QueryFamily),
        source_i=member(DataSource),
        source_j=member(DataSource),
        compatible=flag,
        is_stack_check=flag,
    )
    state = reading(current_state, GrothendieckState)
    family_violation_rate = operation(family_violation_rate, family=member(QueryFamily))
    worst_pair = reading(worst_pair, _pair_of_sources)
    summary = operation(
        summary,
        lambda values: values._replace(
            state=GrothendieckState(values.state), worst_pair=_pair_of_sources(values.worst_pair)
        ),
    )
