"""The K-theory monitor against NumPy distances recomputed in full, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from runtime_math.monitors import ktheory
from runtime_math.monitors.ktheory import KTheory, KTheoryState
from runtime_math.types import FAMILY_COUNT, ApiFamily

VECTORS = st.tuples(*[st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]) | st.floats(-2.0, 2.0)] * 4)
# Each run feeds a few families one vector for a while; a first common run may freeze baselines.
RUNS = st.lists(
    st.tuples(st.lists(st.integers(0, 10), min_size=1, max_size=4), VECTORS, st.integers(10, 120)),
    min_size=1,
    max_size=5,
)


def state_of(total, distances):
    fractured = sum(distance >= 0.45 for distance in distances)
    drifting = sum(0.20 <= distance < 0.45 for distance in distances)
    if total < 64:
        return KTheoryState.CALIBRATING
    if fractured >= 2:
        return KTheoryState.FRACTURED
    return KTheoryState.DRIFT if fractured or drifting >= 3 else KTheoryState.COMPATIBLE


@given(RUNS, st.integers(0, FAMILY_COUNT))
def test_state_and_summary_equal_a_scan_of_all_families(runs, warm_families):
    monitor, plain = KTheory(), KTheory()
    runs = [(list(range(warm_families)), (0.1, 0.0, 0.0, 0.1), 64 * warm_families), *runs]
    calls = [
        (families[step % len(families)], vector)
        for families, vector, length in runs
        for step in range(length)
    ]
    previous, entries = KTheoryState.CALIBRATING, {2: 0, 3: 0}
    record = monitor.record
    for family, vector in calls:
        state = monitor.observe_and_update(family, *vector)
        assert plain.observe(family, *vector) == state
        frozen = record["family_observations"] >= 64
        distances = np.sqrt(((record["observed"] - record["baseline"]) ** 2).sum(axis=1))[frozen]
        assert state == state_of(record["family_observations"].sum(), distances)
        if state != previous and state in entries:
            entries[state] += 1
        previous = state
    values = monitor.summary
    assert values.max_transport_distance == pytest.approx(max(distances, default=0.0))
    assert values.total_observations == sum(family < FAMILY_COUNT for family, _ in calls)
    assert (monitor.drift_count, values.fracture_count) == (entries[2], entries[3])
    assert plain.drift_count == plain.summary.fracture_count == 0


@given(st.integers(1, 150), st.randoms(use_true_random=False))
def test_vectors_are_filtered_and_frozen_at_the_64th_call(length, random):
    vectors = np.array([[random.random() for _ in range(4)] for _ in range(length)])
    monitor = KTheory()
    for vector in vectors:
        monitor.observe(ApiFamily.STDLIB, *vector.tolist())
    filtered = signal.lfilter([0.03], [1.0, -0.97], vectors, axis=0)
    np.testing.assert_allclose(monitor.record["observed"][8], filtered[-1], rtol=1e-10)
    assert monitor.is_frozen(ApiFamily.STDLIB) == (length >= 64)
    baseline = filtered[63] if length >= 64 else np.zeros(4)
    np.testing.assert_allclose(monitor.record["baseline"][8], baseline, rtol=1e-10)
    assert monitor.distance(8) == pytest.approx(np.linalg.norm(filtered[-1] - baseline), abs=1e-12)


@pytest.mark.parametrize(
    ("square", "distance"),
    [(ktheory.DRIFT_SQUARE, 0.20), (ktheory.FRACTURE_SQUARE, 0.45)],
)
def test_squared_thresholds_are_the_first_whose_root_reaches_the_distance(square, distance):
    assert math.sqrt(square) >= distance > math.sqrt(math.nextafter(square, 0.0))


def test_steady_families_of_large_norm_drift_by_the_bias_of_the_baseline():
    monitor = KTheory()
    for call in range(1_500):
        state = monitor.observe_and_update(call % 3, 1.0, 0.0, 1.0, 0.5)
    assert monitor.distance(0) == pytest.approx(1.5 * 0.97**64, rel=1e-4)
    assert state is KTheoryState.DRIFT
    assert monitor.summary.drifting_families == 3


@pytest.mark.parametrize("call", [10, 100])
@pytest.mark.parametrize(("value", "visible"), [(math.nan, False), (math.inf, True)])
def test_a_vector_that_is_not_finite(value, call, visible):
    monitor = KTheory()
    for count in range(200):
        latency = value if count == call else 0.1
        state = monitor.observe(ApiFamily.STDIO, latency, 0.0, 0.0, 0.1)
    fractured = int(visible and call >= 64)
    assert monitor.summary.fractured_families == fractured
    assert state == (KTheoryState.DRIFT if fractured else KTheoryState.COMPATIBLE)


def test_an_index_beyond_the_families_changes_nothing():
    monitor = KTheory()
    before = monitor.record.tobytes()
    for index in (9, 10**6, 2**64 - 1):
        assert monitor.observe_and_update(index, 1.0, 1.0, 1.0, 1.0) is KTheoryState.CALIBRATING
    assert monitor.record.tobytes() == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, 0.0, 0.0, 0.0, 0.0), ValueError, "family_index must be an integer"),
        ((0, True, 0.0, 0.0, 0.0), TypeError, "latency must be a real number"),
        ((0, 0.0, 0.0, 0.0, None), TypeError, "risk must be a real number"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = KTheory()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe(*arguments)
    assert monitor.record.tobytes() == before
