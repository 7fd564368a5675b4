"""Detectors of what calls cost: against the usual, in the tail, and in their order."""

import math

import numpy as np

from runtime_math.calibrated import excess_mean, ladder, level, tail_histogram, transition_order
from runtime_math.calibrated.assembly import nothing
from runtime_math.calibrated.detector import Detector, lightening, restarting
from runtime_math.calibrated.sights import COST_MASK, OCTAVE_SCALE, PROFILE_BIT, ZERO, Moment
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT, PROFILE_COUNT

LOAD_MEMORY = 32.0
OFFSET_MEMORY = 64.0
TAIL_MARGIN = 2.0

BINS_PER_OCTAVE = 8.0
ORIGIN = 64
LAST_BIN = tail_histogram.BIN_COUNT - 1

# Excess of a cost over its level: nothing up to 4 times, everything from 36 times on.
EXCESS_START = 4.0
EXCESS_RANGE = 32.0
EXCESS_START_OCTAVES = 2.0
EXCESS_END_OCTAVES = 6.0
LN_2 = math.log(2.0)

# Layout of an outcome in the quarantine queue: bin and excess as they were tested, so that what is
# learnt is what the tests see.
ORDER_BIT = np.uint64(1 << 33)
ROW_BIT = np.uint64(1 << 34)
SYMBOL_BIT = np.uint64(1 << 35)
LEVEL_BIT = np.uint64(1 << 36)
BIN_SHIFT = np.uint64(48)
EXCESS_SHIFT = np.uint64(56)
EXCESS_SCALE = 255.0
BYTE_MASK = np.uint64(0xFF)


@jitted
def cost_bin(octaves_over_level):
    """Bin of a cost, relative to its level."""
    index = math.floor(octaves_over_level * BINS_PER_OCTAVE) + ORIGIN
    return np.int64(min(max(index, 0), LAST_BIN))


@jitted
def excess_of(octaves_over_level):
    """Clipped excess of a cost over its level, from 0 to 1."""
    if octaves_over_level <= EXCESS_START_OCTAVES:
        return 0.0
    if octaves_over_level >= EXCESS_END_OCTAVES:
        return 1.0
    ratio = math.exp(octaves_over_level * LN_2)
    return min((ratio - EXCESS_START) / EXCESS_RANGE, 1.0)


# --- costs above the usual, over all families and of one ------------------------------------------


@jitted
def _start_costs(state):
    for profile in range(PROFILE_COUNT):
        tail_histogram.init(state.costs[profile])
        for family in range(FAMILY_COUNT):
            level.init(state.offsets[profile, family], OFFSET_MEMORY)
    level.init(state.load, LOAD_MEMORY)
    level.start(state.load, 0.0)


@jitted
def _step_cost(state, sight):
    return ladder.observe(state.cost_ladder, sight.p, sight.trials)


@jitted
def _step_family_cost(state, sight):
    return ladder.observe(state.family_cost_ladder[sight.family], sight.p, sight.trials)


@jitted
def _remember_bin(state, sight):
    return LEVEL_BIT | (np.uint64(cost_bin(sight.over_level)) << BIN_SHIFT)


@jitted
def _learn_costs(state, family, payload, weights):
    profile = 1 if (payload & PROFILE_BIT) != ZERO else 0
    octaves = np.float64(payload & COST_MASK) / OCTAVE_SCALE
    offset = state.offsets[profile, family]
    if (payload & LEVEL_BIT) != ZERO:
        index = np.int64((payload >> BIN_SHIFT) & BYTE_MASK)
        tail_histogram.learn(state.costs[profile], index, weights.load)
        level.learn(state.load, octaves - offset.level, weights.level * weights.load)
    level.learn(offset, octaves - state.load.level, weights.level)


@jitted
def _lighten_costs(state, factor):
    for profile in range(PROFILE_COUNT):
        state.costs[profile].unit *= factor


@jitted
def _accept_costs(state, family, factor):
    for profile in range(PROFILE_COUNT):
        recent = state.recent_cost[profile, family]
        offset = state.offsets[profile, family]
        if recent.count > 1.0 and offset.count > 0.0:
            offset.level = recent.level - state.load.level
            offset.count = 1.0 + min(offset.count, 3.0)


@jitted
def _focused_on_family(state, slot, focus):
    return ladder.value(state.family_cost_ladder[slot])


COST = Detector(
    moment=Moment.COST,
    fields=(
        ("load", level.STATE),
        ("offsets", level.STATE, (PROFILE_COUNT, FAMILY_COUNT)),
        ("costs", tail_histogram.STATE, (PROFILE_COUNT,)),
        ("cost_ladder", ladder.STATE),
    ),
    start=_start_costs,
    restart=restarting("cost_ladder", ladder.init),
    step=_step_cost,
    remember=_remember_bin,
    bits=int(LEVEL_BIT | BYTE_MASK << BIN_SHIFT),
    learn=_learn_costs,
    lighten=_lighten_costs,
    accept=_accept_costs,
)
# Judged by the p-values of the stream of all families.
FAMILY_COST = Detector(
    moment=Moment.COST,
    fields=(("family_cost_ladder", ladder.STATE, (FAMILY_COUNT,)),),
    start=nothing,
    restart=restarting("family_cost_ladder", ladder.init, per_family=True),
    step=_step_family_cost,
    remember=nothing,
    bits=0,
    learn=nothing,
    lighten=nothing,
    accept=nothing,
    per_family=True,
    focused=_focused_on_family,
)

# --- the tail -------------------------------------------------------------------------------------


@jitted
def _start_tail(state):
    excess_mean.init(state.tail, TAIL_MARGIN)


@jitted
def _step_tail(state, sight):
    return excess_mean.observe(state.tail, excess_of(sight.over_level))


@jitted
def _remember_excess(state, sight):
    excess = np.uint64(math.ceil(excess_of(sight.over_level) * EXCESS_SCALE))
    return excess << EXCESS_SHIFT


@jitted
def _learn_excess(state, family, payload, weights):
    if (payload & LEVEL_BIT) != ZERO and weights.rate > 0.0:
        excess = np.float64(payload >> EXCESS_SHIFT) / EXCESS_SCALE
        excess_mean.learn(state.tail, excess, weights.rate)


COST_TAIL = Detector(
    moment=Moment.COST,
    fields=(("tail", excess_mean.STATE),),
    start=_start_tail,
    restart=restarting("tail", excess_mean.forget),
    step=_step_tail,
    remember=_remember_excess,
    bits=int(BYTE_MASK << EXCESS_SHIFT),
    learn=_learn_excess,
    lighten=lightening("tail"),
    accept=nothing,
)

# --- order of high and low costs ------------------------------------------------------------------


@jitted
def _start_order(state):
    known = transition_order.KNOWN_COUNT
    transition_order.init(state.cost_order, 2, 1.0 / 16.0, 1.2, known)


@jitted
def _step_order(state, sight):
    if sight.row < 0:
        return transition_order.value(state.cost_order)
    return transition_order.observe(state.cost_order, sight.row, sight.symbol)


@jitted
def _remember_order(state, sight):
    if sight.row < 0:
        return ZERO
    bits = ORDER_BIT
    if sight.row == 1:
        bits |= ROW_BIT
    if sight.symbol == 1:
        bits |= SYMBOL_BIT
    return bits


@jitted
def _learn_order(state, family, payload, weights):
    if (payload & ORDER_BIT) != ZERO and weights.rate > 0.0:
        row = 1 if (payload & ROW_BIT) != ZERO else 0
        symbol = 1 if (payload & SYMBOL_BIT) != ZERO else 0
        transition_order.learn(state.cost_order, row, symbol, weights.rate)


COST_ORDER = Detector(
    moment=Moment.COST,
    fields=(("cost_order", transition_order.STATE),),
    start=_start_order,
    restart=restarting("cost_order", transition_order.forget),
    step=_step_order,
    remember=_remember_order,
    bits=int(ORDER_BIT | ROW_BIT | SYMBOL_BIT),
    learn=_learn_order,
    lighten=lightening("cost_order"),
    accept=nothing,
)
