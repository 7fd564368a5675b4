"""The Serre monitor against a direct transcription of its definition, and bad input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.serre_spectral import (
    InvariantClass,
    LayerPair,
    SerreSpectral,
    SerreState,
)

CELLS = st.tuples(st.sampled_from(LayerPair), st.sampled_from(InvariantClass))
# Each run spreads over a few cells, and fails in some percentage of its checks.
RUNS = st.lists(
    st.tuples(
        st.lists(CELLS, min_size=1, max_size=4),
        st.sampled_from([0, 3, 10, 35, 70, 100]),
        st.integers(10, 300),
    ),
    min_size=1,
    max_size=5,
)


def state_of(total, page, density, snapshot):
    largest = max(density)
    trend = 0.0
    if page > 2:
        for now, then in zip(density, snapshot, strict=True):
            trend += now - then
        trend /= 12.0
    if total < 64:
        return SerreState.CALIBRATING
    if largest >= 0.30 and trend > 0.01:
        return SerreState.COLLAPSED
    if largest >= 0.10 or (largest >= 0.03 and trend > 0.0):
        return SerreState.LIFTING_FAILURE
    return SerreState.CONVERGED


@given(RUNS, st.randoms(use_true_random=False))
def test_bands_and_running_drift_give_the_defined_state(runs, random):
    monitor, plain = SerreSpectral(), SerreSpectral()
    total, snapshot, previous, entries = 0, [0.0] * 12, SerreState.CALIBRATING, {2: 0, 3: 0}
    for cells, percent, length in runs:
        for _ in range(length):
            pair, invariant = random.choice(cells)
            succeeded = random.random() * 100 >= percent
            state = monitor.observe_and_update(pair, invariant, succeeded)
            assert plain.observe(pair, invariant, succeeded) == state
            total += 1
            density = monitor.record["density"].tolist()
            if total % 256 == 0:
                snapshot = density
            assert state == state_of(total, 2 + total // 256, density, snapshot)
            if state != previous and state in entries:
                entries[state] += 1
            previous = state
    values = monitor.summary
    assert values.nontrivial_cells == sum(rate >= 0.10 for rate in density)
    assert (values.lifting_failure_count, values.collapse_count) == (entries[2], entries[3])
    assert plain.summary.lifting_failure_count == plain.summary.collapse_count == 0
    assert monitor.current_page == 2 + total // 256


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_a_rate_is_the_exponential_average_of_its_own_cell(outcomes):
    monitor, rate = SerreSpectral(), 0.0
    for number, succeeded in enumerate(outcomes):
        monitor.observe(LayerPair.MEMBRANE_TO_CORE, InvariantClass.SIDE_EFFECT_ORDER, succeeded)
        monitor.observe(LayerPair.ABI_TO_CORE, InvariantClass(number % 4), True)
        rate += 0.015 * ((not succeeded) - rate)
    assert monitor.max_density == pytest.approx(rate, rel=1e-12)
    assert monitor.record["cell_failures"].sum() == outcomes.count(False)


def test_a_worsening_run_is_a_saw_tooth():
    monitor = SerreSpectral()
    states = [
        monitor.observe_and_update(call % 3, call % 4, call < 256 or call % 2 == 0)
        for call in range(1024)
    ]
    assert states[255] is SerreState.CONVERGED
    for turn in (511, 767, 1023):
        assert states[turn] is SerreState.LIFTING_FAILURE
        assert monitor.trend == 0.0
    assert SerreState.COLLAPSED in states


@pytest.mark.parametrize(
    ("rising", "falling", "state"),
    [
        ([0.0125, 0.025, 0.0, 0.05], [0.0, 0.0, 0.0375, 0.05], SerreState.LIFTING_FAILURE),
        ([0.0, 0.0, 0.0375, 0.05], [0.0125, 0.025, 0.0, 0.05], SerreState.CONVERGED),
    ],
)
def test_rises_and_falls_that_cancel_are_decided_in_cell_order(rising, falling, state):
    # In doubles (0.1 + 0.2) - 0.3 is not zero: the sign of the rounded sum decides. The running
    # drift is set to the opposite sign, as its own rounding could have made it.
    monitor = SerreSpectral()
    record = monitor.record
    record["total_observations"], record["current_page"] = 300, 3
    record["density"][:4], record["previous_density"][:4] = rising, falling
    record["cells_above_converged"] = sum(rate >= 0.03 for rate in rising)
    record["drift"] = -1e-16 if state is SerreState.LIFTING_FAILURE else 1e-16
    assert monitor.observe(LayerPair.ABI_TO_CORE, InvariantClass.ERROR_RECOVERY, True) is state


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, 0, True), ValueError, "layer_pair must be a member of LayerPair"),
        ((0, 4, True), ValueError, "invariant_class must be a member of InvariantClass"),
        ((0, 0, 1), TypeError, "lifted_ok must be a bool"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    monitor = SerreSpectral()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        monitor.observe_and_update(*arguments)
    assert monitor.record.tobytes() == before
