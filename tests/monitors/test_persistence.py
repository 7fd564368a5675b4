"""The persistence monitor against SciPy's spanning tree and clustering, its bounds, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.cluster.hierarchy import linkage
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import distance_matrix
from scipy.stats import entropy

from runtime_math.monitors.persistence import CLOUD, Persistence, PersistenceState

clouds = st.integers(2, 30).flatmap(
    lambda size: arrays(np.float64, (size, 4), elements=st.floats(-5.0, 5.0, width=16))
)


@given(clouds)
def test_deaths_are_the_single_linkage_heights(cloud):
    heights = linkage(cloud, "single")[:, 2]
    np.testing.assert_allclose(Persistence.h0(cloud), heights, rtol=1e-12, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(2, 40))
def test_deaths_are_the_edges_of_the_minimum_spanning_tree(seed, size):
    cloud = np.random.default_rng(seed).normal(size=(size, 4))
    tree = minimum_spanning_tree(distance_matrix(cloud, cloud))
    np.testing.assert_allclose(Persistence.h0(cloud), np.sort(tree.data), rtol=1e-12)


@given(clouds, st.randoms(use_true_random=False))
def test_deaths_do_not_depend_on_the_order_of_points(cloud, random):
    order = list(range(len(cloud)))
    random.shuffle(order)
    assert Persistence.h0(cloud).tolist() == Persistence.h0(cloud[order]).tolist()


@given(clouds, st.floats(0.0, 30.0))
def test_summary_of_a_diagram(cloud, diameter):
    deaths = Persistence.h0(cloud)
    figures = Persistence.summarize(deaths, diameter)
    total = deaths.sum()
    assert figures.pair_count == len(cloud) - 1
    assert figures.total_persistence == pytest.approx(total)
    assert figures.max_persistence == deaths.max()
    assert figures.significant_features == (deaths > diameter * 0.15).sum()
    expected = entropy(deaths) if total > 1e-12 else 0.0
    assert figures.persistence_entropy == pytest.approx(expected, abs=1e-9)
    assert figures.persistence_entropy <= math.log(figures.pair_count) + 1e-9


@given(st.integers(0, 10_000), st.integers(1, 300))
def test_clouds_are_disjoint(seed, length):
    samples = np.random.default_rng(seed).normal(size=(length, 4))
    monitor = Persistence()
    states = [monitor.observe(sample) for sample in samples]
    closed = length // CLOUD
    if closed:
        last = samples[(closed - 1) * CLOUD : closed * CLOUD]
        diameter = max(math.dist(a, b) for a in last for b in last)
        expected = Persistence.summarize(Persistence.h0(last), diameter)
        assert monitor.summary() == pytest.approx(expected)
    assert all(state == PersistenceState.CALIBRATING for state in states[: 5 * CLOUD - 1])
    assert monitor.anomaly_count == states[CLOUD - 1 :: CLOUD].count(PersistenceState.ANOMALOUS)


def test_baseline_is_frozen_while_anomalous():
    monitor = Persistence()
    rng = np.random.default_rng(9)
    for sample in rng.normal(size=(6 * CLOUD, 4)):
        monitor.observe(sample)
    total = monitor.record["baseline_total"].copy()
    for sample in rng.normal(size=(10 * CLOUD, 4)) * 5.0:
        state = monitor.observe(sample)
    assert state is PersistenceState.ANOMALOUS
    assert monitor.record["baseline_total"] == total


def test_point_at_infinity_leaves_a_finite_entropy():
    cloud = np.random.default_rng(0).normal(size=(CLOUD, 4))
    cloud[7, 2] = math.inf
    deaths = Persistence.h0(cloud)
    figures = Persistence.summarize(deaths, math.inf)
    assert math.isinf(deaths[-1]) and np.isfinite(deaths[:-1]).all()
    assert figures.persistence_entropy == 0.0
    assert figures.significant_features == 0


@pytest.mark.parametrize("values", [[1.0] * 3, [1.0, math.nan, 0.0, 0.0], [[0.0] * 4]])
def test_bad_samples_change_nothing(values):
    monitor = Persistence()
    before = monitor.record.tobytes()
    with pytest.raises(ValueError, match="values must"):
        monitor.observe(values)
    assert monitor.record.tobytes() == before


@pytest.mark.parametrize("points", [np.zeros((3, 5)), [[math.nan] * 4, [0.0] * 4]])
def test_bad_clouds_are_refused(points):
    with pytest.raises(ValueError, match="points must"):
        Persistence.h0(points)
