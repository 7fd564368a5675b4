"""The builtin of all native calls: jitted code over Python's public C interface.

It follows a plan (see `membrane.calls.native.plan`). Objects, and memory on the stack, are words.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from membrane.calls.native.measuring import measure, overstated
from membrane.calls.native.plan import (
    ADDRESS,
    INTO,
    MOST_ARGUMENTS,
    NOTHING,
    OVERSTATED,
    SIGNED,
    plan_at,
)
from membrane.calls.native.taking import REGIONS_AT, give_back, new_frame, take_all
from membrane.stages import kernel_link
from membrane.stages.call_regions import (
    INTACT,
    REGION_SIZE,
    admit,
    damage,
    region_at,
    state_at,
    unpin_regions,
)
from membrane.tables.memory import store_word
from membrane.tables.words import WORD_SIZE, ZERO
from runtime_math.decision import profile_of
from runtime_math.numerics.builtins.emission import (
    OBJECT,
    WORD,
    Emitter,
    boxed,
    bytes_address,
    c_function,
    call_one,
    give,
    load,
    none,
    tuple_item,
    vectorcall,
)
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.entry_point import EntryPoint

CALL_COST_NS = np.uint64(10)
_boxed_unsigned = c_function("PyLong_FromUnsignedLongLong", types.uintp, types.int64)


@intrinsic
def _call_function(typing_context, function, frame):
    """Call a C function with all the words of a frame, the interpreter lock released.

    A C function takes as many as it has parameters and leaves the others alone.
    """

    def emit(context, builder, signature, arguments):
        function, frame = arguments
        emitter = Emitter(builder)
        words = [emitter.load(frame, 8 * place) for place in range(MOST_ARGUMENTS)]
        thread = emitter.call("PyEval_SaveThread", OBJECT)
        shape = ir.FunctionType(WORD, [WORD] * MOST_ARGUMENTS).as_pointer()
        result = builder.call(builder.inttoptr(function, shape), words)
        emitter.call("PyEval_RestoreThread", ir.VoidType(), thread)
        return result

    return types.uint64(types.uintp, types.uintp), emit


@jitted
def _pointer_into(plan, arguments, frame, result):
    """The result as a pointer that keeps the bounds of the argument that it points into."""
    if result == ZERO:
        return none()
    extent = plan.extents[plan.result_extent]
    region = region_at(frame + REGIONS_AT + np.uint64(plan.result_extent) * REGION_SIZE)
    given = load(arguments + np.uint64(extent.position) * WORD_SIZE)
    length = max(region.length, region.needed)
    store_word(frame, _boxed_unsigned((np.int64(result),)))
    store_word(frame + WORD_SIZE, given)
    store_word(frame + np.uint64(2) * WORD_SIZE, _boxed_unsigned((np.int64(region.address),)))
    store_word(frame + np.uint64(3) * WORD_SIZE, _boxed_unsigned((np.int64(length),)))
    made = vectorcall((plan.on_into, frame, np.uint64(4), ZERO))
    give((load(frame),))
    give((load(frame + np.uint64(2) * WORD_SIZE),))
    give((load(frame + np.uint64(3) * WORD_SIZE),))
    return made


@jitted
def _boxed(plan, arguments, frame, result):
    """The result as a Python object."""
    if plan.result_kind == NOTHING or (plan.result_kind == ADDRESS and result == ZERO):
        return none()
    if plan.result_kind == ADDRESS:
        return _boxed_unsigned((np.int64(result),))
    if plan.result_kind == INTO:
        return _pointer_into(plan, arguments, frame, result)
    unused = np.int64(64) - plan.result_bits
    if plan.result_kind == SIGNED:
        return boxed((np.int64(result) << unused >> unused,))
    return _boxed_unsigned((np.int64(result << np.uint64(unused) >> np.uint64(unused)),))


@EntryPoint(types.uintp, types.uintp, types.int64, types.uintp)
def native_call(self, arguments, count, names):
    """Builtin of a guard: makes the call, or has Python make it."""
    plan = plan_at(load(bytes_address((tuple_item((self, 0)),))))
    frame, buffers = new_frame(), np.int64(0)
    regions = frame + REGIONS_AT
    if names == ZERO and count == plan.argument_count:
        sure, objects, buffers = take_all(plan, frame, arguments)
        if (
            sure
            and measure(plan, frame, arguments, objects)
            and admit(plan.pipeline, regions, plan.extent_count)
        ):
            link = state_at(plan.pipeline).link
            first = region_at(regions)
            packed = np.int64(0)
            if plan.asks_kernel:
                packed = kernel_link.decide_on_call(
                    link,
                    state_at(plan.pipeline).mode,
                    plan.family,
                    first.address,
                    first.needed,
                    first.is_write != ZERO,
                )
            result = _call_function(plan.function, frame)
            if plan.asks_kernel:
                kernel_link.observe_call(link, plan.family, profile_of(packed), CALL_COST_NS, False)
            happened = damage(regions, plan.extent_count)[1]
            if happened == INTACT and overstated(plan, frame, result):
                happened = OVERSTATED
            waited_for = unpin_regions(regions, plan.extent_count)
            give_back(frame, buffers)
            made = _boxed(plan, arguments, frame, result)
            if made == ZERO or (happened == INTACT and not waited_for):
                return made
            number = boxed((np.int64(happened),))
            told = call_one((plan.on_return, number))
            give((number,))
            if told == ZERO:
                give((made,))
                return told
            give((told,))
            return made
    give_back(frame, buffers)
    return vectorcall((plan.on_slow_path, arguments, np.uint64(count), names))
