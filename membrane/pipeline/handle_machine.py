"""Making and freeing handles in machine code: methods of `ValidationPipeline` and `Handle`.

Each does what the method of Python does that it stands for, where the arguments are plain numbers,
the rules are the repaired ones and memory comes from the C library; everything else, and every
error, is left to that method.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from membrane.blocks.arena import FREED
from membrane.pipeline import array_over, compiled, layouts
from membrane.stages import leases
from membrane.stages.state import STATE
from membrane.tables.memory import c_free, store_word
from membrane.tables.words import LARGEST_BLOCK, ONE, ZERO
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
    take,
    vectorcall,
)
from runtime_math.numerics.builtins.method_definition import MethodDefinition
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.numerics.record_at import record_at

state_at = record_at(STATE)
#: What a pipeline brings to the making of its handles, as `bytes`.
MAKER = np.dtype(
    [
        (name, np.uint64)
        for name in ("state", "resources", "handle_type", "descriptor", "new_array", "set_base")
    ]
    + [("destructor", np.uint64)]
)
maker_at = record_at(MAKER)

_TYPE_AT, _BASE_AT = np.uint64(8), np.uint64(layouts.ARRAY_BASE_AT)
_DEFAULT_ALIGN = np.uint64(16)
_LARGEST = np.uint64(LARGEST_BLOCK)
_as_word = c_function("PyLong_AsUnsignedLongLong", types.int64, types.uintp)
_error = c_function("PyErr_Occurred", types.uintp)
_clear_error = c_function("PyErr_Clear", types.void)
_new_capsule = c_function("PyCapsule_New", types.uintp, types.uintp, types.uintp, types.uintp)
_set_attribute = c_function("PyObject_SetAttr", types.int64, types.uintp, types.uintp, types.uintp)


def _attribute(name: str) -> Any:
    """Intrinsic: a new reference to an attribute of an object, or 0 with an exception set."""

    @intrinsic
    def get(typing_context: Any, owner: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            # The interpreter's own text of the name, which the first call asks for.
            key = cgutils.add_global_variable(builder.module, OBJECT, f"name.of{name}")
            key.linkage, key.initializer = "internal", OBJECT(None)
            emitter = Emitter(builder)
            with builder.if_then(cgutils.is_null(builder, builder.load(key)), likely=False):
                text = context.insert_const_string(builder.module, name)
                builder.store(emitter.call("PyUnicode_InternFromString", OBJECT, text), key)
            owner = builder.inttoptr(arguments[0], OBJECT)
            found = emitter.call("PyObject_GetAttr", OBJECT, owner, builder.load(key))
            return builder.ptrtoint(found, WORD)

        return types.uintp(types.uintp), emit

    return get


def _exact_type(name: str) -> Any:
    """Intrinsic: address of a type of Python's C interface."""

    @intrinsic
    def get(typing_context: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return Emitter(builder).symbol(name)

        return types.uintp(), emit

    return get


_maker_of, _allocate_slowly = _attribute("_maker"), _attribute("_allocate")
_free_slowly, _tell_result = _attribute("_free"), _attribute("_tell_result")
_bytes_type, _int_type = _exact_type("PyBytes_Type"), _exact_type("PyLong_Type")
_capsule_type = _exact_type("PyCapsule_Type")


@intrinsic
def _array(typing_context, maker, address, size):
    """A new array over memory, or 0 with an exception set."""

    def emit(context, builder, signature, arguments):
        maker, address, size = arguments
        emitter = Emitter(builder)
        kind, descriptor, function = (
            emitter.load(maker, MAKER.fields[name][1])
            for name in ("handle_type", "descriptor", "new_array")
        )
        shape = cgutils.alloca_once_value(builder, size)
        number = ir.IntType(32)
        call = ir.FunctionType(
            WORD, [WORD, WORD, number, WORD.as_pointer(), WORD, WORD, number, WORD]
        )
        emitter.call("Py_IncRef", ir.VoidType(), builder.inttoptr(descriptor, OBJECT))
        return builder.call(
            builder.inttoptr(function, call.as_pointer()),
            [kind, descriptor, number(1), shape, WORD(0), address,
             number(array_over.ROW_OF_BYTES), WORD(0)],
        )  # fmt: skip

    return types.uintp(types.uintp, types.uint64, types.uint64), emit


@intrinsic
def _set_base(typing_context, function, array, capsule):
    """Give an array what it belongs to, whose reference it takes; 0 if that went well."""

    def emit(context, builder, signature, arguments):
        function, array, capsule = arguments
        call = ir.FunctionType(ir.IntType(32), [WORD, WORD]).as_pointer()
        return builder.call(builder.inttoptr(function, call), [array, capsule])

    return types.int32(types.uintp, types.uintp, types.uintp), emit


@jitted
def _word(value):
    """(whether it is an exact `int` from 0 to 2^64 - 1, the number)."""
    if load(value + _TYPE_AT) != _int_type():
        return False, ZERO
    number = _as_word((value,))
    if number == -1 and _error(()) != ZERO:
        _clear_error(())
        return False, ZERO
    return True, np.uint64(number)


@jitted
def _wanted(arguments, count):
    """(sure, size, align) of a call of `allocate`."""
    if count < 1 or count > 2:
        return False, ZERO, ZERO
    sure, size = _word(load(arguments))
    align = _DEFAULT_ALIGN
    if sure and count == 2:
        sure, align = _word(load(arguments + np.uint64(8)))
        align = max(align, _DEFAULT_ALIGN)
    return sure and size <= _LARGEST and align & (align - ONE) == ZERO, size, align


@jitted
def _handle(maker_address, pipeline, size, align):
    """A new handle; 0 where Python has to see to it, without an exception set."""
    maker = maker_at(maker_address)
    own = state_at(maker.state)
    if own.closing != ZERO:
        return ZERO
    leases.settle_departed(maker.state)
    record = leases.new_lease()
    if record == ZERO:
        return ZERO
    address = leases.allocate(maker.state, record, maker.resources, pipeline, size, align)
    if address == ZERO:
        c_free(record)
        return ZERO
    # From here on the block belongs to the capsule: whatever fails, its end frees the block.
    capsule = _new_capsule((record, ZERO, maker.destructor))
    if capsule == ZERO:
        _clear_error(())
        leases.free(record)
        leases.depart(record)
        give((pipeline,))
        return ZERO
    array = _array(maker_address, address, size)
    if array == ZERO or _set_base(maker.set_base, array, capsule) != 0:
        _clear_error(())
        leases.free(record)
        give((capsule if array == ZERO else array,))
        return ZERO
    return array


@jitted
def _called(method, arguments, count, names):
    """What a bound method returns, to which a reference is given up; 0 where there is none."""
    if method == ZERO:
        return ZERO
    made = vectorcall((method, arguments, np.uint64(count), names))
    give((method,))
    return made


@EntryPoint(types.uintp, types.uintp, types.int64, types.uintp)
def allocate_method(self, arguments, count, names):
    """`ValidationPipeline.allocate`."""
    sure, size, align = _wanted(arguments, count)
    if sure and names == ZERO:
        maker, made = _maker_of(self), ZERO
        if maker != ZERO and load(maker + _TYPE_AT) == _bytes_type():
            made = _handle(bytes_address((maker,)), self, size, align)
        if maker == ZERO:
            _clear_error(())
        else:
            give((maker,))
        if made != ZERO:
            return made
    return _called(_allocate_slowly(self), arguments, count, names)


@jitted
def _lease_of(handle):
    """Address of the lease that an array is the handle of, or 0."""
    base = load(handle + _BASE_AT)
    if base == ZERO or load(base + _TYPE_AT) != _capsule_type():
        return ZERO
    return compiled.capsule_pointer((base, ZERO))


@EntryPoint(types.uint64)
def lease_entry(handle):
    return _lease_of(handle)


@jitted
def _free(handle, record):
    """Free the block of a handle at once: a `FreeResult` code, or -1 where Python has to."""
    lease = leases.lease_at(record)
    own = state_at(lease.pipeline)
    if lease.freed != ZERO or own.closing != ZERO or not own.is_direct:
        return -1
    leases.settle_departed(lease.pipeline)
    return leases.free(record)


@jitted
def _turn_stale(handle, own):
    """Give a handle the class of stale ones; False with an exception set.

    Both have no slots and no dict, so that of a plain handle nothing but its type has to change: a
    fifth of what a free takes is saved by doing that here.
    """
    if load(handle + _TYPE_AT) != own.handle_type:  # a class of somebody else's
        return np.int32(_set_attribute((handle, own.class_name, own.stale_type))) == 0
    take((own.stale_type,))
    store_word(handle + _TYPE_AT, own.stale_type)
    give((own.handle_type,))
    return True


@EntryPoint(types.uintp, types.uintp, types.int64, types.uintp)
def free_method(self, arguments, count, names):
    """`Handle.free`."""
    record = _lease_of(self)
    result = -1
    if record != ZERO and count == 0 and names == ZERO:
        result = _free(self, record)
    if result < 0:
        return _called(_free_slowly(self), arguments, count, names)
    own = state_at(leases.lease_at(record).pipeline)
    if result != FREED:  # an error to raise, or a canary to tell about
        tell = _tell_result(self)
        if tell == ZERO:
            return ZERO
        number = boxed((np.int64(result),))
        told = call_one((tell, number))
        give((number,))
        give((tell,))
        return told
    if not _turn_stale(self, own):
        return ZERO
    take((own.freed_result,))
    return own.freed_result


_new_method = ctypes.pythonapi.PyDescr_NewMethod
_new_method.argtypes, _new_method.restype = [ctypes.py_object, ctypes.c_void_p], ctypes.py_object
_definitions: list[MethodDefinition] = []  # types refer to them for ever


def install(kind: type, name: str, parameters: list[str], point: EntryPoint) -> None:
    """Put machine code in the place of a method of a class.

    Parameters
    ----------
    kind : type
        Whose method of the name with an underscore before it does the same.
    name : str
    parameters : list of str
        For `inspect.signature`.
    point : EntryPoint
    """
    text = vars(kind)[name].__doc__ or ""
    definition = MethodDefinition(name, parameters, text, point.c_address)
    _definitions.append(definition)
    setattr(kind, name, _new_method(kind, definition.address))


def maker(state: int, resources: object, handle_type: type) -> bytes:
    """What a pipeline has as its attribute ``_maker``; the objects in it must live as long."""
    words = np.zeros(1, MAKER)
    words["state"], words["resources"] = state, id(resources)
    words["handle_type"], words["descriptor"] = id(handle_type), id(array_over.BYTE_DESCRIPTOR)
    words["new_array"], words["set_base"] = array_over.NEW_ARRAY, array_over.SET_BASE
    words["destructor"] = compiled.drop_lease_entry.c_address
    return words.tobytes()
