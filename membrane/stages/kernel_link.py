"""The kernel as the pipeline calls it: compiled functions at addresses.

Calling through an address instead of by name keeps the whole kernel (46 monitors) out of the
module of every function that validates a pointer: users' jitted code compiles in the time that its
own code takes, and there is one copy of the kernel's machine code per process.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from membrane.tables.words import ZERO
from runtime_math.decision import pack_decision
from runtime_math.numerics.builtins.emission import call_at
from runtime_math.numerics.compilation import jitted
from runtime_math.types import (
    ApiFamily,
    CheckStage,
    HealingAction,
    MembraneAction,
    SafetyLevel,
    ValidationProfile,
)

LINK = np.dtype(
    [
        ("kernel", np.uint64),
        ("decide", np.uint64),
        ("observe", np.uint64),
        ("check_ordering", np.uint64),
        ("note_check_order", np.uint64),
    ],
    align=True,
)
_U64, _I64, _BOOL = types.uint64, types.int64, types.boolean
# What a decision looks like without a kernel, or while a batch of another thread keeps it busy:
# check fully.
UNASKED_DECISION = pack_decision.py_func(
    int(SafetyLevel.STRICT),
    int(ApiFamily.POINTER_VALIDATION),
    int(ValidationProfile.FULL),
    int(MembraneAction.FULL_VALIDATE),
    int(HealingAction.NONE),
    0,
)
# The order of the stages then: that of their codes, which is also a fresh kernel's.
NATURAL_ORDER = sum(int(stage) << 4 * place for place, stage in enumerate(CheckStage))
# What the kernel is told of every validation: a pointer is looked at, and nobody waits for it.
FAMILY = np.int64(ApiFamily.POINTER_VALIDATION)
NO_CONTENTION = np.int64(0)


def _caller(*argument_types):
    """Make an intrinsic that calls the function of these arguments at an address."""

    def emit(context, builder, signature, arguments):
        return call_at(builder, arguments[0], argument_types, arguments[1:])

    return types.int64(_U64, *argument_types), emit


@intrinsic
def _call_decide(typing_context, function, kernel, mode, family, addr, size, write, wait, negative):
    return _caller(_U64, _I64, _I64, _U64, _U64, _BOOL, _I64, _BOOL)


@intrinsic
def _call_observe(typing_context, function, kernel, family, profile, cost, adverse):
    return _caller(_U64, _I64, _I64, _U64, _BOOL)


@intrinsic
def _call_check_ordering(typing_context, function, kernel, family, aligned, recent):
    return _caller(_U64, _I64, _BOOL, _BOOL)


@intrinsic
def _call_note(typing_context, function, kernel, family, aligned, recent, order, position):
    return _caller(_U64, _I64, _BOOL, _BOOL, _I64, _I64)


@jitted
def decide(link, mode, address, bloom_negative):
    """Return a packed decision on a pointer; see `runtime_math.decision`."""
    return _decided(link, mode, FAMILY, address, ZERO, False, bloom_negative)


@jitted
def decide_on_call(link, mode, family, address, size, is_write):
    """Return a packed decision on a guarded call that touches `size` bytes from an address on."""
    return _decided(link, mode, family, address, size, is_write, False)


@jitted
def _decided(link, mode, family, address, size, is_write, bloom_negative):
    if link.kernel == ZERO:
        return UNASKED_DECISION
    packed = _call_decide(
        link.decide,
        link.kernel,
        np.int64(mode),
        np.int64(family),
        address,
        size,
        is_write,
        NO_CONTENTION,
        bloom_negative,
    )
    return packed if packed >= 0 else UNASKED_DECISION


@jitted
def observe(link, profile, cost_ns, adverse):
    """Tell the kernel how a validation went."""
    observe_call(link, FAMILY, profile, cost_ns, adverse)


@jitted
def observe_call(link, family, profile, cost_ns, adverse):
    """Tell the kernel how a guarded call went."""
    if link.kernel != ZERO:
        _call_observe(
            link.observe, link.kernel, np.int64(family), np.int64(profile), cost_ns, adverse
        )


@jitted
def check_ordering(link, aligned, recent_page):
    """Return the kernel's present order of stages."""
    if link.kernel == ZERO:
        return NATURAL_ORDER
    order = _call_check_ordering(link.check_ordering, link.kernel, FAMILY, aligned, recent_page)
    return order if order >= 0 else NATURAL_ORDER


@jitted
def note_check_order(link, aligned, recent_page, order, position):
    """Tell the kernel at which position of an order a validation ended (-1: none)."""
    if link.kernel == ZERO:
        return
    _call_note(
        link.note_check_order,
        link.kernel,
        FAMILY,
        aligned,
        recent_page,
        np.int64(order),
        np.int64(position),
    )


def connect(record: np.void, states: np.ndarray[Any, Any], calls: Any) -> None:
    """Point a record of dtype `LINK` at a kernel state and at its compiled `Calls`."""
    record["kernel"] = states.ctypes.data
    record["decide"] = calls.decide.c_address
    record["observe"] = calls.observe.c_address
    record["check_ordering"] = calls.check_ordering.c_address
    record["note_check_order"] = calls.note_check_order.c_address
