"""What the detectors of the calibrated policy are shown of a call, and what is remembered of it.

Each kind of moment in the life of a call shows a tuple of its own. What is to be learnt later waits
in a queue (see `quarantine_queue`), 64 bits for each context and for each outcome: some lie here,
the others belong to the detectors, each of which says which bits are its own.
"""

from enum import Enum
from typing import NamedTuple

import numpy as np


class ContextSight(NamedTuple):
    """A call before it is validated; bins and p-values as of what has been learnt."""

    family: int
    addr_hint: int
    requested_bytes: int
    is_write: bool
    contention_hint: int
    bloom_negative: bool
    new_page: bool
    stray: bool
    huge: bool
    contention_over_level: float
    contention_p: float
    bytes_bin: int
    bytes_p: float
    previous_family: int


class OutcomeSight(NamedTuple):
    """What the validation of a call brought; the cost as a logarithm to the base 2."""

    family: int
    profile: int
    cost_octaves: float
    adverse: bool


class AdverseSight(NamedTuple):
    """An adverse call: how far the last one is, 0 for next door, one more for each doubling."""

    family: int
    gap: int


class CostSight(NamedTuple):
    """A cost whose level is known; `row` and `symbol`: was the last one high, and is this one?"""

    family: int
    profile: int
    over_level: float
    p: float
    trials: float
    row: int
    symbol: int


class OverlapSight(NamedTuple):
    """The result of an overlap check."""

    consistent: bool


class Moment(Enum):
    """When a detector is fed; the value is the tuple that it is shown."""

    CONTEXT = ContextSight
    OUTCOME = OutcomeSight
    ADVERSE = AdverseSight
    COST = CostSight
    OVERLAP = OverlapSight


class LearningWeights(NamedTuple):
    """Weights from 0 to 1 with which rates, loads and levels are learnt at present."""

    rate: float
    load: float
    level: float


ZERO = np.uint64(0)

# What every outcome in the queue carries: its cost in 2^-24 octaves, and its profile.
OCTAVE_SCALE = 16777216.0
COST_MASK = np.uint64((1 << 31) - 1)
PROFILE_BIT = np.uint64(1 << 32)
OUTCOME_BITS = COST_MASK | PROFILE_BIT
