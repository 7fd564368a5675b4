"""What a call shows before it is validated, turned into evidence: the half that `decide` feeds."""

import math

import numpy as np

from runtime_math.calibrated import (
    ladder,
    learnt_rate,
    level,
    lottery,
    page_novelty,
    quarantine_queue,
    rate_detector,
    tail_histogram,
    transition_order,
)
from runtime_math.calibrated.policy_state import (
    BYTE_LIMIT,
    BYTES_BINS,
    CONTENTION_BINS,
    GLOBAL,
    RARE,
    SINGLE,
)
from runtime_math.calibrated.streams import WEIGHTS, Stream
from runtime_math.numerics.bits import float64_bits
from runtime_math.numerics.compilation import jitted

BLOOM = int(Stream.BLOOM)
NOVEL_PAGE = int(Stream.NOVEL_PAGE)
STRAY_ADDRESS = int(Stream.STRAY_ADDRESS)
HUGE_REQUEST = int(Stream.HUGE_REQUEST)
CONTENTION = int(Stream.CONTENTION)
BYTES = int(Stream.BYTES)
FAMILY_ORDER = int(Stream.FAMILY_ORDER)

CONTENTION_BINS_PER_OCTAVE = 4.0
CONTENTION_TOLERANCE_OCTAVES = 1.0
CONTENTION_ORIGIN = CONTENTION_BINS // 2
QUARTER_OCTAVE_SHIFT = np.uint64(50)
QUARTER_OCTAVE_ORIGIN = 1023 << 2

# The share of the learning rate that a load still has during an alarm, and from when it is more:
# a lasting change of load becomes normal, a lasting attack does not.
ALARM_LEARNING = 1.0 / 32.0
LASTING_ALARM_CALLS = 2048
LASTING_LEARNING = 0.5
LEVEL_LEARNING = 0.25

# Layout of a context in the quarantine queue.
BYTES_SHIFT = np.uint64(16)
FAMILY_SHIFT = np.uint64(24)
BLOOM_BIT = np.uint64(1 << 32)
NOVEL_BIT = np.uint64(1 << 33)
HUGE_BIT = np.uint64(1 << 34)
ORDER_BIT = np.uint64(1 << 35)
CONTENTION_SHIFT = np.uint64(36)
WORD_MASK = np.uint64(0xFFFF)
BYTE_MASK = np.uint64(0xFF)
ZERO = np.uint64(0)


@jitted
def bytes_bin(requested_bytes):
    """Bin of a size: four to the octave, split evenly, read off the bits of a float."""
    bits = float64_bits(np.float64(requested_bytes) + 1.0)
    return min(np.int64(bits >> QUARTER_OCTAVE_SHIFT) - QUARTER_OCTAVE_ORIGIN, BYTES_BINS - 1)


@jitted
def contention_bin(octaves_over_level):
    """Bin of a contention hint, relative to its level."""
    index = math.floor(octaves_over_level * CONTENTION_BINS_PER_OCTAVE) + CONTENTION_ORIGIN
    return np.int64(min(max(index, 0), CONTENTION_BINS - 1))


@jitted
def learning_weights(state, family):
    """Weights with which rates, loads and levels of a family are learnt at present."""
    common = state.alarms[GLOBAL]
    own = state.alarms[family]
    if not (common.active or own.active) or state.observations <= state.warm_until:
        return 1.0, 1.0, 1.0
    raised = common.raised_call if common.active else own.raised_call
    lasting = state.observations - raised > LASTING_ALARM_CALLS
    return 0.0, LASTING_LEARNING if lasting else ALARM_LEARNING, LEVEL_LEARNING


@jitted
def learn_rate(stream, hit, weight, kind):
    """Learn one outcome of a Bernoulli stream and move its null when it is due."""
    if learnt_rate.learn(stream.learnt, hit, weight):
        rate_detector.set_ratios(stream.ratios, stream.learnt.bound, kind)


@jitted
def learn_context(state, family, payload):
    """Learn what left the quarantine of contexts."""
    rate_weight, load_weight, level_weight = learning_weights(state, family)
    octaves = math.log2(np.float64(payload & WORD_MASK) + 1.0)
    index = np.int64((payload >> CONTENTION_SHIFT) & BYTE_MASK)
    tail_histogram.learn(state.contention, index, load_weight)
    level.learn(state.contention_level, octaves, level_weight)
    size = np.int64((payload >> BYTES_SHIFT) & BYTE_MASK)
    tail_histogram.learn(state.bytes[family], size, load_weight)
    if (payload & ORDER_BIT) != ZERO:
        row = np.int64((payload >> FAMILY_SHIFT) & BYTE_MASK)
        transition_order.learn(state.family_order, row, family, load_weight)
    if rate_weight > 0.0:
        unknown = (payload & BLOOM_BIT) != ZERO
        new = (payload & NOVEL_BIT) != ZERO
        learn_rate(state.bloom, unknown, rate_weight, SINGLE)
        learn_rate(state.novel, new, rate_weight, SINGLE)
        learn_rate(state.stray, unknown and new, rate_weight, SINGLE)
        learn_rate(state.huge, (payload & HUGE_BIT) != ZERO, rate_weight, RARE)


@jitted
def quarantine_context(state, context, over_level, size, new, huge):
    """Put a context into the queue and learn the one that leaves it."""
    payload = np.uint64(context.contention_hint) | (np.uint64(size) << BYTES_SHIFT)
    # The bin that is tested is the one that is learnt, but for the tolerance.
    payload |= np.uint64(contention_bin(over_level)) << CONTENTION_SHIFT
    if state.previous_family >= 0:
        payload |= (np.uint64(state.previous_family) << FAMILY_SHIFT) | ORDER_BIT
    if context.bloom_negative:
        payload |= BLOOM_BIT
    if new:
        payload |= NOVEL_BIT
    if huge:
        payload |= HUGE_BIT
    released = quarantine_queue.push(state.contexts, context.family, payload)
    if released != quarantine_queue.VOID:
        learn_context(state, released, state.contexts.released)


@jitted
def step_context(state, context, p_contention, p_bytes, new, huge):
    """Feed a context to the detectors."""
    family, bloom_negative = context.family, context.bloom_negative
    value = rate_detector.step(state.bloom.evidence, state.bloom.ratios, bloom_negative, SINGLE)
    state.evidence[BLOOM] = WEIGHTS[BLOOM] * value
    value = rate_detector.step(state.novel.evidence, state.novel.ratios, new, SINGLE)
    state.evidence[NOVEL_PAGE] = WEIGHTS[NOVEL_PAGE] * value
    stray = bloom_negative and new
    value = rate_detector.step(state.stray.evidence, state.stray.ratios, stray, SINGLE)
    state.evidence[STRAY_ADDRESS] = WEIGHTS[STRAY_ADDRESS] * value
    value = rate_detector.step(state.huge.evidence, state.huge.ratios, huge, RARE)
    state.evidence[HUGE_REQUEST] = WEIGHTS[HUGE_REQUEST] * value
    trials = tail_histogram.count(state.contention)
    p = tail_histogram.cautious(p_contention, trials)
    value = ladder.observe(state.contention_ladder, p, trials)
    state.evidence[CONTENTION] = WEIGHTS[CONTENTION] * value
    trials = tail_histogram.count(state.bytes[family])
    p = tail_histogram.cautious(p_bytes, trials)
    value = ladder.observe(state.bytes_ladder, p, trials)
    state.evidence[BYTES] = WEIGHTS[BYTES] * value
    if state.previous_family >= 0:
        value = transition_order.observe(state.family_order, state.previous_family, family)
        state.evidence[FAMILY_ORDER] = WEIGHTS[FAMILY_ORDER] * value


@jitted
def absorb_context(state, mode, context):
    """Take in the context of a call; returns the p-value of its size."""
    family = context.family
    octaves = math.log2(np.float64(context.contention_hint) + 1.0)
    over_level = octaves - state.contention_level.level
    tested = contention_bin(over_level - CONTENTION_TOLERANCE_OCTAVES)
    p_contention = tail_histogram.p_value(state.contention, tested, lottery.draw(state.lottery))
    size = bytes_bin(context.requested_bytes)
    p_bytes = tail_histogram.p_value(state.bytes[family], size, lottery.draw(state.lottery))
    new = page_novelty.observe(state.pages, context.addr_hint)
    huge = context.requested_bytes >= BYTE_LIMIT[mode] // np.uint64(2)
    # A family in an alarm of its own is kept out of the streams that all share.
    if not state.alarms[family].active or state.alarms[GLOBAL].active:
        step_context(state, context, p_contention, p_bytes, new, huge)
    quarantine_context(state, context, over_level, size, new, huge)
    state.previous_family = family
    return p_bytes
