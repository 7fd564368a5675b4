"""Single calls: what they return at birth, and that refused calls change nothing."""

import math

import numpy as np
import pytest

from runtime_math import (
    ApiFamily,
    HealingAction,
    MembraneAction,
    RuntimeContext,
    RuntimeMathKernel,
    SafetyLevel,
    ValidationProfile,
    config,
)

STRICT = SafetyLevel.STRICT
CONTEXT = RuntimeContext.pointer_validation(0x1000)


@pytest.fixture
def kernel():
    return RuntimeMathKernel(STRICT)


@pytest.mark.parametrize(
    ("mode", "profile", "action", "policy_id"),
    [
        (SafetyLevel.STRICT, ValidationProfile.FAST, MembraneAction.ALLOW, 0x1000_0101),
        (SafetyLevel.HARDENED, ValidationProfile.FULL, MembraneAction.FULL_VALIDATE, 0x2000_0202),
        (SafetyLevel.OFF, ValidationProfile.FAST, MembraneAction.ALLOW, 0x3000_0101),
    ],
)
def test_first_decision_of_each_mode(mode, profile, action, policy_id):
    decision = RuntimeMathKernel(mode).decide(mode, CONTEXT)
    assert (decision.profile, decision.action) == (profile, action)
    assert (decision.policy_id, decision.risk_upper_bound_ppm) == (policy_id, 115_000)


@pytest.mark.parametrize(
    ("mode", "limit", "action", "healing"),
    [
        (SafetyLevel.STRICT, 2**27, MembraneAction.DENY, HealingAction.NONE),
        (SafetyLevel.HARDENED, 2**28, MembraneAction.REPAIR, HealingAction.RETURN_SAFE_DEFAULT),
    ],
)
def test_oversized_requests_are_not_admissible(mode, limit, action, healing):
    kernel = RuntimeMathKernel(mode)
    allowed = kernel.decide(mode, RuntimeContext(ApiFamily.ALLOCATOR, 64, limit))
    refused = kernel.decide(mode, RuntimeContext(ApiFamily.ALLOCATOR, 64, limit + 1))
    assert allowed.action in (MembraneAction.ALLOW, MembraneAction.FULL_VALIDATE)
    assert (refused.action, refused.healing) == (action, healing)
    assert refused.requires_full_validation == (action == MembraneAction.REPAIR)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3, CONTEXT), ValueError, "mode must be a member of SafetyLevel"),
        ((True, CONTEXT), TypeError, "mode"),
        ((1.0, CONTEXT), TypeError, "mode"),
        ((STRICT, (0, 4096, 0, False, 0, False)), TypeError, "context must be a RuntimeContext"),
        ((STRICT, None), TypeError, "context must be a RuntimeContext"),
    ],
)
def test_decide_refuses(kernel, arguments, error, message):
    before = kernel.states.tobytes()
    for call in (kernel.decide, kernel.explain):
        with pytest.raises(error, match=message):
            call(*arguments)
    assert kernel.states.tobytes() == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((9, 0, 12, False), ValueError, "family must be"),
        ((0, 2, 12, False), ValueError, "profile must be"),
        ((0, 0, -1, False), ValueError, "cost_ns must be an integer from 0 to"),
        ((0, 0, 2**64, False), ValueError, "18446744073709551616"),
        ((0, 0, True, False), TypeError, "cost_ns must be"),
        ((0, 0, 12.0, False), TypeError, "cost_ns must be"),
        ((0, 0, math.nan, False), TypeError, "cost_ns must be"),
        ((0, 0, 12, 0), TypeError, "adverse must be a bool"),
        ((0, 0, 12, None), TypeError, "adverse must be a bool"),
    ],
)
def test_observe_refuses(kernel, arguments, error, message):
    before = kernel.states.tobytes()
    with pytest.raises(error, match=message):
        kernel.observe_validation_result(*arguments)
    assert kernel.states.tobytes() == before


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"family": -1}, ValueError, "family"),
        ({"addr_hint": 2**64}, ValueError, "addr_hint must be an integer from 0 to"),
        ({"addr_hint": 1.5}, TypeError, "addr_hint"),
        ({"requested_bytes": -5}, ValueError, "requested_bytes .*got -5"),
        ({"is_write": 1}, TypeError, "is_write must be a bool"),
        ({"contention_hint": 65536}, ValueError, "contention_hint .*0 to 65535, got 65536"),
        ({"bloom_negative": "no"}, TypeError, "bloom_negative must be a bool"),
    ],
)
def test_context_refuses(changes, error, message):
    with pytest.raises(error, match=message):
        RuntimeContext(**{"family": 0, "addr_hint": 0, **changes})
    with pytest.raises(error, match=message):
        CONTEXT._replace(**changes)


def test_note_calls_refuse(kernel):
    before = kernel.states.tobytes()
    with pytest.raises(ValueError, match="ordering_used must hold 7"):
        kernel.note_check_order_outcome(0, True, True, range(6), None)
    with pytest.raises(ValueError, match=r"exit_stage must be an integer from 0 to .*, got -1"):
        kernel.note_check_order_outcome(0, True, True, range(7), -1)
    with pytest.raises(TypeError, match="aligned"):
        kernel.check_ordering(0, 1, True)
    with pytest.raises(ValueError, match="witness"):
        kernel.note_overlap(0, 0, -1)
    assert kernel.states.tobytes() == before


def test_numpy_integers_are_integers(kernel):
    twin = RuntimeMathKernel(STRICT)
    kernel.observe_validation_result(np.int64(2), np.uint8(1), np.uint64(2**63 + 1), np.True_)
    twin.observe_validation_result(ApiFamily.STRING_MEMORY, ValidationProfile.FULL, 2**63 + 1, True)
    assert kernel.states.tobytes() == twin.states.tobytes()


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("HARDENED", SafetyLevel.HARDENED),
        ("tsm", SafetyLevel.HARDENED),
        ("Repair", SafetyLevel.HARDENED),
        ("full", SafetyLevel.HARDENED),
        ("abi", SafetyLevel.STRICT),
        (" hardened", SafetyLevel.STRICT),
        ("off", SafetyLevel.STRICT),
        ("", SafetyLevel.STRICT),
        (None, SafetyLevel.STRICT),
    ],
)
def test_mode_from_the_environment(monkeypatch, text, mode):
    monkeypatch.setattr(config, "_configured", None)
    if text is None:
        monkeypatch.delenv("GLIBC_RUST_MODE", raising=False)
    else:
        monkeypatch.setenv("GLIBC_RUST_MODE", text)
    assert RuntimeMathKernel().mode is mode


def test_overlap_is_consistent_exactly_when_the_witness_is_zero(kernel):
    assert kernel.note_overlap(3, 99, 0) is True
    assert kernel.note_overlap(3, 99, 1) is False
    assert kernel.snapshot().consistency_faults == 1


def test_snapshot_changes_nothing_and_has_90_fields(kernel):
    for _ in range(70):
        kernel.decide(STRICT, CONTEXT)
        kernel.observe_validation_result(0, 0, 12, False)
    before = kernel.states.tobytes()
    first = kernel.snapshot(SafetyLevel.HARDENED)
    assert len(first) == 90
    assert first == kernel.snapshot(SafetyLevel.HARDENED)
    assert kernel.states.tobytes() == before
    assert first.decisions == 70
    assert f"{'decisions':40}"[:9] in str(first)
