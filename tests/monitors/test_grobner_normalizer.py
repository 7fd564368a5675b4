"""The constraint check against a coefficient matrix, its thresholds, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors import grobner_normalizer
from runtime_math.monitors.grobner_normalizer import (
    BOUNDS,
    CALIBRATION_CHECKS,
    VARIABLE_COUNT,
    GrobnerNormalizer,
    GrobnerState,
    Variable,
)

VECTORS = st.lists(st.integers(0, 3), min_size=VARIABLE_COUNT, max_size=VARIABLE_COUNT)
BYTES = st.lists(st.integers(0, 255), min_size=VARIABLE_COUNT, max_size=VARIABLE_COUNT)
# Linear constraints as {variable: coefficient}; the only product is constraint 6.
LINEAR = [
    {"ANYTIME_OR_PADIC": 1, "RISK_LEVEL": -1},
    {"CVAR": 1, "RISK_LEVEL": -1},
    {"KTHEORY": 1, "SERRE": 1},
    {"TSTRUCTURE": 1, "MICROLOCAL": -1},
    {"TSTRUCTURE": 1, "SERRE": -1},
    {"CLIFFORD": 1, "EQUIVARIANT": -1},
    {},
    {"BRIDGE": 1, "CHANGEPOINT": 1},
    {"HJI": 1, "MEAN_FIELD": -1},
    {"HIGHER_TOPOS": 1, "COMMITMENT_AUDIT": -1},
    {"MICROLOCAL": 1, "RISK_LEVEL": -1},
    {"RISK_LEVEL": 1, "BRIDGE": 1, "CHANGEPOINT": 1, "HJI": 1},
]
COEFFICIENTS = np.zeros((len(LINEAR), VARIABLE_COUNT), int)
for _row, _terms in enumerate(LINEAR):
    for _name, _coefficient in _terms.items():
        COEFFICIENTS[_row, Variable[_name]] = _coefficient

CLEAN = [0] * VARIABLE_COUNT
ONE_BROKEN = [0, 0, 0, 0, 3, *([0] * 11)]
THREE_BROKEN = [0, 0, 0, 0, 3, 3, 0, 0, 0, 3, *([0] * 6)]


def values_of(codes):
    values = COEFFICIENTS @ np.array(codes)
    values[6] = codes[Variable.RISK_LEVEL] * codes[Variable.COUPLING]
    return values


@given(st.one_of(VECTORS, BYTES))
def test_values_are_those_of_the_matrix_and_the_product(codes):
    values = grobner_normalizer.evaluate_constraints(np.array(codes, np.uint8))
    assert list(values) == values_of(codes).tolist()


@given(st.lists(st.one_of(VECTORS, BYTES), min_size=1, max_size=30))
def test_rate_is_the_average_of_the_violated_share(vectors):
    monitor, rate = GrobnerNormalizer(), 0.0
    for codes in vectors:
        assert monitor.check_state_vector(codes) is GrobnerState.CALIBRATING
        excess = values_of(codes) - BOUNDS
        rate += 0.02 * ((excess > 0).mean() - rate)
        summary = monitor.summary()
        assert summary.last_violations == (excess > 0).sum()
        assert summary.max_excess == max(0, excess.max())
    assert monitor.summary().violation_rate == pytest.approx(rate, rel=1e-9, abs=1e-15)


def run(*blocks):
    """Check each (codes, times) block; returns the monitor and the last state."""
    monitor = GrobnerNormalizer()
    for codes, times in blocks:
        for _ in range(times):
            state = monitor.check_state_vector(codes)
    return monitor, state


@pytest.mark.parametrize(
    ("codes", "state"),
    [
        (CLEAN, GrobnerState.CONSISTENT),
        (ONE_BROKEN, GrobnerState.CONSISTENT),
        ([0, 0, 0, 0, 3, 3, *([0] * 10)], GrobnerState.MINOR_INCONSISTENCY),
        (THREE_BROKEN, GrobnerState.MINOR_INCONSISTENCY),
        ([3] * VARIABLE_COUNT, GrobnerState.STRUCTURAL_FAULT),
    ],
)
def test_verdict_by_count_from_the_64th_check(codes, state):
    assert run((codes, CALIBRATION_CHECKS - 1))[1] is GrobnerState.CALIBRATING
    assert run((codes, CALIBRATION_CHECKS))[1] is state


def test_three_violations_keep_whichever_side_of_the_fault_rate_they_come_from():
    from_below, below = run((THREE_BROKEN, 4000))
    from_above, above = run(([3] * VARIABLE_COUNT, 400), (THREE_BROKEN, 4000))
    assert from_below.summary().violation_rate < 0.25 < from_above.summary().violation_rate
    assert from_above.summary().violation_rate == pytest.approx(0.25, rel=1e-14)
    assert (below, above) == (GrobnerState.MINOR_INCONSISTENCY, GrobnerState.STRUCTURAL_FAULT)
    assert from_above.summary().fault_count == 1


def test_the_rate_alone_keeps_a_fault_after_its_cause_and_a_second_entry_counts():
    monitor, _ = run(([3] * VARIABLE_COUNT, 100))
    states = [monitor.check_state_vector(CLEAN) for _ in range(200)]
    assert states[0] is GrobnerState.STRUCTURAL_FAULT
    assert states == sorted(states, reverse=True)
    assert set(states) == {3, 2, 1}
    assert monitor.check_state_vector([3] * VARIABLE_COUNT) is GrobnerState.STRUCTURAL_FAULT
    assert monitor.summary().fault_count == 2


@pytest.mark.parametrize(
    ("codes", "error"), [([0] * 15, ValueError), ([0.0] * 16, TypeError), ([256] * 16, ValueError)]
)
def test_bad_vectors_are_refused(codes, error):
    monitor = GrobnerNormalizer()
    with pytest.raises(error, match="codes"):
        monitor.check_state_vector(codes)
    assert monitor.summary().checks == 0
