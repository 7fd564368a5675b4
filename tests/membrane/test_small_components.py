"""States, abstraction, repairs, counters and cache: the laws they obey."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from membrane.blocks import lattice
from membrane.blocks.lattice import SafetyState
from membrane.stages import galois
from membrane.stages.heal import Healing, HealingPolicy
from membrane.stages.metrics import Counter, Metrics
from membrane.stages.tls_cache import ENTRY_COUNT, ValidationCache

words = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("combine", [lattice.join, lattice.meet])
def test_combinations_are_semilattices(combine):
    states = [int(state) for state in SafetyState]
    for a, b, c in itertools.product(states, repeat=3):
        assert combine(a, a) == a
        assert combine(a, b) == combine(b, a)
        assert combine(a, combine(b, c)) == combine(combine(a, b), c)


def test_absorption_ties_the_two_combinations_together():
    for a, b in itertools.product(map(int, SafetyState), repeat=2):
        assert lattice.join(a, lattice.meet(a, b)) == a
        assert lattice.meet(a, lattice.join(a, b)) == a


@given(words, st.sampled_from(SafetyState), st.none() | words, words)
def test_an_action_never_allows_more_than_asked_or_left(address, state, remaining, requested):
    facts = galois.abstract_pointer(address, state, 0, remaining, 1)
    action = galois.concretize(facts, requested)
    assert action.size <= requested
    live = state in (SafetyState.VALID, SafetyState.READABLE, SafetyState.WRITABLE)
    if live and remaining is not None:
        assert action.size <= remaining
    if address == 0 or state in (SafetyState.INVALID, SafetyState.FREED, SafetyState.QUARANTINED):
        assert action.kind == galois.ConcreteActionKind.DENY


@given(words, st.none() | words, st.none() | words)
def test_copy_repair_leaves_what_both_sides_have(requested, source, destination):
    plan = HealingPolicy().heal_copy_bounds(requested, source, destination)
    allowed = min(rest for rest in (requested, source, destination) if rest is not None)
    assert (plan.applied if plan.is_heal else requested) == allowed


@given(words, words)
def test_string_repair_leaves_room_for_the_terminator(length, rest):
    plan = HealingPolicy().heal_string_bounds(length, rest)
    kept = plan.applied if plan.is_heal else length
    assert kept < rest or (kept == 0 and rest == 0)
    assert kept == min(length, max(rest - 1, 0))


@given(st.lists(st.sampled_from(Healing)))
def test_repairs_add_up(kinds):
    policy = HealingPolicy()
    for kind in kinds:
        policy.note(kind)
    counters = policy.counters()
    assert counters["total"] == sum(kind != Healing.NONE for kind in kinds)
    assert counters["total"] == sum(counters.values()) - counters["total"]


def test_counters_wrap():
    metrics = Metrics()
    metrics.store(Counter.HEALS, 2**64 - 1)
    metrics.increment(Counter.HEALS)
    assert metrics.snapshot()["heals"] == 0


@given(st.lists(st.tuples(words, words, words), max_size=60))
def test_cache_remembers_the_last_of_each_page_slot(entries):
    cache = ValidationCache()
    model = {}
    for address, base, size in entries:
        cache.insert(address, base, size, 7, SafetyState.VALID)
        model[(address >> 12) % ENTRY_COUNT] = (address, base, size)
    for address, *_ in entries:
        found = cache.lookup(address)
        if model[(address >> 12) % ENTRY_COUNT][0] == address:
            assert found[:2] == model[(address >> 12) % ENTRY_COUNT][1:]
        else:
            assert found is None
    assert cache.hits + cache.misses == len(entries)


def test_invalidating_a_base_spares_the_others():
    cache = ValidationCache()
    for page in range(4):
        cache.insert(page << 12, 0x100 * (page % 2), 8, 1, SafetyState.VALID)
    cache.invalidate(0x100)
    assert [cache.lookup(page << 12) is None for page in range(4)] == [False, True] * 2


@pytest.mark.parametrize("value", [-1, 2**64, 1.5, True, None, np.float64(1)])
def test_bad_sizes_are_refused(value):
    with pytest.raises((TypeError, ValueError)):
        galois.concretize(galois.null(), value)
    if value is not None:
        with pytest.raises((TypeError, ValueError)):
            HealingPolicy().heal_copy_bounds(1, value, None)
