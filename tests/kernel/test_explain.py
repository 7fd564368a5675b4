"""An explanation is the decision that would be taken, in parts, and changes nothing."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math import (
    ApiFamily,
    MembraneAction,
    RuntimeContext,
    RuntimeMathKernel,
    SafetyLevel,
    ValidationProfile,
)
from tests.kernel.traffic import random_events

CALLS = (0, 5, 63, 300, 1500)


@functools.cache
def kernel_after(calls):
    """A kernel with so many calls behind it; its tests leave it as it is."""
    kernel = RuntimeMathKernel(SafetyLevel.HARDENED)
    kernel.replay(random_events(calls, seed=calls))
    return kernel


@given(
    calls=st.sampled_from(CALLS),
    mode=st.sampled_from(list(SafetyLevel)),
    context=st.builds(
        RuntimeContext,
        st.sampled_from(list(ApiFamily)),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**30),
        st.booleans(),
        st.integers(0, 200),
        st.booleans(),
    ),
)
def test_explanation_is_the_decision(calls, mode, context):
    kernel = kernel_after(calls)
    before = kernel.states.tobytes()
    why = kernel.explain(mode, context)
    assert kernel.states.tobytes() == before
    assert why.decision == kernel.copy().decide(mode, context)
    assert min(sum(why.terms.values()), 1_000_000) == why.decision.risk_upper_bound_ppm
    assert all(why.terms.values())
    assert why.plan_cost_ns > 0
    assert why.admissible == (
        why.decision.action in (MembraneAction.ALLOW, MembraneAction.FULL_VALIDATE)
    )


def test_table_names_every_term_and_rule():
    why = kernel_after(1500).explain(
        SafetyLevel.HARDENED, RuntimeContext(ApiFamily.STDIO, 4096, 9000, True)
    )
    table = " ".join(str(why).split())
    for name in (*why.terms, *why.rules):
        assert name in table
    assert f"{why.decision.risk_upper_bound_ppm:,}" in table
    assert why.rules[-1:] and why.decision.profile is ValidationProfile.FULL


def test_consistency_faults_are_a_term_of_their_own():
    kernel = RuntimeMathKernel(SafetyLevel.STRICT)
    for _ in range(20):
        kernel.note_overlap(1, 2, 1)
    why = kernel.explain(SafetyLevel.STRICT, RuntimeContext.pointer_validation(0))
    assert why.terms["consistency faults"] == 16 * 15_000


@pytest.mark.parametrize("calls", [63, 127])
def test_explaining_a_sampled_decision_does_not_sample(calls):
    kernel = RuntimeMathKernel(SafetyLevel.STRICT)
    context = RuntimeContext.pointer_validation(64)
    for _ in range(calls):
        kernel.decide(SafetyLevel.STRICT, context)
    sampled = kernel.states["risk_engine"]["total_calls"][0]
    kernel.explain(SafetyLevel.STRICT, context)
    assert kernel.states["risk_engine"]["total_calls"][0] == sampled
    kernel.decide(SafetyLevel.STRICT, context)
    assert kernel.states["risk_engine"]["total_calls"][0] == sampled + 1
