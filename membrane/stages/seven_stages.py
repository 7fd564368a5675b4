"""The seven stages of a validation, in their default order, and the table that runs them.

A stage looks at an address, notes in the trace of the state what it has found, counts it, and
returns the `Outcome` with which the validation ends, or `GO_ON`. Where the rule sets differ, the
repaired rules come first:

===== =========== ===================================== ===========================================
stage             repaired                              reference
===== =========== ===================================== ===========================================
0     null        ends at the null pointer              the same
1     TLS cache   ends at a block that is unchanged     ends at any address it holds
2     Bloom       ends at an address of no block        ends unless pages and kernel speak for it
3     arena       ends at all but a live block's bytes  ends at no block, or at one that was freed
4     fingerprint ends at a header that was overwritten only counts
5     canary      ends at a canary that was overwritten only counts
6     bounds      the result carries them               the same
===== =========== ===================================== ===========================================
"""

import numpy as np

from membrane.blocks import block_guards, foreign, lookup
from membrane.blocks.lattice import FREED, QUARANTINED, VALID, is_live
from membrane.blocks.slots import NO_SLOT, slot_address, slot_at
from membrane.stages import kernel_link, metrics, tls_cache
from membrane.stages.metrics import increment
from membrane.stages.outcomes import (
    CACHED_VALID,
    CORRUPTED,
    FOREIGN,
    NULL,
    ONE_PAST_END,
    OUT_OF_BOUNDS,
    RELEASED,
    TEMPORAL_VIOLATION,
    WILD,
)
from membrane.tables import bloom
from membrane.tables.words import ONE, ZERO
from runtime_math.decision import profile_of, requires_full
from runtime_math.numerics.compilation import jitted
from runtime_math.types import CheckStage, SafetyLevel

GO_ON = -1
NULL_STAGE, TLS_CACHE, BLOOM, ARENA, FINGERPRINT, CANARY, BOUNDS = map(int, CheckStage)
# What a stage is taken to cost; the kernel hears the sum.
COST_NS = np.array([1, 5, 10, 30, 20, 10, 5], np.uint64)
PAGE_CHECK_NS = np.uint64(6)
HARDENED = int(SafetyLevel.HARDENED)


@jitted
def found_slot(state):
    """Return the slot of the block that the arena, or the cache, has found."""
    return slot_at(slot_address(state.arena, state.trace.slot))


@jitted
def null_stage(address):
    """Stage 0: the null pointer is nobody's."""
    return NULL if address == ZERO else GO_ON


@jitted
def cache_stage(state, cache, address):
    """Stage 1: has this thread validated the address before?

    The repaired rules want the block unchanged since, and its guards intact; the reference takes
    what the cache holds for the answer.
    """
    if not state.arena.repaired:
        found = tls_cache.lookup(cache, address)[0]
        increment(state.metrics, metrics.TLS_CACHE_HITS if found else metrics.TLS_CACHE_MISSES)
        return CACHED_VALID if found else GO_ON
    slot = _unchanged(state, cache, address)
    if slot == NO_SLOT:
        increment(state.metrics, metrics.TLS_CACHE_MISSES)
        return GO_ON
    increment(state.metrics, metrics.TLS_CACHE_HITS)
    state.trace.slot = slot
    outcome = fingerprint_stage(state)
    if outcome == GO_ON:
        outcome = canary_stage(state)
    return CACHED_VALID if outcome == GO_ON else outcome


@jitted
def _unchanged(state, cache, address):
    """Return the slot of a cached address if its block has not changed since, or `NO_SLOT`."""
    if tls_cache.holds(cache, address):
        entry = cache.entries[tls_cache.index(address)]
        slot = slot_at(slot_address(state.arena, entry.slot))
        if slot.epoch == entry.epoch and slot.state == VALID:
            cache.hits += ONE
            return entry.slot
        entry.filled = False
    cache.misses += ONE
    return NO_SLOT


@jitted
def bloom_stage(state, address):
    """Stage 2: can the address be a base at all, and how much does an unknown one deserve?

    The filter knows bases only. The repaired rules look for the block of an address that is none;
    the reference does so only if the kernel, or the mode, and the page oracle speak for it.
    """
    trace = state.trace
    trace.bloom_negative = not bloom.might_contain(state.bloom, address)
    if not trace.bloom_negative:
        increment(state.metrics, metrics.BLOOM_HITS)
        return GO_ON
    increment(state.metrics, metrics.BLOOM_MISSES)
    packed = decide(state, address)
    thorough = requires_full(packed) or state.mode == HARDENED
    if thorough and not trace.recent_page:
        trace.cost_ns += PAGE_CHECK_NS
    if state.arena.repaired:
        stays = lookup.locate(state.arena, address)[0] != NO_SLOT
    else:
        stays = thorough and trace.recent_page
    if stays:
        return GO_ON
    trace.profile = profile_of(packed)
    return _outside(state, address)


@jitted
def decide(state, address):
    """Ask the kernel how much an address deserves; returns a packed decision."""
    trace = state.trace
    packed = kernel_link.decide(state.link, state.mode, address, trace.bloom_negative)
    trace.decisions[trace.decision_count] = packed
    trace.decision_negative[trace.decision_count] = np.uint8(trace.bloom_negative)
    trace.decision_count += 1
    return packed


@jitted
def _outside(state, address):
    """Outcome for an address that no block of ours covers."""
    if state.arena.repaired and not foreign.was_mapped(state.foreign, address):
        return WILD
    return FOREIGN


@jitted
def arena_stage(state, address):
    """Stage 3: which block is around the address, and may it be used?

    The repaired rules tell the places of a block apart; for the reference there are only its bytes,
    and those of a released block are foreign.
    """
    increment(state.metrics, metrics.ARENA_LOOKUPS)
    if not state.arena.repaired:
        state.trace.slot = lookup.holding(state.arena, address)
        if state.trace.slot == NO_SLOT:
            return FOREIGN
        return GO_ON if is_live(found_slot(state).state) else TEMPORAL_VIOLATION
    state.trace.slot, place = lookup.locate(state.arena, address)
    if state.trace.slot == NO_SLOT:
        return _outside(state, address)
    block_state = found_slot(state).state
    if block_state == FREED:
        return RELEASED
    if block_state == QUARANTINED:
        return TEMPORAL_VIOLATION
    if place <= lookup.INTERIOR:
        return GO_ON
    return ONE_PAST_END if place == lookup.END else OUT_OF_BOUNDS


@jitted
def fingerprint_stage(state):
    """Stage 4: is the header in front of the block what was written there?"""
    if not state.arena.repaired or block_guards.header_intact(state.arena, found_slot(state)):
        increment(state.metrics, metrics.FINGERPRINT_PASSES)
        return GO_ON
    increment(state.metrics, metrics.FINGERPRINT_FAILURES)
    return CORRUPTED


@jitted
def canary_stage(state):
    """Stage 5: is the canary behind the block what was written there?"""
    if not state.arena.repaired or block_guards.canary_intact(state.arena, found_slot(state)):
        increment(state.metrics, metrics.CANARY_PASSES)
        return GO_ON
    increment(state.metrics, metrics.CANARY_FAILURES)
    return CORRUPTED


@jitted
def bounds_stage():
    """Stage 6: the arena has found the bounds, and the result carries them."""
    return GO_ON


@jitted
def _is_answered(state, stage):
    """Whether the arena has answered already what a stage asks.

    The reference looks into the cache all the same, and lets it overrule the arena.
    """
    if state.trace.slot == NO_SLOT:
        return False
    return stage == BLOOM or (stage == TLS_CACHE and state.arena.repaired)


@jitted
def run(stage, state, cache, address):
    """Run the stage of a code, unless it is answered; returns an outcome or `GO_ON`."""
    if _is_answered(state, stage):
        return GO_ON
    state.trace.cost_ns += COST_NS[stage]
    if stage == NULL_STAGE:
        return null_stage(address)
    if stage == TLS_CACHE:
        return cache_stage(state, cache, address)
    if stage == BLOOM:
        return bloom_stage(state, address)
    if stage == ARENA:
        return arena_stage(state, address)
    if stage == FINGERPRINT:
        return fingerprint_stage(state)
    if stage == CANARY:
        return canary_stage(state)
    return bounds_stage()
