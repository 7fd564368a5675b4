"""The bandit against the textbook UCB1 index, its gates, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.bandit import Bandit
from runtime_math.types import ApiFamily, SafetyLevel, ValidationProfile

FAST, FULL = ValidationProfile
FAMILY = ApiFamily.ALLOCATOR
LOW_RISK_PPM = 20_000
MODES = st.sampled_from(SafetyLevel)


def ucb1_choice(outcomes, mode):
    """Pick by UCB1 from lists of (cost, adverse) per arm."""
    for arm in (FAST, FULL):
        if not outcomes[arm]:
            return arm
    total = sum(map(len, outcomes.values()))
    exploration = 0.55 if mode == SafetyLevel.HARDENED else 0.35
    index = {}
    for arm, values in outcomes.items():
        utilities = [100_000 - 8 * cost - 20_000 * adverse for cost, adverse in values]
        bonus = math.sqrt(2 * max(math.log(total), 1.0) / len(values))
        index[arm] = sum(utilities) / len(utilities) + exploration * bonus
    return FULL if index[FULL] > index[FAST] else FAST


# Costs from a narrow range give means within reach of the exploration bonus.
OUTCOMES = st.tuples(
    st.sampled_from([FAST, FULL]),
    st.one_of(st.integers(20, 22), st.integers(0, 10_000)),
    st.sampled_from([False, False, False, True]),
)


@given(st.lists(OUTCOMES, max_size=40), MODES)
def test_choices_are_those_of_ucb1(calls, mode):
    monitor, outcomes = Bandit(), {FAST: [], FULL: []}
    for arm, cost, adverse in calls:
        assert monitor.select_profile(FAMILY, mode, LOW_RISK_PPM, 0) == ucb1_choice(outcomes, mode)
        monitor.observe(FAMILY, arm, cost, adverse)
        outcomes[arm].append((cost, adverse))
    assert monitor.select_profile(ApiFamily.LOADER, mode, LOW_RISK_PPM, 0) == FAST


@given(
    st.lists(st.integers(1, 3000), min_size=2, max_size=2),
    st.floats(-20.0, 20.0),
    MODES,
)
def test_exploration_decides_between_close_means(pulls, gap, mode):
    monitor = Bandit()
    record = monitor.record
    record["pulls"][FAMILY] = pulls
    record["utility_milli"][FAMILY] = [90_000 * pulls[0], round((90_000 + gap) * pulls[1])]
    means = record["utility_milli"][FAMILY] / pulls
    exploration = 0.55 if mode == SafetyLevel.HARDENED else 0.35
    bonus = exploration * np.sqrt(2 * max(math.log(sum(pulls)), 1.0) / np.array(pulls))
    fast, full = means + bonus
    expected = FULL if full > fast else FAST
    assert monitor.select_profile(FAMILY, mode, LOW_RISK_PPM, 0) == expected


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    MODES,
)
def test_gates_open_full_validation_for_an_unknown_family(risk_ppm, contention, mode):
    healing = mode == SafetyLevel.HARDENED
    gated = risk_ppm >= 300_000 or (healing and (risk_ppm >= 100_000 or contention >= 96))
    answer = Bandit().select_profile(FAMILY, mode, risk_ppm, contention)
    assert answer == (FULL if gated else FAST)


@pytest.mark.parametrize(
    ("cost_ns", "adverse", "utility"),
    [
        (15, True, 79_880),
        ((2**63 - 1) // 8, False, 100_000 - (2**63 - 8)),
        (2**60, True, 80_000 - (2**63 - 1)),
        (2**64 - 1, False, 100_008),
        (2**63, False, 100_000 - 2**63),
    ],
)
def test_costs_saturate_and_sums_wrap(cost_ns, adverse, utility):
    monitor = Bandit()
    monitor.observe(FAMILY, FULL, cost_ns, adverse)
    wrapped = np.int64(np.uint64(utility % 2**64))
    assert monitor.record["utility_milli"][FAMILY].tolist() == [0, wrapped]


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        ("select_profile", (0, 0, 0, 2**16), "contention_hint"),
        ("select_profile", (0, 3, 0, 0), "mode"),
        ("observe", (0, 2, 0, False), "profile"),
        ("observe", (0, 0, -1, False), "cost_ns"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(operation, arguments, message):
    monitor = Bandit()
    before = monitor.record.tobytes()
    with pytest.raises(ValueError, match=message):
        getattr(monitor, operation)(*arguments)
    assert monitor.record.tobytes() == before
