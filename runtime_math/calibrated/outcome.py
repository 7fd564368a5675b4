"""What the validation of a call brought, turned into evidence: the half that `observe` feeds."""

import math

import numpy as np

from runtime_math.calibrated import level, lottery, quarantine_queue, tail_histogram
from runtime_math.calibrated.context import learning_weights
from runtime_math.calibrated.cost_streams import cost_bin
from runtime_math.calibrated.outcome_streams import GAP_SYMBOLS
from runtime_math.calibrated.policy_state import GLOBAL
from runtime_math.calibrated.sights import (
    OCTAVE_SCALE,
    PROFILE_BIT,
    AdverseSight,
    CostSight,
    OutcomeSight,
    OverlapSight,
)
from runtime_math.calibrated.streams import (
    feed_adverse,
    feed_cost,
    feed_outcome,
    feed_overlap,
    learn_outcomes,
    remember_adverse,
    remember_cost,
    remember_outcome,
)
from runtime_math.numerics.compilation import jitted

COST_TOLERANCE_OCTAVES = math.log2(1.2)
KNOWN_LEVEL_COUNT = 3.0

COST_AVERAGE_STEP = 1.0 / 16.0
RECENT_STEP = 1.0 / 32.0


@jitted
def look_at_gap(state, family):
    """How far the last adverse call is from this one."""
    gap = state.observations - state.last_adverse
    symbol = 0
    while symbol < GAP_SYMBOLS - 1 and gap >= 2 << symbol:
        symbol += 1
    state.last_adverse = state.observations
    return AdverseSight(family, symbol)


@jitted
def look_at_cost(state, family, profile, over_level):
    """Judge a cost, in octaves over its level, by what was learnt and by the one before."""
    histogram = state.costs[profile]
    trials = tail_histogram.count(histogram)
    tested = cost_bin(over_level - COST_TOLERANCE_OCTAVES)
    p = tail_histogram.p_value(histogram, tested, lottery.draw(state.lottery))
    row = state.cost_symbol
    symbol = 1 if over_level > state.cost_average else 0
    clipped = min(max(over_level, -2.0), 2.0)
    state.cost_average += COST_AVERAGE_STEP * (clipped - state.cost_average)
    state.cost_symbol = symbol
    p = tail_histogram.cautious(p, trials)
    return CostSight(family, profile, over_level, p, trials, row, symbol)


@jitted
def keep_recent(state, sight):
    """Keep what an operator may accept as normal: recent adverse rates and costs."""
    recent = state.recent_adverse[sight.family]
    change = RECENT_STEP * ((1.0 if sight.adverse else 0.0) - recent)
    state.recent_adverse[sight.family] = recent + change
    level.learn(state.recent_cost[sight.profile, sight.family], sight.cost_octaves, 1.0)


@jitted
def absorb_outcome(state, family, profile, cost_ns, adverse):
    """Take in the outcome of a call."""
    shared = not state.alarms[family].active or state.alarms[GLOBAL].active
    octaves = math.log2(np.float64(cost_ns) + 1.0)
    payload = np.uint64(octaves * OCTAVE_SCALE)
    if profile == 1:
        payload |= PROFILE_BIT
    outcome = OutcomeSight(family, profile, octaves, adverse)
    feed_outcome(state, outcome, shared)
    payload |= remember_outcome(state, outcome)
    keep_recent(state, outcome)
    if adverse:
        gap = look_at_gap(state, family)
        feed_adverse(state, gap, shared)
        payload |= remember_adverse(state, gap)
    offset = state.offsets[profile, family]
    if offset.count >= KNOWN_LEVEL_COUNT:
        over_level = octaves - state.load.level - offset.level
        cost = look_at_cost(state, family, profile, over_level)
        feed_cost(state, cost, shared)
        payload |= remember_cost(state, cost)
    released = quarantine_queue.push(state.outcomes, family, payload)
    if released != quarantine_queue.VOID:
        weights = learning_weights(state, released)
        learn_outcomes(state, released, state.outcomes.released, weights)


@jitted
def absorb_overlap(state, consistent):
    """Take in the result of an overlap check."""
    feed_overlap(state, OverlapSight(consistent), True)
