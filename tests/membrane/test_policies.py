"""Which kernel a pipeline asks, and that no answer of a kernel lets a bad pointer through."""

import ctypes

import pytest

from membrane import Outcome, ValidationPipeline, argument, guard
from membrane.pipeline.validation_pipeline import POLICIES, RULES
from runtime_math import SafetyLevel
from runtime_math.calibrated.state import LEAN_STATE
from runtime_math.faithful.state import KERNEL_STATE

EVERY_POLICY = (*POLICIES, None)


def test_each_rule_set_has_a_policy_of_its_own():
    with ValidationPipeline() as pipeline:
        assert pipeline.kernel.states.dtype == LEAN_STATE
    with ValidationPipeline(rules="reference") as pipeline:
        assert pipeline.kernel.states.dtype == KERNEL_STATE


@pytest.mark.parametrize("rules", RULES)
def test_no_policy_is_no_kernel(rules):
    with ValidationPipeline(rules=rules, policy=None) as pipeline:
        assert pipeline.kernel is None
        with pipeline.allocate(16) as block:
            assert pipeline.validate(block.address).outcome == Outcome.VALIDATED


@pytest.mark.parametrize("policy", ["strict", "", 0, True])
def test_other_policies_are_refused(policy):
    with pytest.raises(ValueError, match="policy must be None or one of faithful, calibrated, got"):
        ValidationPipeline(policy=policy)


def outcomes(pipeline):
    """Outcomes of one address of every kind."""
    live, dead = pipeline.allocate(64), pipeline.allocate(64)
    dead_address = dead.address
    dead.free()
    addresses = (0, live.address, live.address + 63, live.address + 64, dead_address, 0xDEAD_0000)
    found = [pipeline.validate(address).outcome for address in addresses for _ in range(3)]
    live.free()
    return found


@pytest.mark.parametrize("mode", [SafetyLevel.STRICT, SafetyLevel.HARDENED])
def test_every_policy_finds_the_same(mode):
    found = []
    for policy in EVERY_POLICY:
        with ValidationPipeline(mode, policy=policy) as pipeline:
            found.append(outcomes(pipeline))
    assert found[0] == found[1]
    # Without a kernel the cache is asked before the arena, as a fresh kernel has it.
    assert [Outcome(each) for each in found[2]] == found[0]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_busy_kernel_lets_nothing_through(policy):
    """While a batch of another thread works on the kernel, there is no order and no decision."""
    with ValidationPipeline(SafetyLevel.STRICT, policy=policy) as pipeline:
        expected = outcomes(pipeline)
        pipeline.kernel.states["busy"] = 1
        assert outcomes(pipeline) == expected
        pipeline.kernel.states["busy"] = 0


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_guarded_calls_run_under_every_policy(policy):
    memset = ctypes.CDLL(None).memset
    memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    with ValidationPipeline(SafetyLevel.STRICT, policy=policy) as pipeline:
        safe = guard(memset, writes={0: argument(2)}, pipeline=pipeline)
        with pipeline.allocate(16) as block:
            safe(block, 7, 16)
            assert bytes(block) == b"\x07" * 16
