# pyright: strict
"""A program that uses the kernel as a typed package; type checkers read it, nobody runs it."""

from pathlib import Path
from typing import assert_type

import numpy as np
import numpy.typing as npt

from runtime_math import (
    EVENT,
    KERNEL_STATE,
    ApiFamily,
    CheckStage,
    EventKind,
    Explanation,
    MembraneAction,
    RuntimeContext,
    RuntimeDecision,
    RuntimeMathKernel,
    SafetyLevel,
    StateFileError,
    TraceError,
    configured_mode,
    new_state,
    read_events,
    replay_ensemble,
)
from runtime_math.calibrated.kernel import CalibratedKernel
from runtime_math.calibrated.status import Alarm, Status
from runtime_math.conformance import Conformance, check_trace
from runtime_math.monitors.changepoint import Changepoint, ChangepointState
from runtime_math.scenarios import Scenario, generate


def single_calls(kernel: RuntimeMathKernel) -> int:
    context = RuntimeContext.pointer_validation(0x7F12_3456_7000)
    assert_type(context, RuntimeContext)
    assert_type(context.family, ApiFamily)
    decision = kernel.decide(SafetyLevel.STRICT, context)
    assert_type(decision, RuntimeDecision)
    assert_type(decision.action, MembraneAction)
    assert_type(decision.requires_full_validation, bool)
    kernel.observe_validation_result(context.family, decision.profile, 120, False)
    assert_type(kernel.check_ordering(ApiFamily.STDIO, True, False), tuple[CheckStage, ...])
    kernel.note_check_order_outcome(ApiFamily.STDIO, True, False, list(CheckStage), None)
    assert_type(kernel.note_overlap(1, 2, 3), bool)
    why = kernel.explain(kernel.mode, context)
    assert_type(why, Explanation)
    assert_type(why.terms, dict[str, int])
    return decision.risk_upper_bound_ppm


def batches(kernel: RuntimeMathKernel) -> npt.NDArray[np.void]:
    events = np.zeros(3, EVENT)
    events["kind"] = EventKind.DECIDE
    assert_type(kernel.replay(events), npt.NDArray[np.void])
    return replay_ensemble(new_state(SafetyLevel.STRICT, 8), events)


def state_as_a_value(path: Path) -> RuntimeMathKernel:
    kernel = RuntimeMathKernel(configured_mode())
    assert_type(kernel, RuntimeMathKernel)
    with kernel.record(path) as recorded:
        assert_type(recorded, RuntimeMathKernel)
    try:
        kernel.load(path)
        for events, results in read_events(path):
            assert_type(events, npt.NDArray[np.void])
            assert_type(results, npt.NDArray[np.void])
    except (StateFileError, TraceError):
        kernel.reset()
    assert_type(check_trace(path), Conformance)
    assert_type(kernel.copy(), RuntimeMathKernel)
    return RuntimeMathKernel.from_states(np.zeros(1, KERNEL_STATE))


def calibrated() -> list[Alarm]:
    kernel = CalibratedKernel(SafetyLevel.STRICT, alpha_alarm=0.02, monitors="none")
    kernel.acknowledge(ApiFamily.ALLOCATOR, learn=False)
    status = kernel.status()
    assert_type(status, Status)
    return list(status.alarms)


def one_monitor() -> bool:
    monitor = Changepoint()
    monitor.observe(True)
    assert_type(monitor.state, ChangepointState)
    return monitor.copy().state is ChangepointState.STABLE


def labelled_traffic() -> int:
    scenario = generate("bursts", incident="lat2", seed=1)
    assert_type(scenario, Scenario)
    assert_type(scenario.incident, str | None)
    return scenario.end - scenario.start
