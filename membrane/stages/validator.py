"""What is this address, and may it be used?

The stages (see `membrane.stages.seven_stages`) run until one of them ends the validation. The
kernel learns in which order they end it soonest, decides how much an unknown address deserves, and
hears how every validation ended.

The reference's rules classify some unsafe addresses as harmless (see the table in the
documentation); the repaired rules ask the arena about every address, compare what the fingerprint
and canary stages only counted, trust a cached result only while its block's epoch is unchanged,
and report unsafe addresses to the kernel as adverse.
"""

import numpy as np

from membrane.blocks.lattice import INVALID, UNKNOWN
from membrane.blocks.slots import NO_SLOT
from membrane.stages import kernel_link, metrics, tls_cache
from membrane.stages.outcomes import (
    ADVERSE,
    BYPASSED,
    CACHED_VALID,
    NULL,
    ONE_PAST_END,
    VALIDATED,
    WILD,
    WITHOUT_BLOCK,
    Validation,
)
from membrane.stages.seven_stages import GO_ON, NULL_STAGE, decide, found_slot, run
from membrane.stages.stage_order import STAGE_COUNT, ask_order, stage_at
from membrane.tables.words import LARGEST_WORD, ZERO
from runtime_math.decision import profile_of
from runtime_math.numerics.compilation import jitted
from runtime_math.types import SafetyLevel, ValidationProfile

NO_POSITION = -1
FAST, FULL = map(int, ValidationProfile)
OFF = int(SafetyLevel.OFF)


@jitted
def validate(state, cache, address):
    """Classify an address, and let the kernel learn from it.

    Parameters
    ----------
    state : record of dtype `membrane.stages.state.STATE`
    cache : record of dtype `tls_cache.STATE`
        The calling thread's.
    address : uint64

    Returns
    -------
    Validation
    """
    metrics.increment(state.metrics, metrics.VALIDATIONS)
    _begin(state.trace)
    if state.mode == OFF:
        return _without_block(BYPASSED, address)
    outcome = run(NULL_STAGE, state, cache, address)
    position = NO_POSITION
    if outcome == GO_ON:
        outcome, position = _run_in_order(state, cache, address)
    if outcome == GO_ON:
        # No stage objects: the address belongs to a live block.
        outcome = VALIDATED
        state.trace.profile = profile_of(decide(state, address))
        _remember(state, cache, address)
    _report(state, outcome, position)
    return _result(state, cache, outcome, address)


@jitted
def _begin(trace):
    trace.slot = NO_SLOT
    trace.bloom_negative = False
    trace.decision_count = 0
    trace.asked = False
    trace.profile = FAST
    trace.cost_ns = ZERO


@jitted
def _run_in_order(state, cache, address):
    """Run the stages after the first in the kernel's order; returns (outcome, position)."""
    order = ask_order(state, address)
    for position in range(1, STAGE_COUNT):
        outcome = run(stage_at(order, position), state, cache, address)
        if outcome != GO_ON:
            return outcome, position
    return GO_ON, NO_POSITION


@jitted
def _remember(state, cache, address):
    """Enter a validated address in the thread's cache."""
    slot = found_slot(state)
    number = tls_cache.insert(
        cache,
        address,
        slot.user_base,
        slot.user_size,
        np.int64(slot.generation),
        np.int64(slot.state),
    )
    cache.entries[number].epoch = slot.epoch
    cache.entries[number].slot = state.trace.slot


@jitted
def _report(state, outcome, position):
    """Tell the kernel how the validation ended, and at which position of the order."""
    trace = state.trace
    trace.exit_position = position
    trace.adverse = outcome in ADVERSE
    if trace.adverse or outcome == ONE_PAST_END:
        trace.profile = FULL
    if trace.asked:
        kernel_link.note_check_order(
            state.link, trace.aligned, trace.recent_page, trace.safe_ordering, position
        )
    kernel_link.observe(state.link, trace.profile, trace.cost_ns, trace.adverse)


@jitted
def _result(state, cache, outcome, address):
    if outcome in WITHOUT_BLOCK:
        return _without_block(outcome, address)
    if outcome == CACHED_VALID and not state.arena.repaired:
        return _as_cached(cache, address)
    return _described(found_slot(state), outcome, address)


@jitted
def _without_block(outcome, address):
    known = INVALID if outcome in (NULL, WILD) else UNKNOWN
    return Validation(outcome, address, known, ZERO, ZERO, 0)


@jitted
def _as_cached(cache, address):
    """Result for an address that is in the thread's cache, true or not by now."""
    entry = cache.entries[tls_cache.index(address)]
    offset = address - entry.user_base if address > entry.user_base else ZERO
    rest = entry.user_size - offset if entry.user_size > offset else ZERO
    return Validation(
        CACHED_VALID,
        address,
        np.int64(entry.state),
        entry.user_base,
        rest,
        np.int64(entry.generation),
    )


@jitted
def _described(slot, outcome, address):
    """Result for an address of a known block."""
    end = slot.user_base + slot.user_size
    if end < slot.user_base:
        end = LARGEST_WORD
    rest = end - address if slot.user_base <= address < end else ZERO
    return Validation(
        outcome,
        address,
        np.int64(slot.state),
        slot.user_base,
        rest,
        np.int64(slot.generation),
    )
