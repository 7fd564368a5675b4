"""The kernel as the pipeline calls it: compiled functions at addresses.

Calling through an address instead of by name keeps the whole kernel (46 monitors) out of the
module of every function that validates a pointer: users' jitted code compiles in the time that its
own code takes, and there is one copy of the kernel's machine code per process.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from runtime_math.numerics.compilation import jitted
from runtime_math.types import MembraneAction

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
_WORD, _FLAG = ir.IntType(64), ir.IntType(1)
_U64, _I64, _BOOL = types.uint64, types.int64, types.boolean
DENY = int(MembraneAction.DENY)
# What a decision looks like while a batch of another thread keeps the kernel busy: check fully.
BUSY_DECISION = 1 << 20 | int(MembraneAction.FULL_VALIDATE) << 21


def _caller(*argument_types):
    """Make an intrinsic that calls the function of these arguments at an address."""
    kinds = [_FLAG if kind == _BOOL else _WORD for kind in argument_types]

    def emit(context, builder, signature, arguments):
        pointer = ir.FunctionType(_WORD, kinds).as_pointer()
        values = [
            context.get_value_as_argument(builder, kind, value)
            if kind != _BOOL
            else builder.trunc(value, _FLAG)
            if value.type != _FLAG
            else value
            for kind, value in zip(argument_types, arguments[1:], strict=True)
        ]
        return builder.call(builder.inttoptr(arguments[0], pointer), values)

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
def decide(link, mode, family, address, requested_bytes, is_write, bloom_negative):
    """Return a packed decision; see `profile` and `requires_full`."""
    packed = _call_decide(
        link.decide,
        link.kernel,
        np.int64(mode),
        np.int64(family),
        address,
        requested_bytes,
        is_write,
        np.int64(0),
        bloom_negative,
    )
    return packed if packed >= 0 else BUSY_DECISION


@jitted
def profile(packed):
    """Profile code of a packed decision."""
    return (packed >> 20) & 1


@jitted
def action(packed):
    """Action code of a packed decision."""
    return (packed >> 21) & 3


@jitted
def requires_full(packed):
    """Whether a decision asks for full validation; a refusal does not count."""
    return profile(packed) == 1 or action(packed) == 1 or action(packed) == 2


@jitted
def observe(link, family, profile_code, cost_ns, adverse):
    """Tell the kernel how a call went."""
    _call_observe(
        link.observe, link.kernel, np.int64(family), np.int64(profile_code), cost_ns, adverse
    )


@jitted
def check_ordering(link, family, aligned, recent_page):
    """Return the kernel's present order of stages."""
    return _call_check_ordering(
        link.check_ordering, link.kernel, np.int64(family), aligned, recent_page
    )


@jitted
def note_check_order(link, family, aligned, recent_page, order, position):
    """Tell the kernel at which position of an order a validation ended (-1: none)."""
    _call_note(
        link.note_check_order,
        link.kernel,
        np.int64(family),
        aligned,
        recent_page,
        np.int64(order),
        np.int64(position),
    )


class Decision(NamedTuple):
    """The parts of a packed decision."""

    profile: int
    action: int
    healing: int
    policy_id: int
    risk_upper_bound_ppm: int

    @classmethod
    def unpack(cls, packed):
        """Take a packed decision apart."""
        return cls(
            packed >> 20 & 1, packed >> 21 & 3, packed >> 23 & 3, packed >> 32, packed & 0xF_FFFF
        )


def _c_address(point):
    """Address of an entry point's C wrapper, compiling it if need be."""
    point.address_call  # noqa: B018 (a cached property that compiles)
    (result,) = point.dispatcher.overloads.values()
    with global_compiler_lock:
        return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)


def connect(record, states):
    """Point a record of dtype `LINK` at a kernel state and at the compiled kernel."""
    from runtime_math import entry

    record["kernel"] = states.ctypes.data
    record["decide"] = _c_address(entry.decide_entry)
    record["observe"] = _c_address(entry.observe_entry)
    record["check_ordering"] = _c_address(entry.check_ordering_entry)
    record["note_check_order"] = _c_address(entry.note_check_order_entry)
