"""Detectors of adverse outcomes, of their spacing, and of inconsistent overlaps."""

import numpy as np

from runtime_math.calibrated import family_rates, rate_detector, rate_stream, transition_order
from runtime_math.calibrated.assembly import nothing
from runtime_math.calibrated.detector import Detector, lightening, restarting
from runtime_math.calibrated.sights import ZERO, Moment
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT

SINGLE = int(rate_detector.Kind.SINGLE)
POOLED = int(rate_detector.Kind.POOLED)
FAULT_KIND = int(rate_detector.Kind.FAULT)

FAMILY_MARGIN = 1.5
# What an operator vouches for counts as so many outcomes, and sets a ceiling.
ACCEPTED_TRIALS = 64.0
LARGEST_CEILING = 0.9
CEILING_FACTOR = 2.0

GAP_SYMBOLS = 8

# Layout of an outcome in the quarantine queue, beside what `sights` and `cost_streams` have there.
ADVERSE_BIT = np.uint64(1 << 31)
GAP_SHIFT = np.uint64(37)
GAP_MASK = np.uint64(0xF)
CONSISTENT_SHIFT = np.uint64(41)
INCONSISTENT_SHIFT = np.uint64(45)
OVERLAP_MASK = np.uint64(0x7)
PENDING_LIMIT = 7

# --- adverse outcomes, of one family and over all -------------------------------------------------


@jitted
def _set_family_ratios(state):
    """Judge every family by its present bound."""
    for family in range(FAMILY_COUNT):
        rate_detector.set_ratios(state.family_ratios[family], state.rates.bound[family], SINGLE)


@jitted
def _start_rates(state):
    family_rates.init(state.rates, FAMILY_MARGIN, state.adverse_ceiling)
    _set_family_ratios(state)


@jitted
def _step_family_adverse(state, sight):
    evidence = state.family_adverse[sight.family]
    return rate_detector.step(evidence, state.family_ratios[sight.family], sight.adverse, SINGLE)


@jitted
def _step_adverse(state, sight):
    ratios = state.family_ratios[sight.family]
    return rate_detector.step(state.adverse, ratios, sight.adverse, POOLED)


@jitted
def _remember_adverse(state, sight):
    return ADVERSE_BIT if sight.adverse else ZERO


@jitted
def _learn_rates(state, family, payload, weights):
    if weights.rate > 0.0:
        adverse = (payload & ADVERSE_BIT) != ZERO
        if family_rates.learn(state.rates, family, adverse, weights.rate):
            _set_family_ratios(state)


@jitted
def _accept_rate(state, family, factor):
    recent = state.recent_adverse[family]
    ceiling = min(CEILING_FACTOR * recent, LARGEST_CEILING)
    family_rates.accept(state.rates, family, recent, ACCEPTED_TRIALS, ceiling)
    _set_family_ratios(state)


@jitted
def _focus_on_family(state, slot):
    return rate_detector.strongest(state.family_adverse[slot])


@jitted
def _focused_on_family(state, slot, focus):
    return state.family_adverse[slot].levels[focus]


@jitted
def _focus(state, slot):
    return rate_detector.strongest(state.adverse)


@jitted
def _focused(state, slot, focus):
    return state.adverse.levels[focus]


ADVERSE = Detector(
    moment=Moment.OUTCOME,
    fields=(
        ("rates", family_rates.STATE),
        ("adverse", rate_detector.EVIDENCE),
        ("family_ratios", rate_detector.RATIOS, (FAMILY_COUNT,)),
    ),
    start=_start_rates,
    restart=restarting("adverse", rate_detector.restart),
    step=_step_adverse,
    remember=_remember_adverse,
    bits=int(ADVERSE_BIT),
    learn=_learn_rates,
    lighten=nothing,
    accept=_accept_rate,
    focus=_focus,
    focused=_focused,
)
# Judged by the rates that the stream of all families learns.
FAMILY_ADVERSE = Detector(
    moment=Moment.OUTCOME,
    fields=(("family_adverse", rate_detector.EVIDENCE, (FAMILY_COUNT,)),),
    start=nothing,
    restart=restarting("family_adverse", rate_detector.restart, per_family=True),
    step=_step_family_adverse,
    remember=nothing,
    bits=0,
    learn=nothing,
    lighten=nothing,
    accept=nothing,
    per_family=True,
    focus=_focus_on_family,
    focused=_focused_on_family,
)

# --- spacing of the adverse outcomes --------------------------------------------------------------


@jitted
def _start_gap(state):
    known = transition_order.KNOWN_COUNT
    transition_order.init(state.adverse_gap, GAP_SYMBOLS, 1.0 / 16.0, 1.5, known)


@jitted
def _step_gap(state, sight):
    return transition_order.observe(state.adverse_gap, 0, sight.gap)


@jitted
def _remember_gap(state, sight):
    return np.uint64(sight.gap + 1) << GAP_SHIFT


@jitted
def _learn_gap(state, family, payload, weights):
    gap = np.int64((payload >> GAP_SHIFT) & GAP_MASK)
    if gap > 0 and weights.rate > 0.0:
        transition_order.learn(state.adverse_gap, 0, gap - 1, weights.rate)


ADVERSE_GAP = Detector(
    moment=Moment.ADVERSE,
    fields=(("adverse_gap", transition_order.STATE),),
    start=_start_gap,
    restart=restarting("adverse_gap", transition_order.forget),
    step=_step_gap,
    remember=_remember_gap,
    bits=int(GAP_MASK << GAP_SHIFT),
    learn=_learn_gap,
    lighten=lightening("adverse_gap"),
    accept=nothing,
)

# --- inconsistent overlaps ------------------------------------------------------------------------


@jitted
def _step_fault(state, sight):
    if sight.consistent:
        state.pending_consistent = min(state.pending_consistent + 1, PENDING_LIMIT)
    else:
        state.pending_inconsistent = min(state.pending_inconsistent + 1, PENDING_LIMIT)
    stream = state.fault
    return rate_detector.step(stream.evidence, stream.ratios, not sight.consistent, FAULT_KIND)


@jitted
def _remember_faults(state, sight):
    payload = np.uint64(state.pending_consistent) << CONSISTENT_SHIFT
    payload |= np.uint64(state.pending_inconsistent) << INCONSISTENT_SHIFT
    state.pending_consistent = 0
    state.pending_inconsistent = 0
    return payload


@jitted
def _learn_faults(state, family, payload, weights):
    if weights.rate > 0.0:
        for _ in range(np.int64((payload >> CONSISTENT_SHIFT) & OVERLAP_MASK)):
            rate_stream.learn(state.fault, False, weights.rate, FAULT_KIND)
        for _ in range(np.int64((payload >> INCONSISTENT_SHIFT) & OVERLAP_MASK)):
            rate_stream.learn(state.fault, True, weights.rate, FAULT_KIND)


FAULT = Detector(
    moment=Moment.OVERLAP,
    step=_step_fault,
    remember=_remember_faults,
    bits=int(OVERLAP_MASK << CONSISTENT_SHIFT | OVERLAP_MASK << INCONSISTENT_SHIFT),
    learn=_learn_faults,
    **rate_stream.common_parts("fault", (0.0005, 1000.0), FAULT_KIND),
)
