"""The path-signature monitor against brute-force iterated sums, Chen's identity, and bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from runtime_math.monitors.rough_path import WINDOW, RoughPath, RoughPathState

paths = st.integers(2, 12).flatmap(
    lambda length: arrays(np.float64, (length, 4), elements=st.floats(-3.0, 3.0, width=32))
)


@given(paths)
def test_signature_sums_over_strictly_increasing_times(path):
    steps = np.diff(path, axis=0)
    times = range(len(steps))
    result = RoughPath.signature(path)
    expected2 = sum(
        (np.multiply.outer(steps[r], steps[s]) for r, s in itertools.combinations(times, 2)),
        np.zeros((4, 4)),
    )
    expected3 = sum(
        (
            np.multiply.outer(np.multiply.outer(steps[r], steps[s]), steps[t])
            for r, s, t in itertools.combinations(times, 3)
        ),
        np.zeros((4, 4, 4)),
    )
    np.testing.assert_allclose(result.level1, path[-1] - path[0], atol=1e-9)
    np.testing.assert_allclose(result.level2, expected2, atol=1e-9)
    np.testing.assert_allclose(result.level3, expected3, atol=1e-8)


@given(paths, paths)
def test_chen_identity(first, second):
    joined = np.concatenate([first, first[-1] + (second - second[0])])
    a, b, whole = (RoughPath.signature(path) for path in (first, second, joined))
    np.testing.assert_allclose(
        whole.level2, a.level2 + np.multiply.outer(a.level1, b.level1) + b.level2, atol=1e-8
    )
    np.testing.assert_allclose(
        whole.level3,
        a.level3
        + np.multiply.outer(a.level2, b.level1)
        + np.multiply.outer(a.level1, b.level2)
        + b.level3,
        atol=1e-7,
    )


@given(st.integers(0, 10_000), st.integers(1, 400))
def test_windows_are_disjoint_and_decide_alone(seed, length):
    samples = np.random.default_rng(seed).normal(size=(length, 4))
    monitor = RoughPath()
    states = [monitor.observe(sample) for sample in samples]
    values = monitor.summary()
    closed = length // WINDOW
    if closed:
        last = samples[(closed - 1) * WINDOW : closed * WINDOW]
        expected = RoughPath.norm(RoughPath.signature(last))
        assert values.signature_norm == pytest.approx(expected, rel=1e-12)
    assert all(state == RoughPathState.CALIBRATING for state in states[: 5 * WINDOW - 1])
    changes = [at + 1 for at in range(1, length) if states[at] != states[at - 1]]
    assert all(at % WINDOW == 0 for at in changes)
    assert values.anomaly_count == states[WINDOW - 1 :: WINDOW].count(RoughPathState.ANOMALOUS)


def test_baseline_is_frozen_while_anomalous():
    monitor = RoughPath()
    rng = np.random.default_rng(4)
    for sample in rng.normal(size=(6 * WINDOW, 4)) * 0.1:
        monitor.observe(sample)
    norm = monitor.summary().baseline_norm
    for sample in rng.normal(size=(20 * WINDOW, 4)) * 10.0:
        state = monitor.observe(sample)
    assert state is RoughPathState.ANOMALOUS
    assert monitor.summary().baseline_norm == norm
    assert monitor.summary().anomaly_score > 2.0


def test_constant_stream_scores_zero():
    monitor = RoughPath()
    for _ in range(6 * WINDOW):
        state = monitor.observe([0.02, 3.0, 0.5, 0.0])
    assert state is RoughPathState.NORMAL
    assert monitor.summary().anomaly_score == 0.0


@pytest.mark.parametrize(
    ("values", "error"),
    [([1.0, 2.0, 3.0], ValueError), ([[1.0] * 4], ValueError), (["a"] * 4, TypeError)],
)
def test_bad_samples_change_nothing(values, error):
    monitor = RoughPath()
    before = monitor.record.tobytes()
    with pytest.raises(error, match="values must"):
        monitor.observe(values)
    assert monitor.record.tobytes() == before


def test_path_must_have_four_columns():
    with pytest.raises(ValueError, match=r"shape \(m, 4\)"):
        RoughPath.signature(np.zeros((5, 3)))
