"""The equivariant monitor against a matrix form of its action, its bounds, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors import equivariant
from runtime_math.monitors.equivariant import Equivariant, EquivariantState, Orbit
from runtime_math.types import FAMILY_COUNT, ApiFamily

CALLS = st.tuples(
    st.integers(0, FAMILY_COUNT - 1),
    st.integers(0, 2),
    st.integers(0, 1),
    st.one_of(st.integers(0, 5000), st.integers(0, 2**64 - 1)),
    st.booleans(),
    st.one_of(st.integers(0, 1_000_000), st.integers(0, 2**32 - 1)),
)
CLEAN_CALL = (ApiFamily.STDIO, 0, 0, 8, False, 20_000)
# Rows of the permutation that each orbit applies, as positions in the vector before it.
PERMUTATIONS = {
    Orbit.MEMORY: [0, 1, 2, 3],
    Orbit.CONTROL: [1, 2, 0, 3],
    Orbit.IO: [2, 0, 1, 3],
    Orbit.NUMERIC: [0, 3, 1, 2],
}


def by_matrices(family, mode, profile, cost_ns, adverse, risk_ppm):
    """Apply the affine map, the exchange and the permutation as NumPy operations."""
    policy = [[0.1, 0.4], [0.5, 0.8], [0.0, 0.0]][mode][profile]
    vector = np.array([risk_ppm / 1e6, min(math.log1p(cost_ns) / 8, 1), float(adverse), policy])
    affine = np.eye(4)
    affine[0, 0], affine[1, 1] = (1.08, 0.92) if mode == 1 else (0.96, 1.04)
    affine[0, 2] = 0.04 if mode == 1 else 0.0
    vector = np.clip(affine @ vector, 0, 1)
    if profile == 1:
        vector = vector[[1, 0, 2, 3]] + [0, 0, 0, 0.15]
    return vector[PERMUTATIONS[Orbit(equivariant.ORBIT_OF_FAMILY[family])]]


def canonical(family, mode, profile, cost_ns, adverse, risk_ppm):
    return equivariant.canonical_features(
        family, mode, profile, np.uint64(cost_ns), adverse, risk_ppm
    )


@given(CALLS)
def test_canonical_vector_is_the_matrix_product_and_lies_in_the_unit_cube(call):
    vector = canonical(*call)
    assert vector == pytest.approx(by_matrices(*call), rel=1e-12, abs=1e-12)
    assert all(0.0 <= entry <= 1.0 for entry in vector)


@given(st.lists(CALLS, min_size=1, max_size=150))
def test_drift_and_centroids_follow_the_exponential_averages(calls):
    monitor = Equivariant()
    centroids, drift, mass = np.zeros((4, 4)), 0.0, np.zeros(4)
    for number, call in enumerate(calls):
        monitor.observe(*call)
        orbit = equivariant.ORBIT_OF_FAMILY[call[0]]
        vector = by_matrices(*call)
        if number == 0:
            centroids[orbit] = vector
        drift += 0.04 * (np.linalg.norm(vector - centroids[orbit]) - drift)
        centroids[orbit] += 0.045 * (vector - centroids[orbit])
        active = mass[orbit] + 0.02 * (1 - mass[orbit])
        mass *= 0.998
        mass[orbit] = active
    np.testing.assert_allclose(monitor.record["centroids"], centroids, rtol=1e-9, atol=1e-12)
    assert monitor.record["drift_ewma"] == pytest.approx(drift, rel=1e-9, abs=1e-12)
    assert monitor.dominant_orbit == int(monitor.record["orbit_mass"].argmax())
    np.testing.assert_allclose(monitor.record["orbit_mass"], mass, rtol=1e-9)
    assert ((mass >= 0.0) & (mass <= 1.0)).all()


@given(st.lists(CALLS, min_size=100, max_size=160))
def test_counts_agree_with_the_codes_and_warmup_is_silent(calls):
    monitor = Equivariant()
    codes = [monitor.observe(*call) for call in calls]
    assert set(codes[:95]) == {EquivariantState.CALIBRATING}
    assert EquivariantState.CALIBRATING not in codes[95:]
    summary = monitor.summary()
    assert summary.fractured_count == codes.count(EquivariantState.FRACTURED)
    assert summary.drift_count == summary.fractured_count + codes.count(EquivariantState.DRIFT)
    assert summary.state is codes[-1]
    assert 0 <= summary.alignment_ppm <= 1_000_000


def test_families_in_turn_align_later_than_one_family():
    def first_aligned(families):
        monitor = Equivariant()
        for call in range(1, 200):
            family = families[(call - 1) % len(families)]
            if monitor.observe(family, *CLEAN_CALL[1:]) is EquivariantState.ALIGNED:
                return call
        return None

    assert first_aligned([ApiFamily.STDIO]) == 96
    assert first_aligned(list(ApiFamily)) == 101


def test_a_fracture_needs_drift_and_trouble_in_the_same_call():
    verdicts = {
        (drift, adverse, risk): equivariant.classify(96, drift, adverse, risk)
        for drift in (0.0849, 0.085, 0.1799, 0.18)
        for adverse in (False, True)
        for risk in (700_000, 700_001)
    }
    fractured = {key for key, code in verdicts.items() if code == EquivariantState.FRACTURED}
    assert fractured == {(0.18, True, 700_000), (0.18, True, 700_001), (0.18, False, 700_001)}
    aligned = {key[0] for key, code in verdicts.items() if code == EquivariantState.ALIGNED}
    assert aligned == {0.0849}


def test_averages_come_to_rest_where_plain_arithmetic_does():
    monitor = Equivariant()
    monitor.observe(*CLEAN_CALL)
    drift = mass = 300 * 2.0**-1074
    monitor.record["drift_ewma"] = drift
    monitor.record["orbit_mass"][Orbit.NUMERIC] = mass
    for _ in range(100):
        monitor.observe(*CLEAN_CALL)
        drift, mass = 0.96 * drift + 0.04 * 0.0, 0.998 * mass
    assert monitor.record["drift_ewma"] == drift == 12 * 2.0**-1074
    assert monitor.record["orbit_mass"][Orbit.NUMERIC] == mass == 249 * 2.0**-1074
    assert monitor.state is EquivariantState.ALIGNED


@pytest.mark.parametrize(
    ("position", "value", "error", "message"),
    [
        (0, 9, ValueError, "family must be a member of ApiFamily"),
        (1, 3, ValueError, "mode must be a member of SafetyLevel"),
        (2, -1, ValueError, "profile must be a member of ValidationProfile"),
        (3, 2**64, ValueError, "estimated_cost_ns must be an integer"),
        (3, 8.0, TypeError, "estimated_cost_ns must be an integer"),
        (4, 1, TypeError, "adverse must be a bool"),
        (5, 2**32, ValueError, "risk_bound_ppm must be an integer"),
    ],
)
def test_bad_input_is_refused(position, value, error, message):
    arguments = list(CLEAN_CALL)
    arguments[position] = value
    with pytest.raises(error, match=message):
        Equivariant().observe(*arguments)
