"""Averages at rest among the subnormal numbers, against the plain arithmetic they replace."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.numerics.subnormals import (
    SMALLEST_SUBNORMAL,
    fused_average,
    ordered_bits,
    resting_bits,
    resting_point,
)

RETENTIONS = (0.98, 0.985, 0.97, 0.95)


@pytest.mark.parametrize("retention", RETENTIONS)
def test_resting_point_is_where_decay_from_above_ends(retention):
    number = 1e-300
    while number * retention != number:
        number *= retention
    assert number == resting_point(retention)


@pytest.mark.parametrize("retention", RETENTIONS)
@given(
    st.integers(-60, 60).map(lambda multiple: multiple * SMALLEST_SUBNORMAL) | st.floats(-1, 1),
    st.just(0.0) | st.floats(-1, 1),
)
def test_fused_average_rounds_once(retention, average, sample):
    exact = Fraction(average) * Fraction(retention) + Fraction(sample)
    assert fused_average(average, retention, sample, resting_point(retention)) == float(exact)


def test_a_smoothed_difference_rests_at_the_same_point():
    # s + 0.05 * (0 - s), as some monitors write the average, rests where 0.95 * s does.
    resting = resting_point(1.0 - 0.05)
    number, after = resting, resting + SMALLEST_SUBNORMAL
    assert number + 0.05 * (0.0 - number) == number
    assert after + 0.05 * (0.0 - after) < after


@given(st.floats(0, allow_nan=False), st.floats(0, allow_nan=False))
def test_bits_are_ordered_as_numbers_are(first, second):
    # Adding zero turns a negative zero into the positive one.
    assert (ordered_bits(first + 0.0) < ordered_bits(second + 0.0)) == (first < second)


@pytest.mark.parametrize("weight", [0.05, 0.1, 0.5])
def test_resting_bits_are_the_last_ones_of_which_nothing_is_left(weight):
    units = int(resting_bits(lambda number: weight * number == 0.0))
    assert weight * (units * SMALLEST_SUBNORMAL) == 0.0
    assert weight * ((units + 1) * SMALLEST_SUBNORMAL) > 0.0
