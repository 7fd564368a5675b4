"""The packed decision: the one integer as which compiled code hands decisions around.

Bits 0-19 hold the risk in parts per million, 20 the profile, 21-22 the action, 23-24 the healing
action, 32-63 the policy id. No decision is negative, so that calls return negative numbers for what
is none.
"""

from typing import NamedTuple

from runtime_math.numerics.compilation import jitted

BUSY = -1
"""What a call returns, having done nothing, while a batch works on the state."""

RISK_MASK = 0xF_FFFF
FULL_PROFILE = 1
FULL_VALIDATE, REPAIR = 1, 2


class Decision(NamedTuple):
    """A decision as plain numbers; the fields of `runtime_math.RuntimeDecision`."""

    profile: int
    action: int
    healing: int
    policy_id: int
    risk_upper_bound_ppm: int


@jitted
def pack_decision(mode, family, profile, action, healing, risk_ppm):
    """Decision as one integer, with its policy id made from the four codes."""
    policy_id = (mode + 1) << 28 | family << 16 | (profile + 1) << 8 | (action + 1)
    return policy_id << 32 | healing << 23 | action << 21 | profile << 20 | risk_ppm


@jitted
def profile_of(packed):
    """Profile code of a packed decision."""
    return packed >> 20 & 1


@jitted
def action_of(packed):
    """Action code of a packed decision."""
    return packed >> 21 & 3


@jitted
def unpack_decision(packed):
    """Parts of a packed decision.

    Parameters
    ----------
    packed : int
        Not negative.

    Returns
    -------
    Decision

    Examples
    --------
    >>> unpack_decision.py_func(pack_decision(0, 2, 1, 1, 0, 20_000))[:3]
    (1, 1, 0)
    """
    return Decision(
        packed >> 20 & 1, packed >> 21 & 3, packed >> 23 & 3, packed >> 32, packed & RISK_MASK
    )


@jitted
def requires_full(packed):
    """Whether a decision asks for full validation; a refusal does not count."""
    return profile_of(packed) == FULL_PROFILE or action_of(packed) in (FULL_VALIDATE, REPAIR)


@jitted
def store_decision(packed, row):
    """Write a packed decision into a DECISION or RESULT record."""
    decision = unpack_decision(packed)
    row.profile = decision.profile
    row.action = decision.action
    row.healing = decision.healing
    row.policy_id = decision.policy_id
    row.risk_upper_bound_ppm = decision.risk_upper_bound_ppm
