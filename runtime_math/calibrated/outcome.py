"""What the validation of a call brought, turned into evidence: the half that `observe` feeds."""

import math

import numpy as np

from runtime_math.calibrated import (
    excess_mean,
    family_rates,
    ladder,
    level,
    lottery,
    quarantine_queue,
    rate_detector,
    tail_histogram,
    transition_order,
)
from runtime_math.calibrated.context import learn_rate, learning_weights
from runtime_math.calibrated.policy_state import (
    FAULT_KIND,
    GLOBAL,
    POOLED,
    SINGLE,
    set_family_ratios,
)
from runtime_math.calibrated.streams import WEIGHTS, Stream
from runtime_math.numerics.compilation import jitted

ADVERSE = int(Stream.ADVERSE)
FAULT = int(Stream.FAULT)
COST = int(Stream.COST)
COST_TAIL = int(Stream.COST_TAIL)
COST_ORDER = int(Stream.COST_ORDER)
ADVERSE_GAP = int(Stream.ADVERSE_GAP)
FAMILY_ADVERSE = int(Stream.FAMILY_ADVERSE)
FAMILY_COST = int(Stream.FAMILY_COST)

COST_BINS_PER_OCTAVE = 8.0
COST_ORIGIN = 64
LAST_COST_BIN = tail_histogram.BIN_COUNT - 1
COST_TOLERANCE_OCTAVES = math.log2(1.2)
KNOWN_LEVEL_COUNT = 3.0

# Excess of a cost over its level: nothing up to 4 times, everything from 36 times on.
EXCESS_START = 4.0
EXCESS_RANGE = 32.0
EXCESS_START_OCTAVES = 2.0
EXCESS_END_OCTAVES = 6.0
LN_2 = math.log(2.0)

COST_AVERAGE_STEP = 1.0 / 16.0
RECENT_STEP = 1.0 / 32.0
LONGEST_GAP = 7

# Layout of an outcome in the quarantine queue; the cost in 2^-24 octaves, its bin and its excess
# as they were tested, so that what is learnt is what the tests see.
OCTAVE_SCALE = 16777216.0
COST_MASK = np.uint64((1 << 31) - 1)
ADVERSE_BIT = np.uint64(1 << 31)
PROFILE_BIT = np.uint64(1 << 32)
ORDER_BIT = np.uint64(1 << 33)
ROW_BIT = np.uint64(1 << 34)
SYMBOL_BIT = np.uint64(1 << 35)
LEVEL_BIT = np.uint64(1 << 36)
GAP_SHIFT = np.uint64(37)
CONSISTENT_SHIFT = np.uint64(41)
INCONSISTENT_SHIFT = np.uint64(45)
BIN_SHIFT = np.uint64(48)
EXCESS_SHIFT = np.uint64(56)
EXCESS_SCALE = 255.0
BYTE_MASK = np.uint64(0xFF)
OVERLAP_MASK = np.uint64(0x7)
NIBBLE_MASK = np.uint64(0xF)
PENDING_LIMIT = 7
ZERO = np.uint64(0)


@jitted
def cost_bin(octaves_over_level):
    """Bin of a cost, relative to its level."""
    index = math.floor(octaves_over_level * COST_BINS_PER_OCTAVE) + COST_ORIGIN
    return np.int64(min(max(index, 0), LAST_COST_BIN))


@jitted
def excess_of(octaves_over_level):
    """Clipped excess of a cost over its level, from 0 to 1."""
    if octaves_over_level <= EXCESS_START_OCTAVES:
        return 0.0
    if octaves_over_level >= EXCESS_END_OCTAVES:
        return 1.0
    ratio = math.exp(octaves_over_level * LN_2)
    return min((ratio - EXCESS_START) / EXCESS_RANGE, 1.0)


@jitted
def learn_outcome(state, family, payload):
    """Learn what left the quarantine of outcomes."""
    rate_weight, load_weight, level_weight = learning_weights(state, family)
    profile = 1 if (payload & PROFILE_BIT) != ZERO else 0
    octaves = np.float64(payload & COST_MASK) / OCTAVE_SCALE
    offset = state.offsets[profile, family]
    if (payload & LEVEL_BIT) != ZERO:
        index = np.int64((payload >> BIN_SHIFT) & BYTE_MASK)
        tail_histogram.learn(state.costs[profile], index, load_weight)
        if rate_weight > 0.0:
            excess = np.float64(payload >> EXCESS_SHIFT) / EXCESS_SCALE
            excess_mean.learn(state.tail, excess, rate_weight)
        level.learn(state.load, octaves - offset.level, level_weight * load_weight)
    level.learn(offset, octaves - state.load.level, level_weight)
    if rate_weight == 0.0:
        return
    adverse = (payload & ADVERSE_BIT) != ZERO
    if family_rates.learn(state.rates, family, adverse, rate_weight):
        set_family_ratios(state)
    if (payload & ORDER_BIT) != ZERO:
        row = 1 if (payload & ROW_BIT) != ZERO else 0
        symbol = 1 if (payload & SYMBOL_BIT) != ZERO else 0
        transition_order.learn(state.cost_order, row, symbol, rate_weight)
    gap = np.int64((payload >> GAP_SHIFT) & NIBBLE_MASK)
    if gap > 0:
        transition_order.learn(state.adverse_gap, 0, gap - 1, rate_weight)
    for _ in range(np.int64((payload >> CONSISTENT_SHIFT) & OVERLAP_MASK)):
        learn_rate(state.fault, False, rate_weight, FAULT_KIND)
    for _ in range(np.int64((payload >> INCONSISTENT_SHIFT) & OVERLAP_MASK)):
        learn_rate(state.fault, True, rate_weight, FAULT_KIND)


@jitted
def step_adverse(state, family, adverse, shared):
    """Feed the adverse flag to the family's detector, and to the pooled one when it is shared."""
    ratios = state.family_ratios[family]
    value = rate_detector.step(state.family_adverse[family], ratios, adverse, SINGLE)
    state.family_evidence[family, 0] = WEIGHTS[FAMILY_ADVERSE] * value
    if shared:
        value = rate_detector.step(state.adverse, ratios, adverse, POOLED)
        state.evidence[ADVERSE] = WEIGHTS[ADVERSE] * value


@jitted
def step_gap(state, shared):
    """Feed the spacing of an adverse call to its detector; returns one plus its symbol."""
    gap = state.observations - state.last_adverse
    symbol = 0
    while symbol < LONGEST_GAP and gap >= 2 << symbol:
        symbol += 1
    if shared:
        value = transition_order.observe(state.adverse_gap, 0, symbol)
        state.evidence[ADVERSE_GAP] = WEIGHTS[ADVERSE_GAP] * value
    state.last_adverse = state.observations
    return symbol + 1


@jitted
def step_cost(state, family, profile, over_level, shared):
    """Feed a cost, in octaves over its level, to the detectors of cost."""
    histogram = state.costs[profile]
    trials = tail_histogram.count(histogram)
    tested = cost_bin(over_level - COST_TOLERANCE_OCTAVES)
    p = tail_histogram.p_value(histogram, tested, lottery.draw(state.lottery))
    p = tail_histogram.cautious(p, trials)
    value = ladder.observe(state.family_cost_ladder[family], p, trials)
    state.family_evidence[family, 1] = WEIGHTS[FAMILY_COST] * value
    if shared:
        value = ladder.observe(state.cost_ladder, p, trials)
        state.evidence[COST] = WEIGHTS[COST] * value
        value = excess_mean.observe(state.tail, excess_of(over_level))
        state.evidence[COST_TAIL] = WEIGHTS[COST_TAIL] * value


@jitted
def step_cost_order(state, over_level, shared):
    """Feed the order of high and low costs to its detector; returns the queue's bits."""
    row = state.cost_symbol
    symbol = 1 if over_level > state.cost_average else 0
    clipped = min(max(over_level, -2.0), 2.0)
    state.cost_average += COST_AVERAGE_STEP * (clipped - state.cost_average)
    state.cost_symbol = symbol
    if row < 0:
        return ZERO
    if shared:
        value = transition_order.observe(state.cost_order, row, symbol)
        state.evidence[COST_ORDER] = WEIGHTS[COST_ORDER] * value
    bits = ORDER_BIT
    if row == 1:
        bits |= ROW_BIT
    if symbol == 1:
        bits |= SYMBOL_BIT
    return bits


@jitted
def absorb_outcome(state, family, profile, cost_ns, adverse):
    """Take in the outcome of a call."""
    shared = not state.alarms[family].active or state.alarms[GLOBAL].active
    octaves = math.log2(np.float64(cost_ns) + 1.0)
    payload = np.uint64(octaves * OCTAVE_SCALE)
    step_adverse(state, family, adverse, shared)
    recent = state.recent_adverse[family]
    state.recent_adverse[family] = recent + RECENT_STEP * ((1.0 if adverse else 0.0) - recent)
    level.learn(state.recent_cost[profile, family], octaves, 1.0)
    if adverse:
        payload |= ADVERSE_BIT | (np.uint64(step_gap(state, shared)) << GAP_SHIFT)
    if profile == 1:
        payload |= PROFILE_BIT
    offset = state.offsets[profile, family]
    if offset.count >= KNOWN_LEVEL_COUNT:
        over_level = octaves - state.load.level - offset.level
        step_cost(state, family, profile, over_level, shared)
        excess = np.uint64(math.ceil(excess_of(over_level) * EXCESS_SCALE))
        payload |= LEVEL_BIT | (np.uint64(cost_bin(over_level)) << BIN_SHIFT)
        payload |= excess << EXCESS_SHIFT
        payload |= step_cost_order(state, over_level, shared)
    payload |= np.uint64(state.pending_consistent) << CONSISTENT_SHIFT
    payload |= np.uint64(state.pending_inconsistent) << INCONSISTENT_SHIFT
    state.pending_consistent = 0
    state.pending_inconsistent = 0
    released = quarantine_queue.push(state.outcomes, family, payload)
    if released != quarantine_queue.VOID:
        learn_outcome(state, released, state.outcomes.released)


@jitted
def absorb_overlap(state, consistent):
    """Take in the result of an overlap check."""
    value = rate_detector.step(state.fault.evidence, state.fault.ratios, not consistent, FAULT_KIND)
    state.evidence[FAULT] = WEIGHTS[FAULT] * value
    if consistent:
        state.pending_consistent = min(state.pending_consistent + 1, PENDING_LIMIT)
    else:
        state.pending_inconsistent = min(state.pending_inconsistent + 1, PENDING_LIMIT)
