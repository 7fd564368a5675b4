"""The Clifford monitor against NumPy's wedge products, its reachable states, and bad input."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.clifford import AlignmentRegime, Clifford, CliffordState

REGIMES = st.sampled_from(AlignmentRegime)
UNIT = st.floats(0.0, 1.0) | st.sampled_from([0.0, 0.1, 0.5, 1.0])
UPPER = np.triu_indices(4, 1)


def calls(features, **sizes):
    return st.lists(st.tuples(REGIMES, REGIMES, features, features), **sizes)


def smoothed(points):
    """Average of the multivectors of the steps, weighted 0.02 * 0.98^age."""
    average = np.zeros(16)
    for before, after in itertools.pairwise(points):
        step = after - before
        length = np.linalg.norm(step)
        wedge = np.outer(step, after) - np.outer(after, step)
        sample = np.zeros(16)
        sample[0], sample[1:5], sample[5:11] = math.exp(-length), step, wedge[UPPER]
        sample[15] = -max(after[2], 0.0) * length
        average = 0.98 * average + 0.02 * sample
    return average


def state_of(count, energy):
    """State of a definition without shortcuts; energy holds the squared components."""
    if count < 64:
        return CliffordState.CALIBRATING
    total = 0.0
    for part in energy:
        total += part
    odd, grade2 = sum(energy[1:5]), sum(energy[5:11])
    even = (energy[0] + grade2) + energy[15]
    if not total >= 1e-12:
        return CliffordState.ALIGNED
    rotating = grade2 / total > 0.20
    if odd / total > 0.30 or (rotating and abs(even - odd) / total > 0.45):
        return CliffordState.OVERLAP_VIOLATION
    return CliffordState.MISALIGNMENT_DRIFT if rotating else CliffordState.ALIGNED


@given(st.integers(0, 2**64 - 1) | st.integers(0, 63).map(lambda bit: 2**bit))
def test_classify_counts_trailing_zeros(address):
    zeros = (address & -address).bit_length() - 1
    assert Clifford.classify(address) == max(0, min(zeros, 5) - 2)


@given(calls(st.floats(-3.0, 3.0), min_size=1, max_size=60))
def test_multivector_matches_outer_products(observations):
    monitor = Clifford()
    for observation in observations:
        monitor.observe(*observation)
    points = [np.array([a / 3, b / 3, c, d]) for a, b, c, d in observations]
    expected = smoothed(points)
    np.testing.assert_allclose(monitor.record["coefficients"], expected, rtol=1e-9, atol=1e-12)
    energy = float(expected @ expected)
    values = monitor.summary
    assert 0.0 <= values.grade2_energy <= 1.0 + 1e-9
    assert values.grade0_energy * max(energy, 1e-12) == pytest.approx(expected[0] ** 2, abs=1e-12)


@given(
    calls(UNIT, min_size=1, max_size=6) | calls(st.floats(-1e200, 1e200), min_size=2, max_size=6),
    st.integers(70, 160),
)
def test_state_is_that_of_the_full_energies_and_entries_are_counted(cycle, length):
    monitor, plain = Clifford(), Clifford()
    previous, entries = CliffordState.CALIBRATING, {2: 0, 3: 0}
    for count in range(1, length + 1):
        call = cycle[count % len(cycle)]
        state = monitor.observe_and_update(*call)
        assert plain.observe(*call) == state
        energy = [float(value) * float(value) for value in monitor.record["coefficients"]]
        assert state == state_of(count, energy)
        if state != previous and state in entries:
            entries[state] += 1
        previous = state
    values = monitor.summary
    assert (values.drift_count, values.overlap_violation_count) == (entries[2], entries[3])
    assert plain.summary.drift_count == plain.summary.overlap_violation_count == 0


@given(calls(UNIT, min_size=1, max_size=5), st.integers(64, 140))
def test_features_in_the_unit_interval_never_give_misalignment_drift(cycle, length):
    monitor = Clifford()
    for count in range(length):
        state = monitor.observe_and_update(*cycle[count % len(cycle)])
        assert state is not CliffordState.MISALIGNMENT_DRIFT


@pytest.mark.parametrize(
    ("quiet", "step_alive", "overlap_alive"),
    [
        ([(1, 2, 0.0, 0.3)], False, False),
        ([(1, 2, 0.0, 0.3), (3, 2, 0.0, 0.4)], True, False),
        ([(1, 2, 0.7, 0.3)], False, True),
    ],
)
def test_components_come_to_rest_and_wake_up(quiet, step_alive, overlap_alive):
    monitor = Clifford()
    for call in range(50):
        monitor.observe(call % 4, call % 3, 0.25 * (call % 4), 0.1 * (call % 7))
    for call in range(4_000):
        if call == 2:  # a shortcut through most of the decay
            monitor.record["coefficients"][1:] *= 1e-300
        monitor.observe(*quiet[call % len(quiet)])
    assert (monitor.record["step_alive"], monitor.record["overlap_alive"]) == (
        step_alive,
        overlap_alive,
    )
    before = monitor.record["coefficients"].copy()
    if not step_alive:
        assert abs(before[[1, 2, 4, 5, 7, 9]]).max() == 24 * 2.0**-1074
    monitor.observe(0, 3, 0.9, 0.8)
    last, following = np.array(quiet[-1]) / [3, 3, 1, 1], np.array([0.0, 1.0, 0.9, 0.8])
    np.testing.assert_allclose(
        monitor.record["coefficients"],
        0.98 * before + smoothed([last, following]),
        rtol=1e-9,
        atol=1e-15,
    )


@pytest.mark.parametrize("feature", [math.nan, math.inf, -math.inf])
def test_a_feature_that_is_not_finite_reads_as_aligned_for_good(feature):
    monitor = Clifford()
    monitor.observe(0, 0, 0.0, feature)
    for call in range(100):
        state = monitor.observe(*[(0, 0), (3, 0), (3, 3), (0, 3)][call % 4], 0.5, 0.1)
    assert state is CliffordState.ALIGNED
    assert not np.isfinite(monitor.record["coefficients"]).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((4, 0, 0.0, 0.0), ValueError, "source_alignment must be a member of AlignmentRegime"),
        ((0, True, 0.0, 0.0), TypeError, "destination_alignment must be a member"),
        ((0, 0, False, 0.0), TypeError, "overlap_fraction must be a real number"),
        ((0, 0, 0.0, "1"), TypeError, "length_regime must be a real number"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = Clifford()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe_and_update(*arguments)
    assert monitor.record.tobytes() == before
