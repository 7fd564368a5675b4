"""The kernel inside other people's jitted code, and the compile cache behind it."""

from pathlib import Path

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import runtime_math
from runtime_math import ApiFamily, RuntimeContext, RuntimeMathKernel, SafetyLevel, jit
from runtime_math.calibrated import jit as calibrated

PACKAGE = Path(runtime_math.__file__).parent


@njit
def serve(states, mode, addresses):
    state, full = states[0], 0
    for address in addresses:
        decision = jit.decide(state, mode, 2, address, np.uint64(100), True, 3, False)
        full += decision.profile
        cost_ns = np.uint64(120) if decision.profile else np.uint64(12)
        jit.observe_validation_result(state, 2, decision.profile, cost_ns, False)
        if not jit.note_overlap(state, np.uint64(1), np.uint64(2), np.uint64(0)):
            return -1
        ordering = jit.check_ordering(state, 2, True, True)
        jit.note_check_order_outcome(state, 2, True, True, ordering, 1)
    return full


def test_jitted_loop_equals_python_calls():
    states = jit.new_state(SafetyLevel.HARDENED)
    addresses = np.arange(500, dtype=np.uint64) * np.uint64(64)
    full = serve(states, 1, addresses)
    kernel = RuntimeMathKernel(SafetyLevel.HARDENED)
    expected = 0
    for address in addresses.tolist():
        context = RuntimeContext(2, address, 100, True, 3)
        decision = kernel.decide(SafetyLevel.HARDENED, context)
        expected += decision.profile
        kernel.observe_validation_result(
            2, decision.profile, 120 if decision.profile else 12, False
        )
        assert kernel.note_overlap(1, 2, 0)
        ordering = kernel.check_ordering(2, True, True)
        kernel.note_check_order_outcome(2, True, True, ordering, 1)
    assert full == expected
    assert states.tobytes() == kernel.states.tobytes()


@njit
def serve_columns(states, addresses, costs_ns, flags):
    state = states[0]
    for row in range(addresses.shape[0]):
        decision = jit.decide(state, 1, 2, addresses[row], 64, flags[row], flags[row], False)
        jit.observe_validation_result(state, 2, decision.profile, costs_ns[row], flags[row])


@pytest.mark.parametrize("kind", [np.int8, np.int32, np.int64, np.uint32, np.uint64, np.bool_])
def test_integers_of_every_type_make_the_same_kernel(kind):
    costs_ns = (np.arange(300) * 37 % 120).astype(kind)
    flags = (costs_ns % 7 == 0).astype(kind)
    states = jit.new_state(SafetyLevel.HARDENED)
    serve_columns(states, costs_ns, costs_ns, flags)
    kernel = RuntimeMathKernel(SafetyLevel.HARDENED)
    for cost_ns, flag in zip(map(int, costs_ns), map(bool, flags), strict=True):
        context = RuntimeContext(2, cost_ns, 64, flag, int(flag))
        decision = kernel.decide(SafetyLevel.HARDENED, context)
        kernel.observe_validation_result(2, decision.profile, cost_ns, flag)
    assert states.tobytes() == kernel.states.tobytes()


@njit
def serve_literals(states):
    decision = jit.decide(
        states[0], SafetyLevel.HARDENED, ApiFamily.STRING_MEMORY, 5, 6, True, 1, 0
    )
    jit.observe_validation_result(states[0], 2, decision.profile, 12, False)


def test_literals_and_enumeration_members_are_integers_too():
    states = jit.new_state(SafetyLevel.HARDENED)
    serve_literals(states)
    kernel = RuntimeMathKernel(SafetyLevel.HARDENED)
    decision = kernel.decide(SafetyLevel.HARDENED, RuntimeContext(2, 5, 6, True, 1, False))
    kernel.observe_validation_result(2, decision.profile, 12, False)
    assert states.tobytes() == kernel.states.tobytes()


def test_values_out_of_range_are_told_before_the_state_changes():
    wrong = {
        "addr_hint": ([-1], [1], [0]),
        "is_write": ([1], [1], [2]),
        "cost_ns": ([1], [-(2**63)], [1]),
    }
    for name, columns in wrong.items():
        states = jit.new_state(SafetyLevel.HARDENED)
        before = states.tobytes()
        with pytest.raises(ValueError, match=name):
            serve_columns(states, *map(np.array, columns))
        # The decision of the same row came before the observation that is refused.
        assert (states.tobytes() == before) == (name != "cost_ns")


@pytest.mark.parametrize("exit_stage", [-2, np.uint64(2**64 - 1), np.int8(-128)])
def test_no_exit_is_minus_one_and_nothing_else(exit_stage):
    @njit
    def note(states, exit_stage):
        jit.note_check_order_outcome(states[0], 0, True, False, 0x6543210, exit_stage)

    states = jit.new_state(SafetyLevel.STRICT)
    note(states, np.int8(-1))
    before = states.tobytes()
    with pytest.raises(ValueError, match="exit_stage must be from -1 to"):
        note(states, exit_stage)
    assert states.tobytes() == before


def test_numbers_that_are_no_integers_are_refused_when_compiling():
    @njit
    def observe(states, cost_ns):
        jit.observe_validation_result(states[0], 0, 0, cost_ns, False)

    with pytest.raises(TypingError, match="cost_ns must be an integer, got float64"):
        observe(jit.new_state(0), 12.0)


@njit
def serve_calibrated(states, addresses, costs_ns, flags):
    state, alarms = states[0], 0
    for row in range(addresses.shape[0]):
        decision = calibrated.decide(state, 1, 2, addresses[row], 64, flags[row], flags[row], False)
        calibrated.observe_validation_result(state, 2, decision.profile, costs_ns[row], flags[row])
        calibrated.note_overlap(state, addresses[row], 2, 3)
        order = calibrated.check_ordering(state, 2, flags[row], True)
        calibrated.note_check_order_outcome(state, 2, flags[row], True, order, 1)
        alarms += calibrated.in_alarm(state, flags[row])
    return alarms


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint64, np.bool_])
def test_calibrated_kernel_takes_integers_of_every_type(kind):
    costs_ns = (np.arange(300) * 37 % 120).astype(kind)
    flags = (costs_ns % 7 == 0).astype(kind)
    states = calibrated.new_state(SafetyLevel.HARDENED, monitors="none")
    serve_calibrated(states, costs_ns, costs_ns, flags)
    kernel = RuntimeMathKernel(SafetyLevel.HARDENED, policy="calibrated", monitors="none")
    for cost_ns, flag in zip(map(int, costs_ns), map(bool, flags), strict=True):
        context = RuntimeContext(2, cost_ns, 64, flag, int(flag))
        decision = kernel.decide(SafetyLevel.HARDENED, context)
        kernel.observe_validation_result(2, decision.profile, cost_ns, flag)
        kernel.note_overlap(cost_ns, 2, 3)
        order = kernel.check_ordering(2, flag, True)
        kernel.note_check_order_outcome(2, flag, True, order, 1)
    assert states.tobytes() == kernel.states.tobytes()


@njit
def settle(states, family, learn):
    if learn:
        calibrated.acknowledge(states[0], family)
    else:
        calibrated.reset_alarms(states[0], family)


@pytest.mark.parametrize("learn", [True, False])
def test_calibrated_kernel_is_acknowledged_for_one_family_or_all(learn):
    for family in (-1, 0, 8, np.uint8(3)):
        states = calibrated.new_state(SafetyLevel.STRICT, monitors="none")
        settle(states, family, learn)
        kernel = RuntimeMathKernel(SafetyLevel.STRICT, policy="calibrated", monitors="none")
        kernel.acknowledge(None if family == -1 else int(family), learn=learn)
        assert states.tobytes() == kernel.states.tobytes()
    for family in (-2, 9, 2**40, np.uint64(2**64 - 1), np.int8(-2)):
        before = states.tobytes()
        with pytest.raises(ValueError, match="family must be from -1 to 8"):
            settle(states, family, learn)
        assert states.tobytes() == before
