"""Is the decision about to be taken inside the region known to be safe?

A stateless last check of a proposed combination of context, mode, profile and risk, in the role of
a barrier certificate: the set of admissible combinations is an intersection and union of
half-spaces, fixed in advance, and no certificate is solved for.

References
----------
.. [1] S. Prajna, A. Jadbabaie, "Safety Verification of Hybrid Systems Using Barrier Certificates",
       HSCC 2004, LNCS 2993.
"""

import numpy as np

from runtime_math.call_context import CallContext
from runtime_math.monitors.base import Monitor, flag, member, operation, uint16, uint32, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.types import ApiFamily, SafetyLevel, ValidationProfile

STRICT = int(SafetyLevel.STRICT)
POINTER_VALIDATION = int(ApiFamily.POINTER_VALIDATION)
FAST = int(ValidationProfile.FAST)
POINTER_EXEMPTION_PPM = 900_000

# Nothing to remember: one byte of padding, because an array of nothing cannot be copied.
STATE = np.dtype([("padding", np.uint8)], align=True)


@jitted
def init(state):
    """Start; there is nothing to set."""
    state.padding = 0


@jitted
def admits(context, mode, profile, risk_ppm, limits):
    """Return whether the proposal may stand; only some of the context matters.

    `limits` are those of `control.limits`: full trigger, repair trigger, largest request.
    """
    _, repair_trigger_ppm, max_request_bytes = limits
    if context.requested_bytes > max_request_bytes:
        return False
    # Classifying an unknown pointer is itself the check that strict mode owes the caller.
    classifies_pointer = context.family == POINTER_VALIDATION and context.bloom_negative
    if mode == STRICT and classifies_pointer and risk_ppm < POINTER_EXEMPTION_PPM:
        return True
    return not (context.is_write and profile == FAST and risk_ppm > repair_trigger_ppm)


@jitted
def admissible(
    state,
    family,
    addr_hint,
    requested_bytes,
    is_write,
    contention_hint,
    bloom_negative,
    mode,
    profile,
    risk_ppm,
    full_validation_trigger_ppm,
    repair_trigger_ppm,
    max_request_bytes,
):
    """Return whether the proposal may stand; only some of the context matters."""
    context = CallContext(
        family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )
    limits = (full_validation_trigger_ppm, repair_trigger_ppm, max_request_bytes)
    return admits(context, mode, profile, risk_ppm, limits)


class Barrier(Monitor):
    """Admissibility filter for a proposed decision.

    `admissible` takes the context (family to bloom_negative), the proposal (mode, profile, risk)
    and the limits, in this order.

    Examples
    --------
    >>> barrier = Barrier()
    >>> limits = dict(full_validation_trigger_ppm=80_000, repair_trigger_ppm=140_000,
    ...               max_request_bytes=4096)
    >>> write = dict(family=ApiFamily.ALLOCATOR, addr_hint=0, requested_bytes=64, is_write=True,
    ...              contention_hint=0, bloom_negative=False, mode=SafetyLevel.HARDENED)
    >>> barrier.admissible(**write, profile=ValidationProfile.FAST, risk_ppm=140_001, **limits)
    False
    >>> barrier.admissible(**write, profile=ValidationProfile.FULL, risk_ppm=140_001, **limits)
    True
    """

    STATE = STATE
    initialise = init
    admissible = operation(
        admissible,
        bool,
        family=member(ApiFamily),
        addr_hint=uint64,
        requested_bytes=uint64,
        is_write=flag,
        contention_hint=uint16,
        bloom_negative=flag,
        mode=member(SafetyLevel),
        profile=member(ValidationProfile),
        risk_ppm=uint32,
        full_validation_trigger_ppm=uint32,
        repair_trigger_ppm=uint32,
        max_request_bytes=uint64,
    )
