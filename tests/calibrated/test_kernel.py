"""`RuntimeMathKernel(policy="calibrated")`: the record as a value, settings, operator, faces."""

import copy
import gzip
import pickle
import threading

import numpy as np
import pytest

from runtime_math import (
    ApiFamily,
    MembraneAction,
    RuntimeContext,
    RuntimeMathKernel,
    StateFileError,
    ValidationProfile,
    read_events,
    replay_ensemble,
)
from runtime_math.calibrated import jit
from runtime_math.calibrated.kernel import CalibratedKernel
from runtime_math.conformance import check_trace
from runtime_math.records import CONTEXT, EVENT, OUTCOME, EventKind
from runtime_math.scenarios import generate

KINDS = ("none", "all")


def calibrated(monitors="none", mode=0, **settings):
    return RuntimeMathKernel(mode, policy="calibrated", monitors=monitors, **settings)


def bytes_of(kernel):
    return kernel.states.tobytes()


def drive(kernel, calls, mode=0):
    decisions = []
    for call in calls:
        context = RuntimeContext(
            ApiFamily(call["family"]),
            int(call["addr_hint"]),
            int(call["requested_bytes"]),
            bool(call["is_write"]),
            int(call["contention_hint"]),
            bool(call["bloom_negative"]),
        )
        decision = kernel.decide(mode, context)
        decisions.append(decision)
        full = decision.profile is ValidationProfile.FULL
        cost_ns = int(20 + 100 * full)
        kernel.observe_validation_result(
            context.family, decision.profile, cost_ns, bool(call["adverse"])
        )
        if call["overlap"]:
            kernel.note_overlap(1, 2, int(call["overlap"] - 1))
    return decisions


@pytest.fixture(scope="module")
def calls():
    return generate(incident="adv50", seed=1, calls=1200, start=700, end=900).calls


@pytest.fixture(params=KINDS)
def driven(request, calls):
    kernel = calibrated(request.param)
    drive(kernel, calls[:600])
    return kernel


def test_policy_selects_the_class():
    assert type(calibrated()) is CalibratedKernel
    assert isinstance(calibrated(), RuntimeMathKernel)
    assert type(RuntimeMathKernel(0)) is RuntimeMathKernel
    assert type(RuntimeMathKernel(0, policy="faithful")) is RuntimeMathKernel
    assert calibrated(alpha_alarm=0.05).settings == {
        "alpha_alarm": 0.05,
        "adverse_ceiling": 0.05,
        "latency_share": 0.125,
        "monitors": "none",
    }


def test_copies_pickles_and_files_continue_alike(driven, calls, tmp_path):
    twins = [driven.copy(), copy.deepcopy(driven), pickle.loads(pickle.dumps(driven))]
    driven.save(tmp_path / "state")
    loaded = calibrated(driven.settings["monitors"])
    loaded.load(tmp_path / "state")
    shared = RuntimeMathKernel.from_states(driven.copy().states)
    twins += [loaded, shared]
    expected = drive(driven, calls[600:])
    for twin in twins:
        assert type(twin) is CalibratedKernel
        assert drive(twin, calls[600:]) == expected
        assert bytes_of(twin) == bytes_of(driven)


def test_reset_returns_to_birth(driven):
    driven.reset()
    newborn = calibrated(driven.settings["monitors"])
    assert bytes_of(driven) == bytes_of(newborn)


def test_a_file_of_another_kind_is_refused(driven, tmp_path):
    driven.save(tmp_path / "state")
    before = RuntimeMathKernel(0)
    with pytest.raises(StateFileError, match="another state layout"):
        before.load(tmp_path / "state")


def test_monitors_change_no_decision(calls):
    lean, full = calibrated("none"), calibrated("all")
    assert drive(lean, calls) == drive(full, calls)
    assert lean.states["policy"].tobytes() == full.states["policy"].tobytes()


def test_monitors_are_fed_as_the_faithful_kernel_is(calls):
    # The faithful kernel is told the profiles that the calibrated one ran.
    full, faithful = calibrated("all"), RuntimeMathKernel(0)
    for call, decision in zip(calls[:300], drive(full, calls[:300]), strict=True):
        context = RuntimeContext(
            ApiFamily(call["family"]),
            int(call["addr_hint"]),
            int(call["requested_bytes"]),
            bool(call["is_write"]),
            int(call["contention_hint"]),
            bool(call["bloom_negative"]),
        )
        faithful.decide(0, context)
        cost_ns = int(20 + 100 * (decision.profile is ValidationProfile.FULL))
        faithful.observe_validation_result(
            context.family, decision.profile, cost_ns, bool(call["adverse"])
        )
        if call["overlap"]:
            faithful.note_overlap(1, 2, int(call["overlap"] - 1))
    np.testing.assert_equal(tuple(full.snapshot()), tuple(faithful.snapshot()))


def test_batches_replays_and_jitted_code_agree_with_single_calls(driven, calls, tmp_path):
    twin, jitted = driven.copy(), driven.copy()
    contexts = np.zeros(300, CONTEXT)
    for name in CONTEXT.names:
        contexts[name] = calls[name][600:900]
    outcomes = np.zeros(300, OUTCOME)
    outcomes["family"], outcomes["cost_ns"] = contexts["family"], 15
    outcomes["adverse"] = calls["adverse"][600:900]
    with driven.record(tmp_path / "trace.csv.gz"):
        recorded = driven.decide_many(0, contexts)
        driven.observe_many(outcomes)
        driven.check_ordering(1, True, False)
    assert (twin.decide_many(0, contexts) == recorded).all()
    twin.observe_many(outcomes)
    assert bytes_of(twin) == bytes_of(driven)
    state, policies = jitted.states[0], []
    for row in contexts:
        family, addr, size, is_write, contention, bloom = (row[name] for name in CONTEXT.names)
        decision = jit.decide(state, 0, int(family), addr, size, is_write, int(contention), bloom)
        policies.append(decision.policy_id)
    assert policies == recorded["policy_id"].tolist()
    events, results = next(read_events(tmp_path / "trace.csv.gz"))
    assert len(events) == 601
    assert (results["profile"][:300] == recorded["profile"]).all()


def test_an_ensemble_replays_like_single_kernels():
    events = np.zeros(400, EVENT)
    events["family"] = np.arange(400) % 9
    events["kind"][1::2] = EventKind.OBSERVE
    events["cost_ns"] = 12
    states = jit.new_state(0, 3, monitors="none")
    results = replay_ensemble(states, events, threads=2)
    alone = calibrated()
    expected = alone.replay(events)
    assert all((row == expected).all() for row in results)
    assert states[2].tobytes() == alone.states[0].tobytes()


def test_a_recorded_trace_replays_on_a_kernel_with_its_settings(calls, tmp_path):
    kernel = calibrated("none", mode=1, alpha_alarm=0.05, adverse_ceiling=0.2)
    path = tmp_path / "trace.csv.gz"
    with kernel.record(path, "attack"):
        drive(kernel, calls, mode=1)
    found = check_trace(path)
    assert found.mismatches == 0
    assert found.calls >= 2 * len(calls)
    (tmp_path / "default.csv.gz").write_bytes(_with_other_settings(path))
    assert check_trace(tmp_path / "default.csv.gz").mismatches > 0


def _with_other_settings(path):
    text = gzip.decompress(path.read_bytes())
    assert b"HP,calibrated,0.05,0.2,0.125,none" in text
    return gzip.compress(text.replace(b"calibrated,0.05,0.2", b"calibrated,0.0001,0.9"))


def test_explain_changes_nothing_and_foretells_the_decision(driven, calls):
    reasons = set()
    for call in calls[600:1000]:
        size = 2**29 if len(reasons) == 2 else int(call["requested_bytes"])
        context = RuntimeContext(
            ApiFamily(call["family"]), int(call["addr_hint"]), size, False, 3,
            bool(call["bloom_negative"]),
        )  # fmt: skip
        before = bytes_of(driven)
        why = driven.explain(0, context)
        assert bytes_of(driven) == before
        decision = driven.decide(0, context)
        assert why.decision == decision
        assert str(why).startswith(decision.profile.name.lower())
        reasons.add(why.reason)
        driven.observe_validation_result(
            context.family, decision.profile, 20, bool(call["adverse"])
        )
    assert len(reasons) >= 4
    status = driven.status()
    assert "ALARM" in str(status)
    assert status.alarms_raised >= 1


def test_oversized_requests_are_denied_or_repaired():
    huge = RuntimeContext(ApiFamily.ALLOCATOR, 64, 2**28 + 1, False, 0, False)
    assert calibrated().decide(0, huge).action is MembraneAction.DENY
    assert calibrated(mode=1).decide(1, huge).action is MembraneAction.REPAIR
    assert calibrated(mode=2).decide(2, huge).action is not MembraneAction.DENY


def test_acknowledge_ends_an_alarm(driven, calls):
    drive(driven, calls[600:850])
    assert driven.status().alarms
    reset = driven.copy()
    reset.acknowledge(learn=False)
    assert not reset.status().alarms
    assert reset.status().adverse == driven.status().adverse
    driven.acknowledge()
    assert not driven.status().alarms
    assert driven.status().adverse[ApiFamily.STDIO].rate > 0.1
    one = reset.copy()
    one.acknowledge(ApiFamily.STDIO)
    assert one.status().adverse[ApiFamily.STDIO] != reset.status().adverse[ApiFamily.STDIO]
    assert not one.status().alarms


def test_snapshot_needs_monitors(driven):
    if driven.settings["monitors"] == "none":
        with pytest.raises(RuntimeError, match="monitors='none'"):
            driven.snapshot()
    else:
        assert driven.snapshot().decisions == 600


def test_single_calls_wait_for_a_batch(driven):
    with driven.exclusive():
        waiting = threading.Thread(target=driven.note_overlap, args=(1, 2, 0))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
    waiting.join(5)
    assert not waiting.is_alive()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"policy": "calibrate"}, ValueError, "policy must be 'faithful' or 'calibrated'"),
        ({"alpha_alarm": 0.01}, TypeError, "the faithful policy has no setting 'alpha_alarm'"),
        ({"policy": "calibrated", "alpha_alarm": 0.0}, ValueError, "alpha_alarm must be from"),
        ({"policy": "calibrated", "alpha_alarm": "1"}, TypeError, "alpha_alarm must be a real"),
        (
            {"policy": "calibrated", "adverse_ceiling": float("nan")},
            ValueError,
            "adverse_ceiling must be a finite",
        ),
        ({"policy": "calibrated", "latency_share": 1.5}, ValueError, "latency_share must be from"),
        ({"policy": "calibrated", "monitors": "some"}, ValueError, "monitors must be 'all' or"),
        ({"policy": "calibrated", "mode": 5}, ValueError, "mode must be a member"),
    ],
)
def test_bad_settings(settings, error, message):
    with pytest.raises(error, match=message):
        RuntimeMathKernel(**{"mode": 0, **settings})
