"""The exponent monitor against histograms by NumPy, the table of bins, and bad input."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.padic_valuation import PadicState, PadicValuation, exponent_bin

UPPER_EXPONENTS = [0, 205, 409, 614, 818, 1023, 1227, 1432, 1636, 1841, 2046, 2047]


def bin_of(number):
    bits = struct.unpack("<Q", struct.pack("<d", number))[0]
    return exponent_bin(np.uint64(bits))


def number_in(index):
    """A number whose exponent is the highest of a bin."""
    return struct.unpack("<d", struct.pack("<Q", UPPER_EXPONENTS[index] << 52))[0]


def test_bins_split_the_exponents_into_nearly_equal_bands():
    bins = [exponent_bin(np.uint64(exponent << 52 | 1)) for exponent in range(2048)]
    assert bins == sorted(bins)
    assert [2047 - bins[::-1].index(index) for index in range(12)] == UPPER_EXPONENTS


@given(st.floats(), st.floats(0.5, 1.0, exclude_max=True))
def test_sign_and_mantissa_play_no_part(number, mantissa):
    assert bin_of(number) == bin_of(-number)
    if math.isfinite(number) and abs(number) >= 2.0**-1022:
        assert bin_of(number) == bin_of(math.ldexp(mantissa, math.frexp(number)[1]))
    else:
        assert bin_of(number) == (0 if math.isfinite(number) else 11)


def judged(window, baseline, state):
    """State, distance and stability of a window's histogram, from the definitions."""
    change = np.abs(window - baseline)
    differing = np.flatnonzero(change > 1e-12)
    distance = 2.0 ** -int(differing[0]) if differing.size else 0.0
    stability = np.count_nonzero(change < 0.15) / 12.0
    exceptional = window[11] >= 0.25 or change[11] >= 0.10
    if exceptional or distance > 0.35 or stability < 0.30000000000000004:
        state = PadicState.EXCEPTIONAL_REGIME
    elif distance > 0.15:
        state = PadicState.DENORMAL_DRIFT
    else:
        state = PadicState.NORMAL
    return state, distance, stability


weights = st.dictionaries(st.integers(0, 11), st.integers(1, 64), min_size=1, max_size=6)


@given(weights, st.lists(weights, min_size=1, max_size=4), st.integers(0, 2**32))
def test_windows_are_judged_against_the_mean_of_four(calm, later, seed):
    rng = np.random.default_rng(seed)
    monitor, baseline, drifted = PadicValuation(), np.zeros(12), 0
    for index, mixture in enumerate([calm] * 4 + later):
        shares = np.array([mixture.get(bin_index, 0) for bin_index in range(12)], float)
        bins = rng.choice(12, 128, p=shares / shares.sum())
        for bin_index in bins[:-1]:
            monitor.observe_f64(number_in(bin_index))
        filled = np.bincount(bins[:-1], minlength=12) / 127.0
        assert monitor.effective_regimes == pytest.approx(1.0 / np.sum(filled**2))
        state = monitor.observe_f64(-number_in(bins[-1]))
        window = np.bincount(bins, minlength=12) / 128.0
        if index < 4:
            baseline = (index * baseline + window) / (index + 1.0)
            assert (state, monitor.baseline_ready) == (PadicState.CALIBRATING, index == 3)
            continue
        expected = judged(window, baseline, state)
        values = monitor.summary()
        assert (state, values.ultrametric_distance, values.hensel_stability) == expected
        drifted += state >= 2
        assert monitor.drift_count == drifted
        assert values.effective_regimes == 12.0


def test_state_holds_between_windows():
    monitor = PadicValuation()
    for _ in range(640):
        monitor.observe_f64(3.0)
    states = [monitor.observe_f64(math.nan) for _ in range(128)]
    assert states == [PadicState.NORMAL] * 127 + [PadicState.EXCEPTIONAL_REGIME]


@pytest.mark.parametrize(
    ("name", "argument", "error", "message"),
    [
        ("observe", -1, ValueError, "fp_bits must be an integer from 0"),
        ("observe", 2**64, ValueError, "fp_bits must be an integer from 0"),
        ("observe", 1.0, TypeError, "fp_bits must be an integer"),
        ("observe_f64", "1", TypeError, "value must be a real number"),
        ("observe_f64", True, TypeError, "value must be a real number"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(name, argument, error, message):
    monitor = PadicValuation()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        getattr(monitor, name)(argument)
    assert monitor.record.tobytes() == before
