"""The risk limit against exact arithmetic and the binomial distribution, and bad input."""

import math
from decimal import ROUND_HALF_UP, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runtime_math.monitors.risk import MIN_CALLS, Risk
from runtime_math.types import ApiFamily


def fed(calls, adverse, **parameters):
    """Return a monitor with the given history of its first family."""
    monitor = Risk(**parameters)
    record = monitor.record
    for index in range(calls):
        monitor.observe(0, index < adverse)
    assert (record["calls"][0], record["adverse"][0]) == (calls, adverse)
    return monitor


@given(st.integers(MIN_CALLS, 300), st.floats(0.0, 1.0), st.sampled_from([0.0, 1.0, 3.0]))
def test_limit_agrees_with_exact_arithmetic(calls, share, z_score):
    adverse = round(share * calls)
    with localcontext() as context:
        context.prec = 50
        rate = Decimal(adverse + 1) / (calls + 2)
        limit = rate + Decimal(z_score) * (rate * (1 - rate) / (calls + 3)).sqrt()
        expected = min(limit, Decimal(1)) * 1_000_000
        expected = int(expected.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    assert fed(calls, adverse, z_score=z_score).upper_bound_ppm(0) == expected


def test_limit_covers_the_true_rate():
    rng = np.random.default_rng(3)
    rate, calls, runs = 0.05, 200, 120
    covered = 0
    for count in stats.binom.rvs(calls, rate, size=runs, random_state=rng):
        covered += fed(calls, count, z_score=2.0).upper_bound_ppm(0) >= rate * 1e6
    assert covered / runs >= stats.norm.cdf(2.0) - 0.05


@given(st.integers(MIN_CALLS, 120), st.data())
def test_more_adverse_outcomes_never_lower_the_limit(calls, data):
    adverse = data.draw(st.integers(0, calls - 1))
    lower = fed(calls, adverse).upper_bound_ppm(0)
    assert lower <= fed(calls, adverse + 1).upper_bound_ppm(0) <= 1_000_000


@given(st.lists(st.tuples(st.sampled_from(ApiFamily), st.booleans(), st.booleans()), max_size=300))
def test_families_are_independent_and_asking_changes_nothing(calls):
    together = Risk()
    apart = {family: Risk() for family in ApiFamily}
    for family, adverse, ask in calls:
        together.observe(family, adverse)
        apart[family].observe(family, adverse)
        if ask:
            together.upper_bound_ppm(family)
    for family in ApiFamily:
        assert together.summary(family) == apart[family].summary(family)


@pytest.mark.parametrize(
    ("calls", "adverse", "expected"),
    [(31, 0, 20_000), (32, 0, 115_089), (198, 0, 19_925), (31, 31, 20_000), (32, 32, 1_000_000)],
)
def test_warmup_and_its_jump(calls, adverse, expected):
    assert fed(calls, adverse).upper_bound_ppm(0) == expected


@pytest.mark.parametrize(
    ("z_score", "expected"), [(math.inf, 10**6), (-math.inf, 0), (math.nan, 0)]
)
def test_extreme_widths(z_score, expected):
    assert fed(40, 3, z_score=z_score).upper_bound_ppm(0) == expected


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"prior_ppm": -1}, ValueError),
        ({"prior_ppm": 2.0}, TypeError),
        ({"z_score": "3"}, TypeError),
    ],
)
def test_bad_parameters_are_refused(parameters, error):
    with pytest.raises(error, match=next(iter(parameters))):
        Risk(**parameters)


def test_bad_outcome_is_refused_and_changes_nothing():
    monitor = Risk()
    before = monitor.record.tobytes()
    with pytest.raises(TypeError, match="adverse must be a bool"):
        monitor.observe(ApiFamily.LOADER, 1)
    assert monitor.record.tobytes() == before
