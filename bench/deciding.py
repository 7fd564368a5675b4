"""A decision on one record of traffic, as users' jitted loops make it."""

from runtime_math import jit
from runtime_math.numerics.compilation import jitted


@jitted
def decide_on(state, mode, call):
    """Decide on a record with the fields of `runtime_math.CONTEXT`; returns the `Decision`."""
    return jit.decide(
        state,
        mode,
        call.family,
        call.addr_hint,
        call.requested_bytes,
        call.is_write,
        call.contention_hint,
        call.bloom_negative,
    )
