"""The coherence guard against dense matrices, its thresholds to the last bit, and bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors import sos_invariant
from runtime_math.monitors.sos_invariant import (
    CALIBRATION_CALLS,
    GROUPS,
    SIGNAL_COUNT,
    SosInvariant,
    SosInvariantState,
)

SMALL = st.lists(st.integers(0, 3), min_size=SIGNAL_COUNT, max_size=SIGNAL_COUNT)
BYTES = st.lists(st.integers(0, 255), min_size=SIGNAL_COUNT, max_size=SIGNAL_COUNT)


def dense(group):
    """Symmetric matrix of a group."""
    positions, triangle, _ = GROUPS[group]
    matrix = np.zeros((len(positions), len(positions)))
    matrix[np.triu_indices(len(positions))] = triangle
    return matrix + np.triu(matrix, 1).T


def with_codes(group, codes):
    severity = np.ones(SIGNAL_COUNT, np.uint8)
    severity[list(GROUPS[group][0])] = codes
    return severity


@given(st.one_of(SMALL, BYTES))
def test_stress_is_the_quadratic_form_over_the_budget(severity):
    stresses = sos_invariant.stress_fractions(np.array(severity, np.uint8))
    for group, (positions, _, budget) in enumerate(GROUPS):
        centred = np.array(severity)[list(positions)] - 1.5
        expected = centred @ dense(group) @ centred / budget
        assert stresses[group] == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("group", range(3))
def test_tables_hold_what_direct_evaluation_gives(group):
    for codes in itertools.product(range(4), repeat=len(GROUPS[group][0])):
        severity = with_codes(group, codes)
        tabulated = sos_invariant.stress_fractions(severity)[group]
        assert tabulated == sos_invariant.evaluate_form(severity, group), codes


def test_only_the_structural_form_is_positive_semidefinite():
    smallest = [np.linalg.eigvalsh(dense(group))[0] for group in range(3)]
    assert smallest[0] == pytest.approx(-0.1)
    assert smallest[1] > 0.0
    assert smallest[2] == pytest.approx(-0.111, abs=1e-3)


@pytest.mark.parametrize(
    ("group", "codes", "stress", "state"),
    [
        (0, (0, 2, 0, 3), 1.0, SosInvariantState.INVARIANT_VIOLATED),
        (0, (3, 1, 3, 0), 1.0, SosInvariantState.INVARIANT_VIOLATED),
        (0, (1, 3, 0, 3), 1.0000000000000002, SosInvariantState.INVARIANT_VIOLATED),
        (2, (1, 0, 0, 3), 0.7, SosInvariantState.INVARIANT_STRESSED),
        (2, (2, 3, 3, 0), 0.7, SosInvariantState.INVARIANT_STRESSED),
    ],
)
def test_codes_exactly_on_a_threshold_count_from_the_start_but_are_never_reached(
    group, codes, stress, state
):
    severity = with_codes(group, codes)
    at_once, approached = SosInvariant(), SosInvariant()
    approached.observe(with_codes(group, [1] * len(codes)))
    for _ in range(1000):
        reached = at_once.observe(severity)
        stalled = approached.observe(severity)
    assert at_once.max_stress_fraction == stress
    assert reached is state
    if stress in (0.7, 1.0):
        assert approached.max_stress_fraction < stress
        assert stalled == state - 1


@given(st.lists(SMALL, min_size=1, max_size=40))
def test_smoothed_stress_stays_between_the_extremes_of_the_forms(vectors):
    monitor = SosInvariant()
    for severity in vectors:
        assert monitor.observe(severity) is SosInvariantState.CALIBRATING
    smoothed = monitor.record["smoothed"]
    assert (smoothed >= -0.09 - 1e-12).all()
    assert (smoothed <= np.array([1.35, 1.18125, 1.26]) + 1e-12).all()
    summary = monitor.summary()
    assert summary.max_stress_fraction == max(0.0, smoothed.max())
    assert summary.stressed_count == (smoothed >= 0.7).sum()
    assert summary.violated_count == (smoothed >= 1.0).sum()


def test_violations_are_counted_once_per_call_after_calibration():
    severity = with_codes(0, (3, 0, 3, 0))
    severity[[13, 19, 20]] = 3, 0, 3
    monitor = SosInvariant()
    for _ in range(CALIBRATION_CALLS + 5):
        monitor.observe(severity)
    assert monitor.summary().violated_count == 2
    assert monitor.summary().violation_event_count == 5


@pytest.mark.parametrize(
    ("severity", "error"),
    [([0] * 26, ValueError), ([0.5] * 25, TypeError), ([300] * 25, ValueError)],
)
def test_bad_vectors_are_refused(severity, error):
    monitor = SosInvariant()
    with pytest.raises(error, match="severity"):
        monitor.observe(severity)
    assert monitor.summary().total_observations == 0
