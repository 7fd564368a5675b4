"""The check oracle against a plain model of its posterior and ranking, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.check_oracle import (
    CheckOracle,
    ordering_bias,
    pack_ordering,
    unpack_ordering,
)
from runtime_math.types import CheckStage, SafetyLevel

COSTS = [1, 5, 10, 30, 20, 10, 5]
DEFAULT = tuple(CheckStage)


class Model:
    """Beta posteriors in dictionaries, orderings by Python's stable sort."""

    def __init__(self):
        self.arms = {(c, s): [1.0, 1.0] for c in range(16) for s in range(7)}
        self.orderings = [list(range(7)) for _ in range(16)]
        self.reports = 0

    def report(self, context, ordering, exit_stage):
        for position, stage in enumerate(ordering):
            arm = self.arms[context, stage]
            arm[0 if position == exit_stage else 1] += 1.0
            if sum(arm) > 512.0:
                scale = 256.0 / (arm[0] + arm[1])
                arm[:] = [arm[0] * scale, arm[1] * scale]
            if position == exit_stage:
                break
        self.reports += 1
        if self.reports % 128 == 0:
            self.orderings = [self.ranked(c) for c in range(16)]

    def ranked(self, context):
        index = {}
        for stage, cost in enumerate(COSTS):
            alpha, beta = self.arms[context, stage]
            index[stage] = alpha / (alpha + beta) / cost
        order = sorted(range(7), key=lambda stage: -index[stage])
        place = order.index(0)
        order[0], order[place] = order[place], order[0]
        return order


@pytest.mark.parametrize("seed", range(6))
def test_posterior_and_orderings_follow_the_model(seed):
    rng = np.random.default_rng(seed)
    oracle, model = CheckOracle(), Model()
    families = rng.integers(0, 12, 3)
    for _ in range(2_000):
        family, aligned = int(rng.choice(families)), bool(rng.random() < 0.7)
        context = oracle.context_index(family, aligned)
        if rng.random() < 0.8:
            ordering = list(oracle.get_ordering(family, aligned, False))
        else:  # the caller's ordering need not be a permutation
            ordering = rng.integers(0, 7, 7).tolist()
        exit_stage = None if rng.random() < 0.6 else int(rng.integers(0, 9))
        oracle.report_outcome(family, aligned, True, ordering, exit_stage)
        model.report(context, ordering, exit_stage)
    assert [list(unpack_ordering(o)) for o in oracle.record["orderings"]] == model.orderings
    expected = np.array([[model.arms[c, s] for s in range(7)] for c in range(16)])
    np.testing.assert_array_equal(oracle.record["alpha"], expected[:, :, 0])
    np.testing.assert_array_equal(oracle.record["beta"], expected[:, :, 1])


reports = st.lists(
    st.tuples(st.integers(0, 255), st.booleans(), st.one_of(st.none(), st.integers(0, 2**63 - 1))),
    max_size=300,
)


@given(reports)
def test_orderings_are_permutations_that_start_with_null(calls):
    oracle = CheckOracle()
    exits = 0
    for family, aligned, exit_stage in calls:
        ordering = oracle.get_ordering(family, aligned, True)
        assert ordering[0] is CheckStage.NULL
        assert sorted(ordering) == list(CheckStage)
        oracle.report_outcome(family, aligned, False, ordering, exit_stage)
        exits += exit_stage is not None and exit_stage < 7
    assert oracle.summary()[:2] == (len(calls), exits)
    assert oracle.early_exit_rate == (exits / len(calls) if calls else 0.0)
    assert (oracle.record["alpha"] + oracle.record["beta"] <= 512.0).all()


def test_first_update_moves_untouched_contexts_to_the_order_of_the_prior():
    oracle = CheckOracle()
    for _ in range(127):
        oracle.report_outcome(0, False, False, DEFAULT, None)
    assert oracle.get_ordering(5, True, True) == DEFAULT
    oracle.report_outcome(0, False, False, DEFAULT, None)
    assert oracle.get_ordering(5, True, True) == (0, 1, 6, 2, 5, 4, 3)


@given(st.permutations(DEFAULT), st.sampled_from(SafetyLevel))
def test_bias_reads_the_first_two_stages(stages, mode):
    packed = pack_ordering(stages)
    assert unpack_ordering(packed) == tuple(stages)
    first, second = stages[:2]
    expected = 1
    if first == CheckStage.NULL and second in {3, 4, 5}:
        expected = 0
    elif first == CheckStage.NULL and second == 1 and mode != SafetyLevel.HARDENED:
        expected = 2
    assert ordering_bias(packed, int(mode)) == expected


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((256, True, True, DEFAULT, None), ValueError, "family must be an integer"),
        ((0, 1, True, DEFAULT, None), TypeError, "aligned must be a bool"),
        ((0, True, True, DEFAULT[:6], None), ValueError, "ordering_used must be 7 stages, got 6"),
        ((0, True, True, 7, None), TypeError, "ordering_used must be 7 stages"),
        ((0, True, True, (0, 1, 2, 3, 4, 5, 7), None), ValueError, r"ordering_used\[6\]"),
        ((0, True, True, DEFAULT, -1), ValueError, "exit_stage must be an integer from 0"),
        ((0, True, True, DEFAULT, 1.0), TypeError, "exit_stage must be an integer"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    oracle = CheckOracle()
    before = oracle.record.tobytes()
    with pytest.raises(error, match=message):
        oracle.report_outcome(*arguments)
    assert oracle.record.tobytes() == before
