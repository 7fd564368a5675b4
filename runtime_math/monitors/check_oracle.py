"""In which order should the seven stages of pointer validation be tried in this kind of call?

Per context (API family and alignment) and stage, a Beta posterior estimates how often the pipeline
ends at that stage. Stages are ranked by exit probability per nanosecond, the reservation index of
optimal search when all that is at stake is the cost of looking; old evidence is halved when an arm
has seen enough, so the order can follow a change of traffic. The null check always goes first.

An ordering is one integer for jitted code: four bits per stage, the first stage lowest.

References
----------
.. [1] M. L. Weitzman, "Optimal Search for the Best Alternative", Econometrica 47(3), 1979.
.. [2] W. R. Thompson, "On the likelihood that one unknown probability exceeds another in view of
       the evidence of two samples", Biometrika 25, 1933.
"""

from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, integer, member, operation, reading, uint8
from runtime_math.numerics.compilation import jitted
from runtime_math.types import CheckStage, SafetyLevel

STAGE_COUNT = len(CheckStage)
FAMILY_SLOTS = 8
CONTEXT_COUNT = 2 * FAMILY_SLOTS
ALL_CONTEXTS = (1 << CONTEXT_COUNT) - 1
REPORTS_PER_UPDATE = 128
EVIDENCE_LIMIT = 512.0
EVIDENCE_TARGET = 256.0
STAGE_COST_NS = np.array([1.0, 5.0, 10.0, 30.0, 20.0, 10.0, 5.0])
BITS_PER_STAGE = 4
STAGE_MASK = 0xF
NO_EXIT = -1

NULL = int(CheckStage.NULL)
TLS_CACHE = int(CheckStage.TLS_CACHE)
ARENA = int(CheckStage.ARENA)
CANARY = int(CheckStage.CANARY)
HARDENED = int(SafetyLevel.HARDENED)

BIAS_FULL = 0
BIAS_NEUTRAL = 1
BIAS_FAST = 2


def pack_ordering(stages):
    """Turn seven stages into the integer that jitted code takes.

    Examples
    --------
    >>> hex(pack_ordering(CheckStage))
    '0x6543210'
    """
    packed = 0
    for position, stage in enumerate(stages):
        packed |= int(stage) << (BITS_PER_STAGE * position)
    return packed


def unpack_ordering(packed):
    """Turn the integer of an ordering into a tuple of seven `CheckStage`."""
    return tuple(
        CheckStage(int(packed) >> (BITS_PER_STAGE * position) & STAGE_MASK)
        for position in range(STAGE_COUNT)
    )


DEFAULT_ORDERING = pack_ordering(CheckStage)

STATE = np.dtype(
    [
        ("alpha", np.float64, (CONTEXT_COUNT, STAGE_COUNT)),
        ("beta", np.float64, (CONTEXT_COUNT, STAGE_COUNT)),
        ("orderings", np.int64, (CONTEXT_COUNT,)),
        ("ranking", np.float64, (STAGE_COUNT,)),
        ("reported_contexts", np.int64),
        ("calls_since_update", np.int64),
        ("total_calls", np.int64),
        ("total_early_exits", np.int64),
    ],
    align=True,
)


class CheckOracleSummary(NamedTuple):
    """How much was reported, and how often an exit came before the end of the pipeline."""

    total_calls: int
    total_early_exits: int
    early_exit_rate: float


@jitted
def init(state):
    """Start with a flat prior on every arm and the stages in their default order."""
    for context in range(CONTEXT_COUNT):
        state.orderings[context] = DEFAULT_ORDERING
        for stage in range(STAGE_COUNT):
            state.alpha[context, stage] = 1.0
            state.beta[context, stage] = 1.0
    for stage in range(STAGE_COUNT):
        state.ranking[stage] = 0.0
    # The default order is not the one the prior implies, so the first update concerns all.
    state.reported_contexts = ALL_CONTEXTS
    state.calls_since_update = 0
    state.total_calls = 0
    state.total_early_exits = 0


@jitted
def context_index(family, aligned):
    """Return the context of a call; families from 7 on share one."""
    return min(family, FAMILY_SLOTS - 1) * 2 + (1 if aligned else 0)


@jitted
def _fade(state, context, stage):
    """Scale an arm's evidence back once there is more of it than the limit."""
    evidence = state.alpha[context, stage] + state.beta[context, stage]
    if evidence > EVIDENCE_LIMIT:
        scale = EVIDENCE_TARGET / evidence
        state.alpha[context, stage] *= scale
        state.beta[context, stage] *= scale


@jitted
def _miss_every_stage(state, context):
    """Count a miss of all stages, each once: no order among them, so the processor may overlap."""
    most = 0.0
    for stage in range(STAGE_COUNT):
        beta = state.beta[context, stage] + 1.0
        state.beta[context, stage] = beta
        most = max(most, state.alpha[context, stage] + beta)
    if most > EVIDENCE_LIMIT:
        for stage in range(STAGE_COUNT):
            _fade(state, context, stage)


@jitted
def _update_ordering(state, context):
    """Rank the stages of a context by exit probability per nanosecond, null check first."""
    for stage in range(STAGE_COUNT):
        alpha = state.alpha[context, stage]
        mean = alpha / (alpha + state.beta[context, stage])
        state.ranking[stage] = mean / STAGE_COST_NS[stage]
    ordering = 0
    first, null_position = NULL, 0
    for stage in range(STAGE_COUNT):
        index = state.ranking[stage]
        position = 0
        for other in range(STAGE_COUNT):
            rival = state.ranking[other]
            if rival > index or (rival == index and other < stage):
                position += 1
        if position == 0:
            first = stage
        if stage == NULL:
            null_position = position
        elif position > 0:
            ordering |= stage << (BITS_PER_STAGE * position)
    # Null changes places with whoever won, wherever null was; its own code 0 needs no bits.
    if null_position > 0:
        ordering |= first << (BITS_PER_STAGE * null_position)
    state.orderings[context] = ordering


@jitted
def _update_orderings(state):
    for context in range(CONTEXT_COUNT):
        if (state.reported_contexts >> context) & 1:
            _update_ordering(state, context)
    state.reported_contexts = 0
    state.calls_since_update = 0


@jitted
def get_ordering(state, family, aligned, recent_page):
    """Return the present ordering for a context; `recent_page` plays no part yet."""
    return state.orderings[context_index(family, aligned)]


@jitted
def report_outcome(state, family, aligned, recent_page, ordering_used, exit_stage):
    """Report the position in `ordering_used` where the pipeline ended (-1: it did not end early).

    Every 128 reports, of all contexts together, the orderings are computed anew.
    """
    context = context_index(family, aligned)
    state.total_calls += 1
    early = 0 <= exit_stage < STAGE_COUNT
    if not early and ordering_used == state.orderings[context]:
        _miss_every_stage(state, context)
    else:
        remaining = ordering_used
        for _ in range(exit_stage if early else STAGE_COUNT):
            stage = remaining & STAGE_MASK
            state.beta[context, stage] += 1.0
            _fade(state, context, stage)
            remaining >>= BITS_PER_STAGE
        if early:
            stage = remaining & STAGE_MASK
            state.alpha[context, stage] += 1.0
            _fade(state, context, stage)
            state.total_early_exits += 1
    state.reported_contexts |= 1 << context
    state.calls_since_update += 1
    if state.calls_since_update >= REPORTS_PER_UPDATE:
        _update_orderings(state)


@jitted
def ordering_bias(ordering, mode):
    """Return what an ordering says about the profile: 0 favours full, 2 fast, 1 neither."""
    if ordering & STAGE_MASK != NULL:
        return BIAS_NEUTRAL
    second = (ordering >> BITS_PER_STAGE) & STAGE_MASK
    if ARENA <= second <= CANARY:
        return BIAS_FULL
    return BIAS_FAST if second == TLS_CACHE and mode != HARDENED else BIAS_NEUTRAL


@jitted
def bias(state, family, aligned, mode):
    """Return the bias of a context's present ordering: 0 favours full, 2 fast, 1 neither."""
    return ordering_bias(state.orderings[context_index(family, aligned)], mode)


@jitted
def early_exit_rate(state):
    """Return the share of reports that ended inside the ordering."""
    if state.total_calls == 0:
        return 0.0
    return state.total_early_exits / state.total_calls


@jitted
def total_calls(state):
    """Return the number of reports."""
    return state.total_calls


@jitted
def summary(state):
    """Return the counters and the early exit rate."""
    return CheckOracleSummary(state.total_calls, state.total_early_exits, early_exit_rate(state))


_stage = member(CheckStage)
_position = integer(0, 2**63 - 1)


def _ordering(name, value):
    try:
        stages = tuple(value)
    except TypeError:
        raise TypeError(f"{name} must be {STAGE_COUNT} stages, got {value!r}") from None
    if len(stages) != STAGE_COUNT:
        raise ValueError(f"{name} must be {STAGE_COUNT} stages, got {len(stages)}")
    return pack_ordering(_stage(f"{name}[{i}]", stage) for i, stage in enumerate(stages))


def _exit_position(name, value):
    return NO_EXIT if value is None else _position(name, value)


class CheckOracle(Monitor):
    """Ordering of the validation stages, learned per API family and alignment.

    Examples
    --------
    >>> oracle = CheckOracle()
    >>> for _ in range(128):
    ...     ordering = oracle.get_ordering(2, aligned=True, recent_page=True)
    ...     oracle.report_outcome(2, True, True, ordering, exit_stage=None)
    >>> [stage.name for stage in oracle.get_ordering(2, True, True)][:3]
    ['NULL', 'TLS_CACHE', 'BOUNDS']
    >>> oracle.early_exit_rate
    0.0
    """

    STATE = STATE
    initialise = init
    get_ordering = operation(
        get_ordering, unpack_ordering, family=uint8, aligned=flag, recent_page=flag
    )
    report_outcome = operation(
        report_outcome,
        family=uint8,
        aligned=flag,
        recent_page=flag,
        ordering_used=_ordering,
        exit_stage=_exit_position,
    )
    bias = operation(bias, family=uint8, aligned=flag, mode=member(SafetyLevel))
    early_exit_rate = reading(early_exit_rate)
    total_calls = reading(total_calls)
    summary = operation(summary)

    @staticmethod
    def context_index(family, aligned):
        """Return the number of the context that a family and an alignment share."""
        return context_index(uint8("family", family), flag("aligned", aligned))
