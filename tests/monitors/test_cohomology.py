"""The overlap check against linear algebra over GF(2), and bad input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.cohomology import SHARD_COUNT, Cohomology

WORDS = st.integers(0, 2**64 - 1)
SECTIONS = st.dictionaries(WORDS, WORDS, max_size=20)


def with_sections(sections):
    """Return a monitor with these sections, and the sections it should hold."""
    monitor, held = Cohomology(), [0] * SHARD_COUNT
    for shard, word in sections.items():
        monitor.set_section_hash(shard, word)
        held[shard % SHARD_COUNT] = word
    return monitor, held


@given(SECTIONS, WORDS, WORDS, st.integers(0, 63))
def test_exactly_the_coboundary_is_consistent(sections, left, right, bit):
    monitor, held = with_sections(sections)
    difference = held[left % SHARD_COUNT] ^ held[right % SHARD_COUNT]
    assert monitor.note_overlap(left, right, difference)
    assert monitor.note_overlap(right, left, difference)
    assert monitor.fault_count == 0
    assert not monitor.note_overlap(left, right, difference ^ 1 << bit)
    assert monitor.fault_count == 1
    assert monitor.record["section"].tolist() == held


@given(SECTIONS, st.tuples(WORDS, WORDS, WORDS), WORDS)
def test_witnesses_add_up_around_a_triangle(sections, shards, noise):
    a, b, c = shards
    monitor, held = with_sections(sections)
    ab, bc = (held[i % 64] ^ held[j % 64] for i, j in ((a, b), (b, c)))
    assert monitor.note_overlap(a, c, ab ^ bc)
    # Shifting every section by the same word changes no difference.
    for shard in range(SHARD_COUNT):
        monitor.set_section_hash(shard, held[shard] ^ noise)
    assert monitor.note_overlap(a, b, ab)
    assert monitor.note_overlap(b, c, bc)
    assert monitor.fault_count == 0


@given(st.lists(st.tuples(WORDS, WORDS, st.sampled_from([0, 0, 1, 2**64 - 1])), max_size=40))
def test_without_sections_only_the_zero_witness_is_consistent(overlaps):
    monitor = Cohomology()
    for left, right, witness in overlaps:
        assert monitor.note_overlap(left, right, witness) == (witness == 0)
    assert monitor.fault_count == sum(witness != 0 for *_, witness in overlaps)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((-1, 0, 0), ValueError), ((0, 2**64, 0), ValueError), ((0, 0, 1.0), TypeError)],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error):
    monitor = Cohomology()
    before = monitor.record.tobytes()
    with pytest.raises(error):
        monitor.note_overlap(*arguments)
    assert monitor.record.tobytes() == before
