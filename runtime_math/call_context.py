"""What jitted code knows of a call before it is decided on: one tuple of plain numbers."""

from typing import NamedTuple

import numpy as np
from numba import types

from runtime_math.numerics.compilation import jitted


class CallContext(NamedTuple):
    """A call, as jitted code hands it around; the fields of `runtime_math.RuntimeContext`."""

    family: int
    addr_hint: int
    requested_bytes: int
    is_write: bool
    contention_hint: int
    bloom_negative: bool


FIELD_TYPES = (
    types.int64,
    types.uint64,
    types.uint64,
    types.boolean,
    types.int64,
    types.boolean,
)
CALL_CONTEXT = types.NamedTuple(FIELD_TYPES, CallContext)


@jitted
def context_of(record):
    """Context in a record with the fields of `runtime_math.records.CONTEXT`."""
    return CallContext(
        np.int64(record.family),
        record.addr_hint,
        record.requested_bytes,
        record.is_write,
        np.int64(record.contention_hint),
        record.bloom_negative,
    )
