"""Counting, intervals and comparison, against independent oracles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from profiling import aggregate
from profiling.aggregate import compare, fold, format_folded, parse_folded, ranking
from profiling.faults import ProfilingError
from profiling.resolve import INLINED, JITTED, NATIVE, PYTHON, UNKNOWN, Frame, Stack

names = st.text("abcxyz_.<> ():[]0", min_size=1, max_size=12).map(str.strip).filter(bool)
files = st.sampled_from(["kernel.py", "a b/c (1).py", "<string>", "[libm.so.6]"])
frames = st.builds(
    Frame, names, files, st.integers(0, 10**6),
    st.sampled_from([JITTED, INLINED, PYTHON, NATIVE, UNKNOWN]),
)  # fmt: skip
stacks = st.builds(
    Stack,
    st.sampled_from(["run", "compile", "import"]),
    st.just(7),
    st.just("1"),
    st.lists(frames, min_size=1, max_size=5).map(tuple),
    st.integers(1, 1000),
)


@given(st.lists(stacks, max_size=8))
def test_folded_text_keeps_the_counts(sampled):
    folded = fold(sampled)
    text = format_folded(folded)
    again = parse_folded(text)
    assert sum(again.values()) == sum(stack.count for stack in sampled)
    assert format_folded(again) == text


@given(st.integers(0, 3000), st.integers(1, 3000))
def test_interval_is_wilsons(successes, total):
    successes = min(successes, total)
    low, high = aggregate.wilson_interval(successes, total)
    expected = binomtest(successes, total).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_interval_of_a_difference_is_newcombes():
    # The first example of Newcombe, "Interval estimation for the difference between independent
    # proportions", Statist. Med. 17, 1998, table II: 56/70 - 48/80, method 10.
    low, high = aggregate._difference_interval(48, 80, 56, 70)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def leaf(name, count, file="kernel.py", line=3, kind=JITTED, phase="run"):
    outer = Frame("main", "main.py", 1, PYTHON)
    return Stack(phase, 7, "1", (outer, Frame(name, file, line, kind)), count)


def test_self_cost_is_that_of_the_innermost_frame_of_the_phase():
    folded = fold(
        [leaf("a", 60), leaf("a", 20, line=4), leaf("b", 20), leaf("a", 500, phase="compile")]
    )
    rows = ranking(folded)
    assert [(row.symbol, row.samples, row.share) for row in rows] == [
        ("a", 80, 0.8),
        ("b", 20, 0.2),
    ]
    by_line = ranking(folded, "line")
    assert [(row.place, row.samples) for row in by_line] == [
        ("kernel.py:3", 60), ("kernel.py:4", 20), ("kernel.py:3", 20),
    ]  # fmt: skip
    assert [(row.symbol, row.samples) for row in ranking(folded, "module")] == [("kernel", 100)]


def test_jitted_only_keeps_shares_of_the_whole():
    folded = fold([leaf("a", 25), leaf("loop", 75, kind=PYTHON)])
    assert [(row.symbol, row.share) for row in ranking(folded, kinds=(JITTED,))] == [("a", 0.25)]


def test_comparison_tells_moves_from_noise():
    old = fold([leaf("a", 500), leaf("b", 300), leaf("c", 200)])
    new = fold([leaf("a", 490), leaf("d", 310), leaf("c", 200)])
    changes = {change.symbol: change for change in compare(old, new, n=2)}
    assert set(changes) == {"a", "b", "d"}
    assert not changes["a"].significant
    assert changes["b"].significant
    assert (changes["b"].old_rank, changes["b"].new_rank) == (2, None)
    assert (changes["d"].old_rank, changes["d"].new_rank) == (None, 2)


def test_empty_recordings_cannot_be_compared():
    with pytest.raises(ProfilingError, match="without run-time samples"):
        compare(fold([]), fold([leaf("a", 3)]))
