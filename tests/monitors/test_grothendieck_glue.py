"""The gluing monitor: its rates as one formula, its masks and cadence, and bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors import grothendieck_glue
from runtime_math.monitors.grothendieck_glue import (
    PAIR_COUNT,
    VERDICT_PERIOD,
    DataSource,
    GrothendieckGlue,
    GrothendieckState,
    QueryFamily,
)

CALLS = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 7), st.integers(0, 7), st.booleans(), st.booleans()
    ),
    min_size=1,
    max_size=120,
)
PLAIN = (QueryFamily.SERVICE, DataSource.FILES, DataSource.CACHE)
STACK = (QueryFamily.ENCODING_LOOKUP, DataSource.ICONV_TABLES, DataSource.FALLBACK)


def rate(agreements):
    """Exponential average of a series of disagreements, in closed form."""
    disagreements = ~np.array(agreements, bool)
    return 0.015 * (0.985 ** np.arange(len(agreements))[::-1] @ disagreements)


@given(CALLS)
def test_every_rate_averages_its_own_comparisons(calls):
    monitor = GrothendieckGlue()
    for call in calls:
        monitor.observe_cocycle(*call)
    counted = [call for call in calls if call[1] != call[2]]
    summary = monitor.summary()
    close = {"rel": 1e-9, "abs": 1e-15}
    assert summary.checks == len(counted)
    assert summary.global_violation_rate == pytest.approx(rate([c[3] for c in counted]), **close)
    stack = [c[3] for c in counted if c[4]]
    assert summary.stack_violation_rate == pytest.approx(rate(stack), **close)
    for family in QueryFamily:
        own = [c[3] for c in counted if c[0] == family]
        assert monitor.family_violation_rate(family) == pytest.approx(rate(own), **close)
    pair_rates = {}
    for family, left, right, _, _ in counted:
        key = (family, frozenset((left, right)))
        own = [c[3] for c in counted if (c[0], frozenset(c[1:3])) == key]
        pair_rates[key] = rate(own)
        index = grothendieck_glue.pair_index(left, right)
        assert monitor.record["pair_rates"][family, index] == pytest.approx(
            pair_rates[key], **close
        )
    worst = frozenset(summary.worst_pair)
    largest = max(pair_rates.values(), default=0.0)
    if largest > 0.0:
        assert largest == pytest.approx(
            max(value for key, value in pair_rates.items() if key[1] == worst)
        )
    else:
        assert summary.worst_pair == (0, 0)


def test_pairs_are_numbered_by_their_larger_member_in_either_order():
    ordered = sorted(itertools.combinations(range(8), 2), key=lambda pair: pair[::-1])
    numbers = [grothendieck_glue.pair_index(*pair) for pair in ordered]
    assert numbers == list(range(PAIR_COUNT))
    assert numbers == [grothendieck_glue.pair_index(*pair[::-1]) for pair in ordered]


def run(*blocks):
    """Make each (query, compatible, is_stack_check, times); returns the monitor."""
    monitor = GrothendieckGlue()
    for query, compatible, is_stack_check, times in blocks:
        for _ in range(times):
            monitor.observe_cocycle(*query, compatible, is_stack_check)
    return monitor


def test_a_source_compared_with_itself_is_not_even_looked_at():
    monitor = run((PLAIN, False, False, VERDICT_PERIOD))
    before = monitor.record.tobytes()
    state = monitor.observe_cocycle(PLAIN[0], DataSource.NIS, DataSource.NIS, False, True)
    assert state is GrothendieckState.DESCENT_FAILURE
    assert monitor.record.tobytes() == before


def test_the_verdict_changes_only_at_every_256th_comparison():
    monitor = run((PLAIN, False, False, VERDICT_PERIOD - 1))
    assert monitor.state is GrothendieckState.CALIBRATING
    assert monitor.observe_cocycle(*PLAIN, False, False) is GrothendieckState.DESCENT_FAILURE
    states = [monitor.observe_cocycle(*PLAIN, True, False) for _ in range(VERDICT_PERIOD)]
    assert set(states[:-1]) == {GrothendieckState.DESCENT_FAILURE}
    assert states[-1] is GrothendieckState.COHERENT


def test_a_stack_fault_masks_everything_until_stack_checks_agree_again():
    monitor = run((STACK, False, True, 1270), (PLAIN, True, False, 4106))
    assert monitor.state is GrothendieckState.STACKIFICATION_FAULT
    assert monitor.summary().global_violation_rate < 1e-20
    assert monitor.summary().descent_failure_count == 0
    for _ in range(VERDICT_PERIOD):
        state = monitor.observe_cocycle(*STACK, True, True)
    assert state is GrothendieckState.COHERENT
    assert monitor.summary().stack_fault_count == 1


def test_the_first_of_equally_bad_pairs_is_reported():
    monitor = GrothendieckGlue()
    monitor.observe_cocycle(QueryFamily.TRANSLITERATION, 0, 1, False, False)
    monitor.observe_cocycle(QueryFamily.HOSTNAME, 6, 5, False, False)
    assert monitor.worst_pair == (DataSource.LOCALE_FILES, DataSource.ICONV_TABLES)


@pytest.mark.parametrize(
    ("position", "value", "error", "message"),
    [
        (0, 6, ValueError, "family must be a member of QueryFamily"),
        (1, 8, ValueError, "source_i must be a member of DataSource"),
        (2, -1, ValueError, "source_j must be a member of DataSource"),
        (3, 1, TypeError, "compatible must be a bool"),
        (4, None, TypeError, "is_stack_check must be a bool"),
    ],
)
def test_bad_input_is_refused(position, value, error, message):
    arguments = [*PLAIN, True, False]
    arguments[position] = value
    with pytest.raises(error, match=message):
        GrothendieckGlue().observe_cocycle(*arguments)
