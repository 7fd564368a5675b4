"""How many bytes a native call touches, and whether it has said that it wrote more.

Jitted code over the words that `membrane.calls.native.taking` has made of the arguments.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from membrane.blocks.lattice import VALID
from membrane.blocks.lookup import around
from membrane.blocks.slots import NO_SLOT, slot_address, slot_at
from membrane.calls.native.plan import (
    BYTES,
    CONSTANT,
    COUNTED,
    HANDLE,
    NOT_SAID,
    POINTED,
    RETURNED,
    SIGNED,
    UNSIGNED,
)
from membrane.calls.native.taking import REGIONS_AT, TYPE_AT, VIEW_BYTES, VIEW_LENGTH_AT, VIEWS_AT
from membrane.stages.call_regions import REGION_SIZE, region_at, state_at
from membrane.tables.words import ONE, WORD_SIZE, ZERO
from runtime_math.numerics.builtins.emission import WORD, load
from runtime_math.numerics.compilation import jitted

_LARGEST_SIGNED = np.uint64(2**63 - 1)


@intrinsic
def _string_length(typing_context, address, most):
    """`strnlen`."""

    def emit(context, builder, signature, arguments):
        kind = ir.FunctionType(WORD, [WORD, WORD])
        function = cgutils.get_or_insert_function(builder.module, kind, "strnlen")
        return builder.call(function, arguments)

    return types.uint64(types.uint64, types.uint64), emit


@jitted
def _word_at(frame, position):
    return load(frame + np.uint64(position) * WORD_SIZE)


@jitted
def _number_behind(frame, position, bits, signed):
    """The integer that an argument points to, with its sign."""
    address = _word_at(frame, position)
    if bits == 64:
        return np.int64(load(address))
    half = np.int64(_load_half(address))
    return half << np.int64(32) >> np.int64(32) if signed else half


@intrinsic
def _load_half(typing_context, address):
    """Unsigned 32 bits at an address."""

    def emit(context, builder, signature, arguments):
        half = ir.IntType(32)
        value = builder.load(builder.inttoptr(arguments[0], half.as_pointer()))
        return builder.zext(value, WORD)

    return types.uint64(types.uintp), emit


@jitted
def _describe(plan, extent, frame, arguments, objects, region):
    """What is known of the memory of an extent, before its size."""
    region.address = _word_at(frame, extent.position)
    region.is_write = extent.is_write
    region.is_object = np.uint64((objects >> extent.position) & 1)
    of_type = load(_word_at(arguments, extent.position) + TYPE_AT)
    region.is_handle = np.uint64(of_type == plan.types[HANDLE])
    view = frame + VIEWS_AT + np.uint64(extent.position) * VIEW_BYTES
    region.length = load(view + VIEW_LENGTH_AT) if region.is_object != ZERO else ZERO
    return of_type


@jitted
def _string_room(plan, region, of_type):
    """How many bytes may be read in search of a terminator; 0: Python has to find out."""
    if region.is_object != ZERO and region.is_handle == ZERO:
        if of_type == plan.types[BYTES]:
            region.length += ONE  # after all `bytes` comes a zero
        return region.length
    blocks = state_at(plan.pipeline).arena
    identity = around(blocks, region.address)
    if identity == NO_SLOT:
        return ZERO
    slot = slot_at(slot_address(blocks, identity))
    offset = region.address - slot.user_base
    if slot.state != VALID or offset > slot.user_size:
        return ZERO
    return slot.user_size - offset


@jitted
def _number_may_be_read(plan, frame, arguments, objects, position, bits):
    """Whether there is a number behind an argument: one of Python's objects tells."""
    view = frame + VIEWS_AT + np.uint64(position) * VIEW_BYTES
    return (objects >> position) & 1 and load(view + VIEW_LENGTH_AT) * np.uint64(8) >= np.uint64(
        bits
    )


@jitted
def _count(plan, extent, frame, arguments, objects, region, of_type):
    """Items of an extent; 0 where Python has to find out."""
    if extent.measure == CONSTANT:
        return ONE
    if extent.measure == COUNTED:
        return _word_at(frame, extent.argument)
    if extent.measure == POINTED:
        bits = extent.number_bits
        if not _number_may_be_read(plan, frame, arguments, objects, extent.argument, bits):
            return ZERO
        number = _number_behind(frame, extent.argument, bits, extent.is_signed)
        return np.uint64(number) if number > 0 else ZERO
    room = _string_room(plan, region, of_type)
    length = _string_length(region.address, room) if room != ZERO else ZERO
    return length + ONE if length < room else ZERO


@jitted
def measure(plan, frame, arguments, objects):
    """Fill the records of the regions; a call of no bytes, or of too many, is left to Python."""
    for index in range(plan.extent_count):
        extent = plan.extents[index]
        region = region_at(frame + REGIONS_AT + np.uint64(index) * REGION_SIZE)
        of_type = _describe(plan, extent, frame, arguments, objects, region)
        count = _count(plan, extent, frame, arguments, objects, region, of_type)
        if count == ZERO or count > _LARGEST_SIGNED // extent.item_bytes:
            return False
        region.needed = count * extent.item_bytes
    return not _overlap(plan, frame + REGIONS_AT)


@jitted
def _overlap(plan, regions):
    """Whether two regions overlap that must not."""
    for index in range(plan.extent_count):
        if not plan.extents[index].is_exclusive:
            continue
        one = region_at(regions + np.uint64(index) * REGION_SIZE)
        for before in range(index):
            other = region_at(regions + np.uint64(before) * REGION_SIZE)
            if plan.extents[before].is_exclusive and (
                one.address < other.address + other.needed
                and other.address < one.address + one.needed
            ):
                return True
    return False


@jitted
def overstated(plan, frame, result):
    """Whether the function says that it wrote more than there was room for."""
    for index in range(plan.extent_count):
        extent = plan.extents[index]
        if extent.written == NOT_SAID:
            continue
        if extent.written == RETURNED:
            unused = np.int64(64) - plan.result_bits
            number = np.int64(result) << unused >> unused
            if plan.result_kind == UNSIGNED:
                number = np.int64(result << np.uint64(unused) >> np.uint64(unused))
        else:
            number = _number_behind(
                frame, extent.written_argument, extent.written_bits, extent.is_signed
            )
        region = region_at(frame + REGIONS_AT + np.uint64(index) * REGION_SIZE)
        may_be_negative = extent.is_signed or (
            extent.written == RETURNED and plan.result_kind == SIGNED
        )
        if may_be_negative and number < 0:
            continue
        if np.uint64(number) > region.needed // extent.written_unit:
            return True
    return False
