"""The spectral monitor against plain power iteration, random-matrix limits, and bad input."""

import functools
import math
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.spectral_monitor import (
    EDGE,
    FLUCTUATION,
    FLUCTUATION_DECAY,
    SpectralMonitor,
    SpectralPhase,
)


def left_to_right(terms):
    # The builtin sum of later Python versions compensates its rounding errors.
    return functools.reduce(operator.add, terms)


def iterated(matrix):
    """Fifty normalised products per start vector, left to right, then deflation; no early stop."""
    remainder = [[float(entry) for entry in row] for row in matrix]
    values = []
    for start in range(4):
        vector, value = [float(row == start) for row in range(4)], 0.0
        for _ in range(50):
            image = [left_to_right(map(operator.mul, row, vector)) for row in remainder]
            norm = math.sqrt(left_to_right(entry * entry for entry in image))
            if norm < 1e-15:
                break
            vector, value = [entry / norm for entry in image], norm
        values.append(value)
        remainder = [
            [entry - (value * own) * other for entry, other in zip(row, vector, strict=True)]
            for row, own in zip(remainder, vector, strict=True)
        ]
    return values


def fed(samples):
    monitor = SpectralMonitor()
    phases = [monitor.observe(*map(float, sample)) for sample in samples]
    return monitor, phases


@given(st.integers(0, 10_000), st.floats(0.0, 0.95))
def test_signature_is_that_of_the_window(seed, correlation):
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(64 + seed % 100, 4))
    samples[:, 1] = correlation * samples[:, 0] + (1.0 - correlation) * samples[:, 1]
    monitor, _ = fed(samples)
    values = monitor.signature()
    matrix = np.corrcoef(samples[-64:], rowvar=False)
    spectrum = sorted(iterated(matrix), reverse=True)
    assert values.max_eigenvalue == pytest.approx(spectrum[0], rel=1e-9)
    assert values.edge_ratio == pytest.approx(2 * spectrum[0] / (spectrum[1] + spectrum[2]), 1e-9)
    assert values.mp_edge == pytest.approx((1 + math.sqrt(4 / 64)) ** 2, rel=1e-12)


def test_converged_iteration_finds_the_eigenvalues():
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))
    matrix = rotation @ np.diag([8.0, 3.0, 1.0, 0.2]) @ rotation.T
    assert sorted(SpectralMonitor.eigenvalues(matrix)) == pytest.approx([0.2, 1.0, 3.0, 8.0])


@given(st.lists(st.floats(-2.0, 2.0), min_size=16, max_size=16))
def test_early_stop_changes_no_bit(entries):
    matrix = np.array(entries).reshape(4, 4).round(1)
    assert SpectralMonitor.eigenvalues(matrix) == iterated(matrix)


def test_period_two_ends_on_the_parity_of_step_fifty():
    swap = np.zeros((4, 4))
    swap[0, 1] = swap[1, 0] = 1.0
    swap[2, 3] = swap[3, 2] = 2.0
    assert SpectralMonitor.eigenvalues(swap) == [
        1.0,
        1.618033988749895 - 2.0**-52,
        2.0,
        3.2360679774997894,
    ]


def test_phases_follow_a_change_of_correlation():
    rng = np.random.default_rng(11)
    calm = rng.normal(size=(400, 4))
    coupled = rng.normal(size=(1, 120, 1)) + 0.05 * rng.normal(size=(1, 120, 4))
    monitor, phases = fed(np.concatenate([calm, coupled[0]]))
    assert phases[:63] == [SpectralPhase.STATIONARY] * 63
    assert SpectralPhase.NEW_REGIME in phases[400:]
    first = phases[400:].index(SpectralPhase.NEW_REGIME)
    assert phases[400 + first - 2 : 400 + first] == [SpectralPhase.TRANSITIONING] * 2
    entries = sum(
        now == SpectralPhase.NEW_REGIME != before
        for before, now in zip(phases, phases[1:], strict=False)
    )
    assert monitor.transition_count == entries == monitor.signature().transition_count


def test_repeating_window_gives_the_figures_of_a_fresh_evaluation():
    cycle = np.random.default_rng(2).integers(0, 9, size=(16, 4))
    monitor, _ = fed(np.tile(cycle, (40, 1)))
    values = monitor.signature()
    spectrum = sorted(iterated(np.corrcoef(cycle, rowvar=False)), reverse=True)
    assert values.max_eigenvalue == pytest.approx(spectrum[0], rel=1e-9)
    assert values.cusum == 0.0
    assert abs(values.tw_delta) < 1e-9


def test_constants_are_those_of_the_fill():
    fills = np.array([16, 32, 48, 64])
    growth = 1.0 + np.sqrt(4.0 / fills)
    np.testing.assert_allclose(EDGE[1:], growth**2, rtol=1e-14)
    np.testing.assert_allclose(FLUCTUATION[1:], growth ** (4 / 3), rtol=1e-14)
    np.testing.assert_allclose(FLUCTUATION_DECAY[1:], fills ** (-2 / 3), rtol=1e-14)


@pytest.mark.parametrize(
    ("sample", "error"),
    [((1.0, 2.0, 3.0, "4"), TypeError), ((1.0, True, 3.0, 4.0), TypeError)],
)
def test_samples_must_be_real_numbers(sample, error):
    monitor = SpectralMonitor()
    before = monitor.record.tobytes()
    with pytest.raises(error, match="must be a real number"):
        monitor.observe(*sample)
    assert monitor.record.tobytes() == before


def test_matrix_must_be_four_by_four():
    with pytest.raises(ValueError, match=r"shape \(4, 4\)"):
        SpectralMonitor.eigenvalues(np.eye(3))
