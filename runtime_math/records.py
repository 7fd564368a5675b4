"""Structured dtypes of the batch interface: what goes in and out of `decide_many` and friends."""

from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Records: TypeAlias = npt.NDArray[np.void]
"""An array of one of the structured dtypes below, or of states."""

CONTEXT = np.dtype(
    [
        ("family", np.uint8),
        ("addr_hint", np.uint64),
        ("requested_bytes", np.uint64),
        ("is_write", np.bool_),
        ("contention_hint", np.uint16),
        ("bloom_negative", np.bool_),
    ],
    align=True,
)
"""One call to decide on: the fields of `RuntimeContext`."""

OUTCOME = np.dtype(
    [
        ("family", np.uint8),
        ("profile", np.uint8),
        ("cost_ns", np.uint64),
        ("adverse", np.bool_),
    ],
    align=True,
)
"""One validation result: the arguments of `observe_validation_result`."""

DECISION = np.dtype(
    [
        ("profile", np.uint8),
        ("action", np.uint8),
        ("healing", np.uint8),
        ("policy_id", np.uint32),
        ("risk_upper_bound_ppm", np.uint32),
    ],
    align=True,
)
"""One decision: the fields of `RuntimeDecision`."""


class EventKind(IntEnum):
    """Which call an event stands for."""

    DECIDE = 0
    OBSERVE = 1
    OVERLAP = 2
    CHECK_ORDERING = 3
    NOTE_CHECK_ORDER = 4


EVENT = np.dtype(
    [
        ("kind", np.uint8),
        ("mode", np.uint8),
        ("family", np.uint8),
        ("is_write", np.bool_),
        ("bloom_negative", np.bool_),
        ("profile", np.uint8),
        ("adverse", np.bool_),
        ("aligned", np.bool_),
        ("recent_page", np.bool_),
        ("contention_hint", np.uint16),
        ("ordering", np.uint32),
        ("exit_stage", np.int64),
        ("addr_hint", np.uint64),
        ("requested_bytes", np.uint64),
        ("cost_ns", np.uint64),
        ("left_shard", np.uint64),
        ("right_shard", np.uint64),
        ("witness", np.uint64),
    ],
    align=True,
)
"""One call of a mixed sequence; `kind` (an `EventKind`) says which fields it reads.

========================  ============================================================
kind                      fields read
========================  ============================================================
DECIDE                    mode, family, addr_hint, requested_bytes, is_write,
                          contention_hint, bloom_negative
OBSERVE                   family, profile, cost_ns, adverse
OVERLAP                   left_shard, right_shard, witness
CHECK_ORDERING            family, aligned, recent_page
NOTE_CHECK_ORDER          family, aligned, recent_page, ordering (packed, four bits a
                          stage, the first stage lowest), exit_stage (-1 for none)
========================  ============================================================
"""

RESULT = np.dtype(
    [
        ("kind", np.uint8),
        ("profile", np.uint8),
        ("action", np.uint8),
        ("healing", np.uint8),
        ("consistent", np.bool_),
        ("ordering", np.uint32),
        ("policy_id", np.uint32),
        ("risk_upper_bound_ppm", np.uint32),
    ],
    align=True,
)
"""What an event returned: a decision (DECIDE), `consistent` (OVERLAP) or `ordering`
(CHECK_ORDERING); the other fields are zero."""
