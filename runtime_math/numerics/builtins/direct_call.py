"""Builtins that hand plain values to a C function, and its result back.

One is compiled for each signature, whatever functions have it: the function is called at its
address. Arguments that the signature does not admit raise what Python's own conversions raise.
"""

import functools
import hashlib

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from runtime_math.numerics.builtins.emission import (
    FLAG,
    OBJECT,
    WORD,
    Emitter,
    bytes_address,
    load,
    tuple_item,
)
from runtime_math.numerics.builtins.method_definition import MethodDefinition
from runtime_math.numerics.c_function import CFunction
from runtime_math.numerics.templates import copied


def direct_call(compiled):
    """Make the Python callable of a compiled function.

    Parameters
    ----------
    compiled : CFunction

    Returns
    -------
    builtin_function_or_method
        Takes positional arguments: what has ``__index__`` for integers, `float` or what converts
        to it, truth values, the address of a record, and arrays, whose type is not checked.
    """
    function = compiled.dispatcher.py_func
    builtin = _builtin(compiled.argument_types, compiled.result.signature.return_type)
    code = function.__code__
    definition = MethodDefinition(
        function.__name__,
        ["$self", *code.co_varnames[: code.co_argcount], "/"],
        function.__doc__ or "",
        builtin.c_address,
    )
    return definition.bind(np.array([compiled.c_address], np.uint64), compiled, builtin)


@functools.cache
def _builtin(argument_types, result_type):
    """The builtin of a signature: `CFunction`."""
    function = copied(
        direct,
        {
            **globals(),
            "unbox": _unboxer(argument_types),
            "call_function": _caller(argument_types, result_type),
            "box": _boxer(result_type),
        },
        _name((*argument_types, result_type)),
    )
    return CFunction(function, types.uintp, types.uintp, types.int64, types.uintp)


def _name(kinds):
    """What tells a signature from all others, in the names of cached files."""
    text = repr([(str(kind), getattr(kind, "instance_class", None)) for kind in kinds])
    return f"direct_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


# ruff: noqa: F821 - what depends on the signature is among the globals of the copies


def direct(self, arguments, count, names):
    """Builtin of one signature."""
    unboxed = unbox(arguments, count, names)
    if unboxed[0]:
        return box(call_function(load(load(bytes_address((tuple_item((self, 0)),)))), unboxed))
    return np.uint64(0)  # with an exception set


def _unboxer(kinds):
    """Intrinsic: (arguments, count, names) -> (whether all converted, the values)."""
    result = types.Tuple([types.boolean, *kinds])

    @intrinsic
    def unbox(typing_context, given, count, names):
        def emit(context, builder, signature, words):
            given, count, names = words
            emitter = Emitter(builder)
            done = builder.append_basic_block("done")
            sure = cgutils.alloca_once_value(builder, FLAG(0))
            places = [
                cgutils.alloca_once(builder, context.get_value_type(kind), zfill=True)
                for kind in kinds
            ]
            _require_count(
                context, emitter, builder.or_(builder.xor(count, WORD(len(kinds))), names)
            )
            for index, (kind, place) in enumerate(zip(kinds, places, strict=True)):
                value = builder.inttoptr(emitter.load(given, 8 * index), OBJECT)
                builder.store(_unboxed(context, emitter, kind, value), place)
            builder.store(FLAG(1), sure)
            builder.branch(done)
            builder.position_at_end(emitter.doubt)
            builder.branch(done)
            builder.position_at_end(done)
            loaded = [builder.load(sure), *map(builder.load, places)]
            return context.make_tuple(builder, signature.return_type, loaded)

        return result(types.uintp, types.int64, types.uintp), emit

    def _require_count(context, emitter, wrong):
        builder = emitter.builder
        with builder.if_then(builder.icmp_unsigned("!=", wrong, WORD(0)), likely=False):
            text = f"takes exactly {len(kinds)} positional arguments"
            context.get_python_api(builder).err_set_string("PyExc_TypeError", text)
        emitter.require(emitter.equal(wrong, WORD(0)))

    return unbox


def _unboxed(context, emitter, kind, value):
    """Emit the conversion of an object; failure leads to the block of doubt, an exception set."""
    builder = emitter.builder
    if isinstance(kind, (types.Integer, types.Record)):
        signed = isinstance(kind, types.Integer) and kind.signed
        index = emitter.call("PyNumber_Index", OBJECT, value)
        emitter.require(cgutils.is_not_null(builder, index))
        convert = "PyLong_AsLongLong" if signed else "PyLong_AsUnsignedLongLong"
        number = emitter.call(convert, WORD, index)
        emitter.call("Py_DecRef", ir.VoidType(), index)
        emitter.require_no_error(emitter.equal(number, WORD(-1)))
        if isinstance(kind, types.Record):
            return builder.inttoptr(number, context.get_value_type(kind))
        return number
    if kind == types.float64:
        number = emitter.call("PyFloat_AsDouble", ir.DoubleType(), value)
        emitter.require_no_error(builder.fcmp_ordered("==", number, ir.DoubleType()(-1.0)))
        return number
    if kind == types.boolean:
        truth = emitter.call("PyObject_IsTrue", ir.IntType(32), value)
        emitter.require(builder.icmp_signed(">=", truth, ir.IntType(32)(0)))
        return builder.trunc(truth, FLAG)
    api = context.get_python_api(builder)
    native = api.to_native_value(kind, value)
    emitter.require(builder.not_(native.is_error))
    return native.value


def _caller(kinds, result):
    """Intrinsic: (address, what an unboxer returns) -> what the function there returns."""

    @intrinsic
    def call(typing_context, address, unboxed):
        def emit(context, builder, signature, words):
            address, unboxed = words
            shapes = [context.get_value_type(kind) for kind in kinds]
            shape = ir.FunctionType(context.get_value_type(result), shapes)
            values = [builder.extract_value(unboxed, 1 + i) for i in range(len(kinds))]
            return builder.call(builder.inttoptr(address, shape.as_pointer()), values)

        return result(types.uintp, types.Tuple([types.boolean, *kinds])), emit

    return call


def _boxer(kind):
    """Intrinsic that makes a Python object of a value."""

    @intrinsic
    def box(typing_context, value):
        def emit(context, builder, signature, values):
            api, constants = context.get_python_api(builder), context.get_env_manager(builder)
            made = api.from_native_value(kind, values[0], constants)
            return builder.ptrtoint(made, WORD)

        return types.uintp(kind), emit

    return box
