"""The builtins of a kernel do what its methods do, and give way where they must."""

import inspect
import threading
import time

import numpy as np
import pytest

from runtime_math import ApiFamily, RuntimeContext, RuntimeMathKernel, SafetyLevel
from runtime_math.calibrated.calls import FULL, LEAN
from runtime_math.faithful.calls import FAITHFUL
from runtime_math.numerics.builtins.emission import available
from runtime_math.trace import read_rows

pytestmark = pytest.mark.skipif(not available(), reason="methods only on this interpreter")

CONTEXT = RuntimeContext.pointer_validation(0x7F12_3456_7000)
NAMES = ("decide", "observe_validation_result", "check_ordering", "note_overlap")
KERNELS = {
    "faithful": {},
    "lean": {"policy": "calibrated", "monitors": "none"},
    "full": {"policy": "calibrated"},
}


@pytest.fixture(params=KERNELS)
def kernel(request):
    return RuntimeMathKernel(SafetyLevel.STRICT, **KERNELS[request.param])


def test_calls_are_builtins_that_read_like_the_methods(kernel):
    kernel.check_ordering(0, True, True)  # the rarer calls become builtins when they are made
    kernel.note_overlap(1, 2, 3)
    for name in NAMES:
        call, method = getattr(kernel, name), getattr(RuntimeMathKernel, name)
        assert inspect.isbuiltin(call)
        assert call.__doc__ == inspect.getdoc(method)
        assert list(inspect.signature(call).parameters) == [
            *list(inspect.signature(method).parameters)[1:]
        ]


def test_machine_code_and_methods_go_the_same_way(kernel):
    """Random calls, made by builtins on one kernel and by the methods on another."""
    twin = kernel.copy()
    cls = type(kernel)
    random = np.random.default_rng(11)
    for step in range(400):
        family = ApiFamily(int(random.integers(len(ApiFamily))))
        context = RuntimeContext(
            family,
            int(random.integers(2**63)) * 2,
            int(random.integers(2**40)),
            bool(random.integers(2)),
            int(random.integers(2**16)),
            bool(random.integers(2)),
        )
        mode = SafetyLevel(step % 3)
        decision = kernel.decide(mode, context)
        assert decision == cls.decide(twin, mode, context)
        outcome = (family, decision.profile, int(random.integers(2**64, dtype=np.uint64)), step % 9)
        outcome = (*outcome[:3], outcome[3] == 0)
        kernel.observe_validation_result(*outcome)
        cls.observe_validation_result(twin, *outcome)
        shards = [int(word) for word in random.integers(2**64, size=3, dtype=np.uint64)]
        assert kernel.note_overlap(*shards) is cls.note_overlap(twin, *shards)
        stages = (family, bool(step & 1), bool(step & 2))
        assert kernel.check_ordering(*stages) == cls.check_ordering(twin, *stages)
    assert kernel.states.tobytes() == twin.states.tobytes()


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda kernel: kernel.decide(3, CONTEXT), "mode"),
        (lambda kernel: kernel.decide(0, tuple(CONTEXT)), "context"),
        (lambda kernel: kernel.decide(mode=0), "context"),
        (lambda kernel: kernel.observe_validation_result(99, 0, 5, False), "family"),
        (lambda kernel: kernel.observe_validation_result(0, 0, -1, False), "cost_ns"),
        (lambda kernel: kernel.observe_validation_result(0, 0, 2**64, False), "cost_ns"),
        (lambda kernel: kernel.observe_validation_result(0, 0, 5, "yes"), "adverse"),
        (lambda kernel: kernel.check_ordering(0, 2, False), "aligned"),
        (lambda kernel: kernel.note_overlap(0, 0, 2**64), "witness"),
    ],
)
def test_errors_name_the_argument_and_change_nothing(kernel, call, named):
    before = kernel.states.tobytes()
    with pytest.raises((TypeError, ValueError), match=named):
        call(kernel)
    assert kernel.states.tobytes() == before


def test_keywords(kernel):
    decision = kernel.decide(context=CONTEXT, mode=0)
    assert decision == kernel.copy().decide(SafetyLevel.STRICT, CONTEXT)
    kernel.observe_validation_result(family=0, profile=0, cost_ns=5, adverse=False)


def test_a_subclass_replaces_a_call():
    class Doubting(RuntimeMathKernel):
        def decide(self, mode, context):
            return ("doubt", super().decide(mode, context))

    kernel = Doubting(0)
    assert kernel.decide(0, CONTEXT)[0] == "doubt"
    assert inspect.isbuiltin(kernel.observe_validation_result)
    assert kernel.snapshot().decisions == 1


def test_recording_sees_every_call(kernel, tmp_path):
    decide = kernel.decide  # bound before the recording starts
    with kernel.record(tmp_path / "calls.csv.gz"):
        decide(0, CONTEXT)
        kernel.observe_validation_result(0, 0, 5, False)
        kernel.note_overlap(1, 2, 3)
        kernel.check_ordering(0, True, True)
    decide(0, CONTEXT)
    kinds = [row.kind for row in read_rows(tmp_path / "calls.csv.gz")]
    assert [kind for kind in kinds if not kind.startswith("H")] == ["D", "O", "V", "Q"]


def test_a_call_outlives_its_kernel(kernel):
    decide, observe, states = kernel.decide, kernel.observe_validation_result, kernel.states
    del kernel
    decide(0, CONTEXT)
    decide(mode=0, context=CONTEXT)
    observe(0, 0, 5, False)
    assert states["decisions"][0] == 2
    with pytest.raises(TypeError, match="context"):
        decide(0, None)


def test_a_copy_has_calls_of_its_own(kernel):
    twin = kernel.copy()
    twin.decide(0, CONTEXT)
    assert (kernel.states["decisions"][0], twin.states["decisions"][0]) == (0, 1)


def test_calls_wait_for_a_batch(kernel):
    """While the state is busy, single calls of another thread wait; none is lost."""
    done = []

    def call():
        kernel.decide(0, CONTEXT)
        kernel.note_overlap(1, 2, 3)
        done.append(True)

    with kernel.exclusive() as states:
        thread = threading.Thread(target=call)
        thread.start()
        time.sleep(0.05)
        assert done == []
        assert states["decisions"][0] == 0
    thread.join(10)
    assert done == [True]
    assert kernel.states["decisions"][0] == 1


def test_every_kind_of_record_has_the_same_calls():
    """Written once: what differs between records is only what the templates' globals hold."""
    for name in ("decide", "observe", "check_ordering", "note_check_order", "note_overlap"):
        functions = [getattr(calls, name).__wrapped__ for calls in (FAITHFUL, LEAN, FULL)]
        assert len({function.__code__ for function in functions}) == 1
        assert len({function.__qualname__ for function in functions}) == 3
    for name in ("decide_rows", "observe_rows", "replay_rows", "replay_ensemble_rows"):
        functions = [getattr(calls, name).py_func for calls in (FAITHFUL, LEAN, FULL)]
        assert len({function.__code__ for function in functions}) == 1
        assert len({function.__qualname__ for function in functions}) == 3
