"""The barrier's rules as properties, and bad input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.barrier import Barrier
from runtime_math.types import ApiFamily, SafetyLevel, ValidationProfile

PPM = st.one_of(st.integers(139_998, 140_002), st.integers(899_998, 900_002),
                st.integers(0, 2**32 - 1))  # fmt: skip
BYTES = st.one_of(st.integers(4094, 4098), st.integers(0, 2**64 - 1))
PROPOSALS = st.fixed_dictionaries(
    {
        "family": st.sampled_from(ApiFamily),
        "addr_hint": st.integers(0, 2**64 - 1),
        "requested_bytes": BYTES,
        "is_write": st.booleans(),
        "contention_hint": st.integers(0, 2**16 - 1),
        "bloom_negative": st.booleans(),
        "mode": st.sampled_from(SafetyLevel),
        "profile": st.sampled_from(ValidationProfile),
        "risk_ppm": PPM,
        "full_validation_trigger_ppm": PPM,
        "repair_trigger_ppm": PPM,
        "max_request_bytes": BYTES,
    }
)


@pytest.fixture(scope="module")
def barrier():
    return Barrier()


@given(PROPOSALS)
def test_oversized_requests_never_pass_and_others_do_in_full(barrier, proposal):
    fits = proposal["requested_bytes"] <= proposal["max_request_bytes"]
    proposal["profile"] = ValidationProfile.FULL
    assert barrier.admissible(**proposal) == fits
    proposal.update(profile=ValidationProfile.FAST, is_write=False)
    assert barrier.admissible(**proposal) == fits


@given(PROPOSALS)
def test_a_fast_write_passes_up_to_the_repair_trigger(barrier, proposal):
    proposal.update(profile=ValidationProfile.FAST, is_write=True, bloom_negative=False)
    proposal["max_request_bytes"] = proposal["requested_bytes"]
    expected = proposal["risk_ppm"] <= proposal["repair_trigger_ppm"]
    assert barrier.admissible(**proposal) == expected


@given(PROPOSALS, st.integers(0, 2**32 - 1))
def test_less_risk_is_never_less_admissible(barrier, proposal, other_ppm):
    lower, higher = sorted((proposal["risk_ppm"], other_ppm))
    at_higher = barrier.admissible(**{**proposal, "risk_ppm": higher})
    assert barrier.admissible(**{**proposal, "risk_ppm": lower}) >= at_higher


@given(PROPOSALS)
def test_only_strict_pointer_classification_is_exempt(barrier, proposal):
    proposal.update(profile=ValidationProfile.FAST, is_write=True, repair_trigger_ppm=0)
    proposal.update(requested_bytes=0, bloom_negative=True)
    exempt = proposal["mode"] == SafetyLevel.STRICT and proposal["family"] == 0
    expected = proposal["risk_ppm"] < 900_000 if exempt else proposal["risk_ppm"] == 0
    assert barrier.admissible(**proposal) == expected


@given(PROPOSALS, st.integers(0, 2**64 - 1), st.integers(0, 2**16 - 1), PPM)
def test_address_contention_and_full_trigger_are_ignored(
    barrier, proposal, address, contention, trigger
):
    other = {
        **proposal,
        "addr_hint": address,
        "contention_hint": contention,
        "full_validation_trigger_ppm": trigger,
    }
    assert barrier.admissible(**proposal) == barrier.admissible(**other)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"mode": 3}, ValueError),
        ({"requested_bytes": 2**64}, ValueError),
        ({"risk_ppm": -1}, ValueError),
        ({"contention_hint": 2**16}, ValueError),
        ({"is_write": 1}, TypeError),
        ({"risk_ppm": 0.5}, TypeError),
    ],
)
def test_bad_input_is_refused(barrier, change, error):
    names = list(barrier.admissible.__signature__.parameters)
    proposal = dict.fromkeys(names, 0) | {"is_write": False, "bloom_negative": False}
    assert barrier.admissible(**proposal)
    with pytest.raises(error, match=next(iter(change))):
        barrier.admissible(**{**proposal, **change})
