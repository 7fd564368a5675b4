"""Batches give exactly what single calls give, and refuse bad rows by number."""

import threading

import numpy as np
import pytest

from runtime_math import (
    CONTEXT,
    DECISION,
    EVENT,
    KERNEL_STATE,
    OUTCOME,
    EventKind,
    RuntimeContext,
    RuntimeMathKernel,
    SafetyLevel,
    jit,
    replay_ensemble,
)
from runtime_math.faithful.ordering import pack_ordering, unpack_ordering
from tests.kernel.traffic import random_events, states_equal


def call_by_call(kernel, events):
    """Results of the public single calls for the same events."""
    for event in events:
        family, kind = int(event["family"]), event["kind"]
        stage_context = family, bool(event["aligned"]), bool(event["recent_page"])
        if kind == EventKind.DECIDE:
            context = RuntimeContext(*(event[name].item() for name in RuntimeContext._fields))
            yield tuple(map(int, kernel.decide(int(event["mode"]), context)))
        elif kind == EventKind.OBSERVE:
            yield kernel.observe_validation_result(
                family, int(event["profile"]), int(event["cost_ns"]), bool(event["adverse"])
            )
        elif kind == EventKind.OVERLAP:
            names = ("left_shard", "right_shard", "witness")
            yield kernel.note_overlap(*(int(event[name]) for name in names))
        elif kind == EventKind.CHECK_ORDERING:
            yield pack_ordering(kernel.check_ordering(*stage_context))
        else:
            position = int(event["exit_stage"])
            yield kernel.note_check_order_outcome(
                *stage_context,
                unpack_ordering(int(event["ordering"])),
                None if position < 0 else position,
            )


@pytest.mark.parametrize("mode", list(SafetyLevel))
def test_replay_equals_single_calls(mode):
    events = random_events(3000, seed=int(mode))
    batched, single = RuntimeMathKernel(mode), RuntimeMathKernel(mode)
    results = batched.replay(events)
    for result, expected in zip(results, call_by_call(single, events), strict=True):
        if result["kind"] == EventKind.DECIDE:
            assert tuple(result[name] for name in DECISION.names) == expected
        elif result["kind"] == EventKind.OVERLAP:
            assert result["consistent"] == expected
        elif result["kind"] == EventKind.CHECK_ORDERING:
            assert result["ordering"] == expected
    assert states_equal(batched, single)


def test_decide_many_and_observe_many_equal_replay():
    events = random_events(500, seed=5, kinds=(EventKind.DECIDE,))
    events["mode"] = SafetyLevel.HARDENED
    contexts, outcomes = np.zeros(500, CONTEXT), np.zeros(500, OUTCOME)
    for array in (contexts, outcomes):
        for name in array.dtype.names:
            array[name] = events[name]
    many, replayed = (RuntimeMathKernel(SafetyLevel.HARDENED) for _ in range(2))
    decisions = many.decide_many(SafetyLevel.HARDENED, contexts)
    results = replayed.replay(events)
    for name in DECISION.names:
        assert (decisions[name] == results[name]).all()
    many.observe_many(outcomes)
    events["kind"] = EventKind.OBSERVE
    replayed.replay(events)
    assert states_equal(many, replayed)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("family", 9, r"events\[3\]: family must be from 0 to 8, got 9"),
        ("kind", 5, r"events\[3\]: kind must be from 0 to 4"),
        ("mode", 3, r"events\[3\]: mode"),
        ("profile", 2, r"events\[3\]: profile"),
        ("ordering", 0x7654321, r"events\[3\]: ordering must hold 7 stages"),
        ("ordering", 0x16543210, r"events\[3\]: ordering must hold 7 stages"),
        ("exit_stage", -2, r"events\[3\]: exit_stage must be at least -1, got -2"),
    ],
)
def test_bad_rows_are_named_and_nothing_is_done(field, value, message):
    kernel = RuntimeMathKernel(SafetyLevel.STRICT)
    before = kernel.states.tobytes()
    events = random_events(8, seed=1, kinds=(EventKind.NOTE_CHECK_ORDER,))
    events[field][3] = value
    with pytest.raises(ValueError, match=message):
        kernel.replay(events)
    assert kernel.states.tobytes() == before


def test_bool_fields_with_other_bytes_are_refused():
    raw = np.zeros(4, EVENT)
    raw["adverse"].view(np.uint8)[2] = 255
    with pytest.raises(ValueError, match=r"events\[2\]: adverse must be a bool"):
        RuntimeMathKernel(SafetyLevel.STRICT).replay(raw)


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.zeros(3), TypeError),
        ([(0, 0, 0, False, 0, False)], TypeError),
        (np.zeros((2, 2), CONTEXT), ValueError),
        (np.zeros(2, OUTCOME), TypeError),
    ],
)
def test_wrong_dtypes_and_shapes_are_refused(array, error):
    with pytest.raises(error, match="contexts must be"):
        RuntimeMathKernel(SafetyLevel.STRICT).decide_many(SafetyLevel.STRICT, array)


def test_empty_and_strided_batches():
    kernel, twin = (RuntimeMathKernel(SafetyLevel.STRICT) for _ in range(2))
    assert kernel.replay(np.zeros(0, EVENT)).shape == (0,)
    events = random_events(200, seed=3)
    assert (kernel.replay(events[::2]) == twin.replay(events[::2].copy())).all()


def test_ensemble_members_are_independent_kernels():
    events = random_events(400, seed=9)
    states = jit.new_state(SafetyLevel.HARDENED, 5)
    results = replay_ensemble(states, events, threads=2)
    alone = RuntimeMathKernel(SafetyLevel.HARDENED)
    expected = alone.replay(events)
    for member in range(5):
        assert (results[member] == expected).all()
        assert states[member].tobytes() == alone.states[0].tobytes()
    with pytest.raises(TypeError, match="states"):
        replay_ensemble(np.zeros(3), events)
    with pytest.raises(ValueError, match="threads"):
        replay_ensemble(states, events, threads=-1)


def test_threads_lose_no_call_and_apply_none_by_half():
    kernel = RuntimeMathKernel(SafetyLevel.STRICT)
    context = RuntimeContext.pointer_validation(4096)
    outcomes = np.zeros(300, OUTCOME)
    outcomes["cost_ns"] = 12
    failures = []

    def single():
        try:
            for _ in range(1500):
                decision = kernel.decide(SafetyLevel.STRICT, context)
                assert 0 <= decision.risk_upper_bound_ppm <= 1_000_000
                kernel.observe_validation_result(3, 0, 12, False)
        except Exception as error:
            failures.append(error)

    def batches():
        try:
            for _ in range(10):
                kernel.observe_many(outcomes)
        except Exception as error:
            failures.append(error)

    workers = [threading.Thread(target=work) for work in (single, batches, single, batches)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    state = kernel.states[0]
    assert state["decisions"] == 3000
    assert state["risk"]["calls"].tolist() == [6000, 0, 0, 3000, 0, 0, 0, 0, 0]
    assert state["control"]["observed_calls"] == 9000
    assert state["busy"] == 0
    assert kernel.states.dtype == KERNEL_STATE
