"""What is this address, and may it be used? The pipeline of seven stages.

Null, thread cache, Bloom filter, arena, fingerprint, canary, bounds: each stage may end the
validation; the kernel learns in which order the stages end it soonest, decides how much an
unknown address deserves, and hears how every validation ended.

The reference's rules classify some unsafe addresses as harmless (see the table in the
documentation); the repaired rules ask the arena about every address, compare what the fingerprint
and canary stages only counted, trust a cached result only while its block's epoch is unchanged,
and report unsafe addresses to the kernel as adverse.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from membrane import (
    arena,
    blocks,
    bloom,
    foreign,
    heal,
    kernel_link,
    metrics,
    page_oracle,
    tls_cache,
)
from membrane.blocks import NO_SLOT
from runtime_math.decision import profile_of, requires_full
from runtime_math.numerics.compilation import jitted

STAGE_COUNT = 7
NO_EXIT = -1
POINTER_VALIDATION = 0
HARDENED = 1
OFF = 2
ZERO = np.uint64(0)
ONE = np.uint64(1)
ALIGNMENT_MASK = np.uint64(7)
MAX = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
PAGE_CHECK_NS = np.uint64(6)
COST_NS = np.array([1, 5, 10, 30, 20, 10, 5], np.uint64)


class Outcome(IntEnum):
    """What an address is. The codes from 6 on appear under the repaired rules only."""

    NULL = 0
    CACHED_VALID = 1
    VALIDATED = 2
    FOREIGN = 3
    TEMPORAL_VIOLATION = 4
    BYPASSED = 5
    ONE_PAST_END = 6
    OUT_OF_BOUNDS = 7
    RELEASED = 8
    CORRUPTED = 9
    WILD = 10


class Validation(NamedTuple):
    """Result of a validation as plain numbers.

    `base`, `remaining` and `generation` mean something for the outcomes 1, 2, 4 and 6 to 9 only.
    """

    outcome: int
    address: int
    state: int
    base: int
    remaining: int
    generation: int


# The kernel calls of the latest validation, for reports and tests.
TRACE = np.dtype(
    [
        ("ordering", np.int64),
        ("safe_ordering", np.int64),
        ("exit_position", np.int64),
        ("decisions", np.int64, (2,)),
        ("decision_negative", np.uint8, (2,)),
        ("decision_count", np.int64),
        ("profile", np.int64),
        ("cost_ns", np.uint64),
        ("adverse", np.bool_),
        ("aligned", np.bool_),
        ("recent_page", np.bool_),
        ("asked", np.bool_),
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("mode", np.int64),
        ("link", kernel_link.LINK),
        ("trace", TRACE),
        ("order_seen", np.int64),
        ("order_safe", np.int64),
        ("foreign", foreign.STATE),
        ("metrics", metrics.STATE),
        ("healing", heal.STATE),
        ("pages", page_oracle.STATE),
        ("bloom", bloom.STATE),
        ("arena", blocks.STATE),
    ],
    align=True,
)


@jitted
def safe_order(order):
    """Reorder stages so that each has what it needs: null, then those that find, then the rest.

    Orders are packed, four bits a stage, the first stage lowest.
    """
    safe = 0
    shift = 4
    for low, high in ((1, 3), (4, 6)):
        for position in range(STAGE_COUNT):
            stage = (order >> (4 * position)) & 15
            if low <= stage <= high:
                safe |= stage << shift
                shift += 4
    return safe


@jitted
def _decide(state, address, bloom_negative):
    packed = kernel_link.decide(
        state.link, state.mode, POINTER_VALIDATION, address, ZERO, False, bloom_negative
    )
    number = state.trace.decision_count
    state.trace.decisions[number] = packed
    state.trace.decision_negative[number] = np.uint8(bloom_negative)
    state.trace.decision_count = number + 1
    return packed


@jitted
def _ask_order(state, address):
    """Ask the kernel for the order of the stages; returns it in its safe form."""
    trace = state.trace
    trace.aligned = address & ALIGNMENT_MASK == ZERO
    trace.recent_page = page_oracle.query(state.pages, address)
    order = kernel_link.check_ordering(
        state.link, POINTER_VALIDATION, trace.aligned, trace.recent_page
    )
    if order != state.order_seen:
        state.order_seen = order
        state.order_safe = safe_order(order)
    trace.asked = True
    trace.ordering = order
    trace.safe_ordering = state.order_safe
    return state.order_safe


@jitted
def _report(state, position, profile, cost_ns, adverse):
    """Tell the kernel how the validation ended."""
    trace = state.trace
    trace.exit_position = position
    trace.profile = profile
    trace.cost_ns = cost_ns
    trace.adverse = adverse
    if trace.asked:
        kernel_link.note_check_order(
            state.link,
            POINTER_VALIDATION,
            trace.aligned,
            trace.recent_page,
            trace.safe_ordering,
            position,
        )
    kernel_link.observe(state.link, POINTER_VALIDATION, profile, cost_ns, adverse)


@jitted
def _bare(outcome, address, region_state):
    return Validation(outcome, address, region_state, ZERO, ZERO, 0)


@jitted
def _described(state, outcome, address, identity):
    """Build the result for an address of a known block."""
    slot = blocks.slot_at(blocks.slot_address(state.arena, identity))
    end = slot.user_base + slot.user_size
    if end < slot.user_base:
        end = MAX
    rest = ZERO
    if slot.user_base <= address < end:
        rest = end - address
    return Validation(
        outcome,
        address,
        np.int64(slot.state),
        slot.user_base,
        rest,
        np.int64(slot.generation),
    )


@jitted
def _remember(state, cache, address, identity):
    """Enter a validated address in the thread's cache."""
    slot = blocks.slot_at(blocks.slot_address(state.arena, identity))
    number = tls_cache.insert(
        cache,
        address,
        slot.user_base,
        slot.user_size,
        np.int64(slot.generation),
        np.int64(slot.state),
    )
    cache.entries[number].epoch = slot.epoch
    cache.entries[number].slot = identity


@jitted
def _conclude(state, cache, address, identity, bloom_negative, cost_ns):
    """End of a validation that no stage ended: the address belongs to a live block."""
    packed = _decide(state, address, bloom_negative)
    _remember(state, cache, address, identity)
    _report(state, NO_EXIT, profile_of(packed), cost_ns, False)
    return _described(state, 2, address, identity)


@jitted
def _cached(cache, address):
    """Look an address up in the thread's cache; returns (found, result under reference rules)."""
    found, base, size, generation, region_state = tls_cache.lookup(cache, address)
    offset = address - base if address > base else ZERO
    rest = size - offset if size > offset else ZERO
    return found, Validation(1, address, region_state, base, rest, generation)


@jitted
def _bloom_exit(state, address, cost_ns):
    """Decide on an address the filter does not know; returns (exit, profile, cost)."""
    packed = _decide(state, address, True)
    profile = profile_of(packed)
    if not requires_full(packed) and state.mode != HARDENED:
        return True, profile, cost_ns
    if not state.trace.recent_page:
        return True, profile, cost_ns + PAGE_CHECK_NS
    return False, profile, cost_ns


@jitted
def _validate_reference(state, cache, address, order):
    """Stages under the reference rules."""
    cost_ns = COST_NS[0]
    identity = NO_SLOT
    bloom_negative = False
    for position in range(STAGE_COUNT):
        stage = (order >> (4 * position)) & 15
        if stage == 1:
            cost_ns += COST_NS[1]
            found, cached = _cached(cache, address)
            metrics.increment(state.metrics, 1 if found else 2)
            if found:
                _report(state, position, 0, cost_ns, False)
                return cached
        elif stage == 2 and identity == NO_SLOT:
            cost_ns += COST_NS[2]
            bloom_negative = not bloom.might_contain(state.bloom, address)
            metrics.increment(state.metrics, 4 if bloom_negative else 3)
            if bloom_negative:
                leaves, profile, cost_ns = _bloom_exit(state, address, cost_ns)
                if leaves:
                    _report(state, position, profile, cost_ns, False)
                    return _bare(3, address, 0)
        elif stage == 3:
            cost_ns += COST_NS[3]
            metrics.increment(state.metrics, 5)
            identity = arena.lookup(state.arena, address)
            if identity == NO_SLOT:
                _report(state, position, 0, cost_ns, False)
                return _bare(3, address, 0)
            result = _described(state, 4, address, identity)
            if result.state < 4:
                _report(state, position, 1, cost_ns, True)
                return result
        elif stage >= 4 and identity != NO_SLOT:
            cost_ns += COST_NS[stage]
            if stage < 6:
                metrics.increment(state.metrics, 6 if stage == 4 else 8)
    return _conclude(state, cache, address, identity, bloom_negative, cost_ns)


@jitted
def _outside(state, position, address, profile, cost_ns):
    """End of a validation of an address that no block of ours ever covered."""
    wild = not foreign.was_mapped(state.foreign, address)
    _report(state, position, 1 if wild else profile, cost_ns, wild)
    return _bare(10 if wild else 3, address, 1 if wild else 0)


@jitted
def _fault(state, position, outcome, address, identity, cost_ns):
    """End of a validation of an address of ours that must not be used."""
    _report(state, position, 1, cost_ns, outcome != 6)
    return _described(state, outcome, address, identity)


@jitted
def _still_cached(state, cache, address):
    """Return the slot of a cached address if its block has not changed since, or `NO_SLOT`."""
    if tls_cache.holds(cache, address):
        entry = cache.entries[tls_cache.index(address)]
        slot = blocks.slot_at(blocks.slot_address(state.arena, entry.slot))
        if slot.epoch == entry.epoch and slot.state == np.uint8(6):
            cache.hits += ONE
            return entry.slot
        entry.filled = False
    cache.misses += ONE
    return NO_SLOT


@jitted
def _fault_code(state, identity, place):
    """Return the outcome for a located address, 0 when it is inside a live block."""
    slot = blocks.slot_at(blocks.slot_address(state.arena, identity))
    if slot.state == np.uint8(2):
        return 8
    if slot.state == np.uint8(3):
        return 4
    if place <= 2:
        return 0
    return 6 if place == 3 else 7


@jitted
def _guards_intact(state, identity, stage):
    """Compare the header (stage 4) or the canary (stage 5) of a block, and count the result."""
    slot = blocks.slot_at(blocks.slot_address(state.arena, identity))
    if stage == 4:
        intact = arena.header_intact(state.arena, slot)
        metrics.increment(state.metrics, 6 if intact else 7)
    else:
        intact = arena.canary_intact(state.arena, slot)
        metrics.increment(state.metrics, 8 if intact else 9)
    return intact


@jitted
def _cache_stage(state, cache, position, address, identity, cost_ns):
    """End a validation at the cache stage: the block is still there, but are its guards?"""
    if not (_guards_intact(state, identity, 4) and _guards_intact(state, identity, 5)):
        return _fault(state, position, 9, address, identity, cost_ns)
    _report(state, position, 0, cost_ns, False)
    return _described(state, 1, address, identity)


@jitted
def _validate_repaired(state, cache, address, order):
    """Stages under the repaired rules."""
    cost_ns = COST_NS[0]
    identity = NO_SLOT
    bloom_negative = False
    for position in range(STAGE_COUNT):
        stage = (order >> (4 * position)) & 15
        if stage == 1 and identity == NO_SLOT:
            cost_ns += COST_NS[1]
            cached = _still_cached(state, cache, address)
            metrics.increment(state.metrics, 1 if cached != NO_SLOT else 2)
            if cached != NO_SLOT:
                return _cache_stage(state, cache, position, address, cached, cost_ns)
        elif stage == 2 and identity == NO_SLOT:
            cost_ns += COST_NS[2]
            bloom_negative = not bloom.might_contain(state.bloom, address)
            metrics.increment(state.metrics, 4 if bloom_negative else 3)
            if bloom_negative:
                _, profile, cost_ns = _bloom_exit(state, address, cost_ns)
                owner, _ = arena.locate(state.arena, address)
                if owner == NO_SLOT:
                    return _outside(state, position, address, profile, cost_ns)
        elif stage == 3:
            cost_ns += COST_NS[3]
            metrics.increment(state.metrics, 5)
            identity, place = arena.locate(state.arena, address)
            if identity == NO_SLOT:
                return _outside(state, position, address, 0, cost_ns)
            fault = _fault_code(state, identity, place)
            if fault != 0:
                return _fault(state, position, fault, address, identity, cost_ns)
        elif stage >= 4:
            cost_ns += COST_NS[stage]
            if stage < 6 and not _guards_intact(state, identity, stage):
                return _fault(state, position, 9, address, identity, cost_ns)
    return _conclude(state, cache, address, identity, bloom_negative, cost_ns)


@jitted
def validate(state, cache, address):
    """Classify an address, and let the kernel learn from it.

    Parameters
    ----------
    state : record of dtype `STATE`
    cache : record of dtype `tls_cache.STATE`
        The calling thread's.
    address : uint64

    Returns
    -------
    Validation
    """
    metrics.increment(state.metrics, 0)
    trace = state.trace
    trace.decision_count = 0
    trace.asked = False
    if state.mode == OFF:
        return _bare(5, address, 0)
    if address == ZERO:
        _report(state, NO_EXIT, 0, COST_NS[0], False)
        return _bare(0, address, 1)
    order = _ask_order(state, address)
    if state.arena.repaired:
        return _validate_repaired(state, cache, address, order)
    return _validate_reference(state, cache, address, order)


@jitted
def register_allocation(state, base, size):
    """Declare a range as ours: its base to the filter, its pages to the page oracle."""
    bloom.insert(state.bloom, base)
    page_oracle.insert(state.pages, base, size)


@jitted
def deregister_allocation(state, base, size):
    """Take a range out of the page oracle; the filter never forgets."""
    page_oracle.remove(state.pages, base, size)


@jitted
def allocate_aligned(state, size, align):
    """Return the user base of a new registered block, or 0."""
    address = arena.allocate_aligned(state.arena, size, align)
    if address != ZERO:
        register_allocation(state, address, size)
    return address


@jitted
def allocate(state, size):
    """Return the user base of a new registered block aligned to 16, or 0."""
    return allocate_aligned(state, size, arena.SMALLEST_ALIGN)


@jitted
def _deregister_drained(state):
    for number in range(state.arena.drained_count):
        entry = blocks.drained_at(state.arena.drained + np.uint64(number) * blocks.DRAINED_SIZE)
        deregister_allocation(state, entry.user_base, entry.user_size)


@jitted
def free(state, address):
    """Free the block at a base address; returns a `FreeResult` code."""
    result = arena.free(state.arena, address)
    _deregister_drained(state)
    return result


@jitted
def free_epoch(state, address, epoch):
    """Free the block at a base address only if it still has this epoch; else a double free."""
    result = arena.free_epoch(state.arena, address, epoch)
    _deregister_drained(state)
    return result


@jitted
def init(state, mode, page_size):
    """Start the parts that are not started on their own: pages and the memory of orders."""
    state.mode = mode
    state.order_seen = -1
    foreign.init(state.foreign, page_size)
    page_oracle.init(state.pages, not state.arena.repaired)


@jitted
def release(state):
    """Give all memory back: blocks in use or in quarantine, and all tables."""
    arena.release(state.arena)
    bloom.release(state.bloom)
    page_oracle.release(state.pages)
