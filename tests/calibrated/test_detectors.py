"""Every e-detector against its promise: under its null, at the tolerance's edge, no drift."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.calibrated import (
    excess_mean,
    ladder,
    learnt_rate,
    rate_detector,
    tail_histogram,
    token_bucket,
    transition_order,
)
from runtime_math.calibrated.family_rates import FamilyRates
from runtime_math.calibrated.learnt_rate import LearntRateMonitor
from runtime_math.calibrated.level import RobustLevel
from runtime_math.calibrated.quarantine_queue import LAG, VOID, QuarantineQueue
from runtime_math.calibrated.tail_histogram import TailHistogram
from runtime_math.calibrated.token_bucket import TokenBucket
from runtime_math.numerics.compilation import jitted

RUNS = 20_000
CALLS = 12


def no_upward_drift(values, calls):
    """Whether the mean of final values is at most the number of calls, and close to it."""
    error = values.std() / np.sqrt(len(values))
    return values.mean() <= calls + 4 * error


@pytest.mark.parametrize("kind", rate_detector.Kind)
@pytest.mark.parametrize("null_rate", [0.001, 0.01, 0.1, 0.6])
def test_rate_ratios_have_mean_one_at_the_null(kind, null_rate):
    state = rate_detector.RateDetector(null_rate=null_rate, kind=kind).record
    hit, miss = state["ratios"]["hit"], state["ratios"]["miss"]
    assert null_rate * hit + (1 - null_rate) * miss == pytest.approx(np.ones(4))
    assert rate_detector.SHARES[kind].sum() == pytest.approx(1.0)
    assert (hit >= 1.0).all()


def test_ladder_bets_have_mean_one_on_uniform_p_values():
    levels = ladder.LEVELS[:, None]
    assert levels * ladder.WIN + (1 - levels) * ladder.LOSS == pytest.approx(np.ones((5, 2)))


@jitted
def rate_runs(states, outcomes, values):
    for run in range(outcomes.shape[0]):
        rate_detector.forget(states[0])
        for call in range(outcomes.shape[1]):
            values[run] = rate_detector.observe(states[0], outcomes[run, call])


@jitted
def ladder_runs(states, p_values, values):
    for run in range(p_values.shape[0]):
        ladder.init(states[0])
        for call in range(p_values.shape[1]):
            values[run] = ladder.observe(states[0], p_values[run, call], 1e6)


@jitted
def excess_runs(states, excesses, values):
    for run in range(excesses.shape[0]):
        excess_mean.forget(states[0])
        for call in range(excesses.shape[1]):
            values[run] = excess_mean.observe(states[0], excesses[run, call])


def test_rate_detector_drifts_by_one_a_call_at_its_null():
    detector = rate_detector.RateDetector(null_rate=0.05)
    outcomes = np.random.default_rng(1).random((RUNS, CALLS)) < 0.05
    values = np.zeros(RUNS)
    rate_runs(detector._storage, outcomes, values)
    assert no_upward_drift(values, CALLS)
    assert values.mean() > 0.5 * CALLS


def test_ladder_drifts_by_at_most_one_a_call_on_uniform_p_values():
    p_values = np.random.default_rng(2).random((RUNS, CALLS))
    values = np.zeros(RUNS)
    ladder_runs(ladder.ConformalLadder()._storage, p_values, values)
    assert no_upward_drift(values, CALLS)


def test_excess_detector_drifts_by_at_most_one_a_call_at_its_null_mean():
    detector = excess_mean.ExcessMeanDetector()
    generator = np.random.default_rng(3)
    for excess in (generator.random(3000) < 0.02).astype(float):
        detector.learn(float(excess), 1.0)
    null_mean = float(detector.record["null_mean"])
    assert 0.015 < null_mean < 0.06
    excesses = (generator.random((RUNS, CALLS)) < null_mean).astype(float)
    values = np.zeros(RUNS)
    excess_runs(detector._storage, excesses, values)
    assert no_upward_drift(values, CALLS)
    assert (detector.record["stakes"] * null_mean <= 0.5 + 1e-12).all()


def test_order_detector_forgives_its_tolerance():
    # Any law within the tolerance of the slow one: the factor's mean is at most the fast law's
    # total, which is one.
    monitor = transition_order.TransitionOrder(symbols=4, fast_rate=1 / 16, tolerance=1.5)
    generator = np.random.default_rng(4)
    for symbol in generator.choice(4, 2000, p=[0.4, 0.3, 0.2, 0.1]):
        monitor.learn(0, int(symbol), 1.0)
    for symbol in generator.choice(4, 40):
        monitor.observe(0, int(symbol))
    slow = monitor.record["slow"][0, :4] / monitor.record["row_total"][0]
    fast = monitor.record["fast"][0, :4]
    assert fast.sum() == pytest.approx(1.0)
    edge = np.array([1.5, 1.5, 1.0, 0.0]) * slow
    edge[3] = 1.0 - edge.sum() if edge.sum() < 1 else 0.0
    edge /= edge.sum()
    assert (edge <= 1.5 * slow + 1e-9).all()
    mixed = 0.95 * fast + 0.05 * slow
    assert (edge * mixed / (1.5 * slow)).sum() <= 1.0 + 1e-9


def test_mean_time_to_a_false_alarm_is_at_least_the_threshold():
    threshold, limit, runs = 100.0, 3000, 400
    detector = rate_detector.RateDetector(null_rate=0.02)
    outcomes = np.random.default_rng(5).random((runs, limit)) < 0.02
    times = []
    for row in outcomes:
        detector.forget()
        record, times_to = detector.record, limit
        for call, hit in enumerate(row, 1):
            if rate_detector.observe(record, hit) >= threshold:
                times_to = call
                break
        times.append(times_to)
    error = np.std(times) / np.sqrt(runs)
    assert np.mean(times) >= threshold - 2 * error


def test_p_values_are_uniform_on_exchangeable_values():
    generator = np.random.default_rng(6)
    histogram = TailHistogram()
    p_values = []
    for value in generator.integers(0, 40, 3000):
        p_values.append(histogram.p_value(int(value), float(generator.random())))
        histogram.learn(int(value), 1.0)
    for level in (0.05, 0.2, 0.5):
        share = np.mean(np.array(p_values[200:]) <= level)
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / 2800) + 0.01


@given(st.lists(st.integers(0, 255), min_size=1, max_size=200), st.integers(0, 255))
def test_tail_mass_agrees_with_brute_force(values, index):
    histogram = TailHistogram()
    growth = tail_histogram.GROWTH
    for value in values:
        histogram.learn(value, 1.0)
    ages = np.arange(len(values))[::-1]
    expected = (np.array(values) > index) @ growth ** -ages.astype(float)
    assert histogram.mass_above(index) == pytest.approx(expected, abs=1e-9)


@jitted
def learn_many(state, count):
    for call in range(count):
        tail_histogram.learn(state, call % 3, 1.0)


def test_memory_is_rescaled_without_a_trace():
    histogram = TailHistogram()
    learn_many(histogram.record, 400_000)
    assert histogram.count == pytest.approx(learnt_rate.MEMORY, rel=0.001)
    assert histogram.record["unit"] <= learnt_rate.LARGEST_UNIT
    assert histogram.mass_above(0) == pytest.approx(2 / 3 * learnt_rate.MEMORY, rel=0.01)


@given(st.lists(st.booleans(), max_size=400), st.lists(st.booleans(), max_size=400))
def test_token_bucket_bound_on_every_window(prefix, demand):
    bucket = TokenBucket()
    spent = []
    for wanted in itertools.chain(prefix, demand):
        bucket.refill()
        spent.append(wanted and bucket.take())
    total = np.concatenate([[0], np.cumsum(spent)])
    for length in (1, 5, 50, 200, 400):
        if length < len(total):
            assert (total[length:] - total[:-length]).max() <= 16 + 0.005 * length
    assert token_bucket.tokens(bucket.record) >= 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=700), st.integers(0, 3))
def test_queue_releases_in_order_and_never_what_was_voided(pushed, voided):
    queue, model = QuarantineQueue(), []
    for number, (family, action) in enumerate(pushed):
        released = queue.push(family, number)
        model.append((family, number))
        if len(model) > LAG:
            expected_family, expected = model.pop(0)
            assert released == expected_family
            if expected_family != VOID:
                assert int(queue.record["released"]) == expected
        else:
            assert released == VOID
        if action == 9 and number % 50 == 0:
            queue.void_family(voided)
            model = [(VOID if f == voided else f, n) for f, n in model]


def test_alike_families_share_their_bound_and_unlike_ones_do_not():
    generator = np.random.default_rng(7)
    alike, unlike = FamilyRates(margin=1.5), FamilyRates(margin=1.5)
    for call in range(9000):
        family = call % 9
        luck = generator.random()
        alike.learn(family, luck < 0.01, 1.0)
        unlike.learn(family, luck < (0.05 if family == 4 else 0.005), 1.0)
    # Strict comparison with what each family alone would give: the pool makes the bound tighter.
    alone = 0.01 + 1.5 * np.sqrt(0.01 * 0.99 / 700)
    assert alike.summary(0).bound < alone
    assert unlike.summary(4).rate > 0.03
    assert unlike.summary(0).bound < 0.02


@given(st.floats(0.01, 0.5), st.integers(1, 8))
def test_no_rate_above_the_ceiling_is_learnt(ceiling, family):
    rates = FamilyRates(ceiling=ceiling)
    for _ in range(600):
        rates.learn(family, True, 1.0)
    assert rates.summary(family).bound <= ceiling + 1e-12
    assert rates.record["hits"][family] <= ceiling * rates.record["trials"][family] + 1e-9


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=50))
def test_one_value_moves_a_level_by_at_most_its_step(values):
    monitor = RobustLevel(memory=8)
    monitor.learn(values[0], 1.0)
    for count, value in enumerate(values[1:], 2):
        before = monitor.level
        monitor.learn(value, 1.0)
        assert abs(monitor.level - before) <= 1.0 / min(count, 8) * (1 + 1e-9) + 1e-9 * abs(before)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: rate_detector.RateDetector(null_rate=0.0), "null_rate must be between 0 and 1"),
        (lambda: LearntRateMonitor(prior_trials=-1.0), "prior_trials must be above 0"),
        (lambda: transition_order.TransitionOrder(symbols=10), "symbols must be an integer"),
        (lambda: transition_order.TransitionOrder(tolerance=0.5), "tolerance must be at least 1"),
        (lambda: ladder.ConformalLadder().observe(1.5, 10.0), "p must be from 0 to 1"),
    ],
)
def test_bad_input(build, message):
    with pytest.raises(ValueError, match=message):
        build()
