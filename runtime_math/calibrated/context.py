"""What a call shows before it is validated, turned into evidence: the half that `decide` feeds."""

import math

import numpy as np

from runtime_math.calibrated import lottery, page_novelty, quarantine_queue, tail_histogram
from runtime_math.calibrated.context_streams import bytes_bin, contention_bin
from runtime_math.calibrated.policy_state import BYTE_LIMIT, GLOBAL
from runtime_math.calibrated.sights import ContextSight, LearningWeights
from runtime_math.calibrated.streams import feed_context, learn_contexts, remember_context
from runtime_math.numerics.compilation import jitted

CONTENTION_TOLERANCE_OCTAVES = 1.0

# The share of the learning rate that a load still has during an alarm, and from when it is more:
# a lasting change of load becomes normal, a lasting attack does not.
ALARM_LEARNING = 1.0 / 32.0
LASTING_ALARM_CALLS = 2048
LASTING_LEARNING = 0.5
LEVEL_LEARNING = 0.25


@jitted
def learning_weights(state, family):
    """Weights with which rates, loads and levels of a family are learnt at present."""
    common = state.alarms[GLOBAL]
    own = state.alarms[family]
    if not (common.active or own.active) or state.observations <= state.warm_until:
        return LearningWeights(1.0, 1.0, 1.0)
    raised = common.raised_call if common.active else own.raised_call
    lasting = state.observations - raised > LASTING_ALARM_CALLS
    return LearningWeights(0.0, LASTING_LEARNING if lasting else ALARM_LEARNING, LEVEL_LEARNING)


@jitted
def absorb_context(state, mode, context):
    """Take in the context of a call; returns the p-value of its size."""
    family = context.family
    octaves = math.log2(np.float64(context.contention_hint) + 1.0)
    over_level = octaves - state.contention_level.level
    tested = contention_bin(over_level - CONTENTION_TOLERANCE_OCTAVES)
    contention_p = tail_histogram.p_value(state.contention, tested, lottery.draw(state.lottery))
    size = bytes_bin(context.requested_bytes)
    bytes_p = tail_histogram.p_value(state.bytes[family], size, lottery.draw(state.lottery))
    new_page = page_novelty.observe(state.pages, context.addr_hint)
    sight = ContextSight(
        family,
        context.addr_hint,
        context.requested_bytes,
        context.is_write,
        context.contention_hint,
        context.bloom_negative,
        new_page,
        context.bloom_negative and new_page,
        context.requested_bytes >= BYTE_LIMIT[mode] // np.uint64(2),
        over_level,
        contention_p,
        size,
        bytes_p,
        state.previous_family,
    )
    # A family in an alarm of its own is kept out of the streams that all share.
    feed_context(state, sight, not state.alarms[family].active or state.alarms[GLOBAL].active)
    payload = remember_context(state, sight)
    released = quarantine_queue.push(state.contexts, family, payload)
    if released != quarantine_queue.VOID:
        weights = learning_weights(state, released)
        learn_contexts(state, released, state.contexts.released, weights)
    state.previous_family = family
    return bytes_p
