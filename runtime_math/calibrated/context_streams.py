"""Detectors that are fed before a call is validated: addresses, sizes, contention, order."""

import math

import numpy as np

from runtime_math.calibrated import ladder, level, rate_stream, tail_histogram, transition_order
from runtime_math.calibrated.assembly import nothing
from runtime_math.calibrated.detector import Detector, lightening, restarting
from runtime_math.calibrated.rate_detector import Kind
from runtime_math.calibrated.sights import ZERO, Moment
from runtime_math.numerics.bits import float64_bits
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT

CONTENTION_MEMORY = 128.0
CONTENTION_BINS = 128
CONTENTION_BINS_PER_OCTAVE = 4.0
CONTENTION_ORIGIN = CONTENTION_BINS // 2
CONTENTION_HISTOGRAM = tail_histogram.histogram_state(CONTENTION_BINS)

BYTES_BINS = 128
BYTES_HISTOGRAM = tail_histogram.histogram_state(BYTES_BINS)
QUARTER_OCTAVE_SHIFT = np.uint64(50)
QUARTER_OCTAVE_ORIGIN = 1023 << 2

# Times a family must have been learnt before its place in the order counts.
KNOWN_FAMILY = 120.0

# Layout of a context in the quarantine queue.
HINT_MASK = np.uint64(0xFFFF)
BYTES_SHIFT = np.uint64(16)
FAMILY_SHIFT = np.uint64(24)
BLOOM_BIT = 1 << 32
NOVEL_BIT = 1 << 33
HUGE_BIT = 1 << 34
ORDER_BIT = np.uint64(1 << 35)
CONTENTION_SHIFT = np.uint64(36)
BYTE_MASK = np.uint64(0xFF)


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


# --- unknown addresses, new pages, both at once, huge requests ------------------------------------


BLOOM = rate_stream.context_detector(
    "bloom",
    "bloom_negative",
    reads=BLOOM_BIT,
    bits=BLOOM_BIT,
    prior=(0.01, 100.0),
    kind=Kind.SINGLE,
)
NOVEL_PAGE = rate_stream.context_detector(
    "novel",
    "new_page",
    reads=NOVEL_BIT,
    bits=NOVEL_BIT,
    prior=(0.05, 100.0),
    kind=Kind.SINGLE,
)
STRAY_ADDRESS = rate_stream.context_detector(
    "stray",
    "stray",
    reads=BLOOM_BIT | NOVEL_BIT,
    bits=0,
    prior=(0.001, 100.0),
    kind=Kind.SINGLE,
)
HUGE_REQUEST = rate_stream.context_detector(
    "huge",
    "huge",
    reads=HUGE_BIT,
    bits=HUGE_BIT,
    prior=(0.0005, 10.0),
    kind=Kind.RARE,
)

# --- contention -----------------------------------------------------------------------------------


@jitted
def _start_contention(state):
    level.init(state.contention_level, CONTENTION_MEMORY)
    tail_histogram.init(state.contention)


@jitted
def _step_contention(state, sight):
    trials = tail_histogram.count(state.contention)
    p = tail_histogram.cautious(sight.contention_p, trials)
    return ladder.observe(state.contention_ladder, p, trials)


@jitted
def _remember_contention(state, sight):
    # The bin that is tested is the one that is learnt, but for the tolerance.
    index = np.uint64(contention_bin(sight.contention_over_level))
    return np.uint64(sight.contention_hint) | (index << CONTENTION_SHIFT)


@jitted
def _learn_contention(state, family, payload, weights):
    octaves = math.log2(np.float64(payload & HINT_MASK) + 1.0)
    index = np.int64((payload >> CONTENTION_SHIFT) & BYTE_MASK)
    tail_histogram.learn(state.contention, index, weights.load)
    level.learn(state.contention_level, octaves, weights.level)


@jitted
def _lighten_contention(state, factor):
    state.contention.unit *= factor
    state.contention_level.count = 1.0


CONTENTION = Detector(
    moment=Moment.CONTEXT,
    fields=(
        ("contention_level", level.STATE),
        ("contention", CONTENTION_HISTOGRAM),
        ("contention_ladder", ladder.STATE),
    ),
    start=_start_contention,
    restart=restarting("contention_ladder", ladder.init),
    step=_step_contention,
    remember=_remember_contention,
    bits=int(HINT_MASK | BYTE_MASK << CONTENTION_SHIFT),
    learn=_learn_contention,
    lighten=_lighten_contention,
    accept=nothing,
)

# --- sizes ----------------------------------------------------------------------------------------


@jitted
def _start_bytes(state):
    for family in range(FAMILY_COUNT):
        tail_histogram.init(state.bytes[family])


@jitted
def _step_bytes(state, sight):
    trials = tail_histogram.count(state.bytes[sight.family])
    p = tail_histogram.cautious(sight.bytes_p, trials)
    return ladder.observe(state.bytes_ladder, p, trials)


@jitted
def _remember_bytes(state, sight):
    return np.uint64(sight.bytes_bin) << BYTES_SHIFT


@jitted
def _learn_bytes(state, family, payload, weights):
    index = np.int64((payload >> BYTES_SHIFT) & BYTE_MASK)
    tail_histogram.learn(state.bytes[family], index, weights.load)


@jitted
def _accept_bytes(state, family, factor):
    state.bytes[family].unit *= factor


BYTES = Detector(
    moment=Moment.CONTEXT,
    fields=(("bytes", BYTES_HISTOGRAM, (FAMILY_COUNT,)), ("bytes_ladder", ladder.STATE)),
    start=_start_bytes,
    restart=restarting("bytes_ladder", ladder.init),
    step=_step_bytes,
    remember=_remember_bytes,
    bits=int(BYTE_MASK << BYTES_SHIFT),
    learn=_learn_bytes,
    lighten=nothing,
    accept=_accept_bytes,
)

# --- order of the families ------------------------------------------------------------------------


@jitted
def _start_family_order(state):
    transition_order.init(state.family_order, FAMILY_COUNT, 1.0 / 64.0, 1.5, KNOWN_FAMILY)


@jitted
def _step_family_order(state, sight):
    if sight.previous_family < 0:
        return transition_order.value(state.family_order)
    return transition_order.observe(state.family_order, sight.previous_family, sight.family)


@jitted
def _remember_family_order(state, sight):
    if sight.previous_family < 0:
        return ZERO
    return (np.uint64(sight.previous_family) << FAMILY_SHIFT) | ORDER_BIT


@jitted
def _learn_family_order(state, family, payload, weights):
    if (payload & ORDER_BIT) != ZERO:
        row = np.int64((payload >> FAMILY_SHIFT) & BYTE_MASK)
        transition_order.learn(state.family_order, row, family, weights.load)


FAMILY_ORDER = Detector(
    moment=Moment.CONTEXT,
    fields=(("family_order", transition_order.STATE),),
    start=_start_family_order,
    restart=restarting("family_order", transition_order.forget),
    step=_step_family_order,
    remember=_remember_family_order,
    bits=int(BYTE_MASK << FAMILY_SHIFT | ORDER_BIT),
    learn=_learn_family_order,
    lighten=lightening("family_order"),
    accept=nothing,
)
