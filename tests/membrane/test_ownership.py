"""The filter and the page oracle: what they may and may not forget."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from membrane.tables.bloom import BloomFilter, sizing
from membrane.tables.page_oracle import PageOracle
from membrane.tables.words import LARGEST_BLOCK

words = st.integers(0, 2**64 - 1)


@given(st.lists(words, max_size=100))
def test_the_filter_never_denies_a_member(addresses):
    bloom = BloomFilter(expected=100)
    for address in addresses:
        bloom.insert(address)
    assert all(bloom.might_contain(address) for address in addresses)
    assert bloom.ones() == len({bit for a in addresses for bit in bloom.indices(a)})


def test_false_positives_stay_near_the_rate_asked_for():
    bloom = BloomFilter(expected=2000, fp_rate=0.01)
    rng = np.random.default_rng(3)
    members, others = np.split(rng.permutation(10**6)[:22_000] * 16, [2000])
    for address in members:
        bloom.insert(int(address))
    rate = np.mean([bloom.might_contain(int(address)) for address in others])
    assert rate <= 0.01 + 4 * math.sqrt(0.01 * 0.99 / others.size)


@given(st.integers(1, 10**7), st.floats(1e-9, 0.4))
def test_sizing_grows_with_items_and_strictness(expected, rate):
    bits, hashes = sizing(expected, rate)
    assert bits % 64 == 0
    assert 1 <= hashes <= 16
    assert sizing(expected * 2, rate)[0] >= bits
    assert sizing(expected, rate / 2)[0] >= bits


@pytest.mark.parametrize("expected", [-1, 2**33, 1.0, True])
def test_an_impossible_filter_is_refused(expected):
    with pytest.raises((TypeError, ValueError), match="expected"):
        BloomFilter(expected=expected)


ranges = st.tuples(
    st.sampled_from([0, 4095, 2**24 - 1, 2**24, 2**47]), st.sampled_from([0, 1, 2, 4097, 2**13])
)


@given(st.lists(st.tuples(st.booleans(), ranges), max_size=60))
def test_pages_count_ranges(steps):
    pages, model = PageOracle(), Counter()
    for adds, (base, size) in steps:
        covered = range(base >> 12, ((base + size - 1) >> 12) + 1) if size else ()
        if adds:
            pages.insert(base, size)
            model.update(covered)
        elif all(model[page] for page in covered):
            pages.remove(base, size)
            model.subtract(covered)
    for page in model:
        assert pages.query(page << 12) == (model[page] > 0)


def test_a_range_over_the_end_of_memory_owns_its_part_of_it():
    last = 2**64 - 1
    repaired, reference = PageOracle(), PageOracle(wraps=True)
    for pages in (repaired, reference):
        pages.insert(last - 10, 4096)
    assert repaired.query(last)
    assert not reference.query(last)
    assert not repaired.query(0)


def test_a_saturated_page_stays_owned():
    pages = PageOracle()
    for _ in range(256):
        pages.insert(0x1000, 1)
    for _ in range(300):
        pages.remove(0x1000, 1)
    assert pages.query(0x1000)


@pytest.mark.parametrize("size", [-1, LARGEST_BLOCK + 1, 2**64, 1.0, True])
def test_a_range_that_can_not_be_counted_is_refused(size):
    with pytest.raises((TypeError, ValueError), match="size"):
        PageOracle().insert(0x1000, size)


def test_components_with_tables_are_not_values():
    for component in (BloomFilter(expected=10), PageOracle()):
        with pytest.raises(TypeError, match="owns memory"):
            component.copy()
        component.close()
        assert component.closed
