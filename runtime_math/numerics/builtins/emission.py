"""Emits machine code that handles Python objects, over the interpreter's public C interface."""

import ctypes
import functools
import struct
import sys

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WORD, FLAG = ir.IntType(64), ir.IntType(1)
OBJECT = cgutils.voidptr_t  # what Numba's own code takes an object for
# Offsets in objects of the interpreter, where `available` finds them to be so.
TYPE_OFFSET, SIZE_OFFSET, ITEMS_OFFSET = 8, 16, 24
# The words that a bound builtin finds at an address of its own.
TARGET, CORE, SLOW, RESOLVE, READY, DIVERTED, FIRST_TYPE = range(7)


def available():
    """Whether the interpreter lays out objects as this module expects.

    Examples
    --------
    >>> isinstance(available(), bool)
    True
    """
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    items = (5, "text", 2.5)
    words = (ctypes.c_uint64 * 6).from_address(id(items))
    return (
        struct.calcsize("P") == 8
        and words[TYPE_OFFSET // 8] == id(tuple)
        and words[SIZE_OFFSET // 8] == len(items)
        and list(words[ITEMS_OFFSET // 8 :]) == [id(item) for item in items]
    )


def call_at(builder, function, kinds, values):
    """Emit the call of a C function at an address; gives a 64-bit integer.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    function : llvmlite value
        The address.
    kinds : sequence of numba types
        Of its arguments: 64-bit integers and booleans.
    values : sequence of llvmlite values
        Booleans as a bit or a byte.
    """
    shapes = [FLAG if kind == types.boolean else WORD for kind in kinds]
    values = [
        value if value.type == shape else builder.trunc(value, shape)
        for value, shape in zip(values, shapes, strict=True)
    ]
    pointer = ir.FunctionType(WORD, shapes).as_pointer()
    return builder.call(builder.inttoptr(function, pointer), values)


class Emitter:
    """Emits the handling of objects; any doubt leads to one block, where the fast path gives up.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    table : llvmlite value, optional
        Address of the words of a bound builtin.
    """

    def __init__(self, builder, table=None):
        self.builder = builder
        self.table = table
        self.types = FIRST_TYPE

    @functools.cached_property
    def doubt(self):
        """The block where the fast path gives up."""
        return self.builder.append_basic_block("doubt")

    def call(self, name, result, *arguments):
        """Call a function of Python's C interface."""
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def symbol(self, name):
        """Address of an object of Python's C interface."""
        module = self.builder.module
        place = module.globals.get(name) or ir.GlobalVariable(module, WORD, name)
        return self.builder.ptrtoint(place, WORD)

    def load(self, address, offset=0):
        """Word at an address."""
        place = self.builder.add(address, WORD(offset))
        return self.builder.load(self.builder.inttoptr(place, WORD.as_pointer()))

    def require(self, condition):
        """Go on where a condition holds."""
        builder = self.builder
        further = builder.append_basic_block()
        builder.cbranch(condition, further, self.doubt)
        builder.position_at_end(further)

    def require_no_error(self, suspect):
        """Go on unless a result that may stand for an error does."""
        failed = cgutils.alloca_once_value(self.builder, OBJECT(None))
        with self.builder.if_then(suspect, likely=False):
            self.builder.store(self.call("PyErr_Occurred", OBJECT), failed)
        self.require(cgutils.is_null(self.builder, self.builder.load(failed)))

    def type_of(self, value):
        """Address of the type of an object."""
        return self.load(value, TYPE_OFFSET)

    def next_type(self):
        """Address of the next of the types that the builtin is bound with."""
        self.types += 1
        return self.load(self.table, 8 * (self.types - 1))

    def equal(self, left, right):
        """Comparison of two words."""
        return self.builder.icmp_unsigned("==", left, right)

    def number(self, value, limit):
        """Number of an object of type int or of an enumeration of them, 0 to `limit` - 1."""
        number = self.call("PyLong_AsLong", WORD, value)
        # An error gives -1, which no limit admits; `doubt` clears it.
        self.require(self.builder.icmp_unsigned("<", number, WORD(limit)))
        return number

    def word(self, value):
        """Number of an object of type int, 0 to 2^64 - 1."""
        number = self.call("PyLong_AsUnsignedLongLong", WORD, value)
        self.require_no_error(self.equal(number, WORD(-1)))
        return number

    def flag(self, value):
        """Truth value of ``True`` or ``False``."""
        is_true = self.equal(value, self.symbol("_Py_TrueStruct"))
        is_false = self.equal(value, self.symbol("_Py_FalseStruct"))
        self.require(self.builder.or_(is_true, is_false))
        return is_true


def c_function(name, result, *parameters):
    """Intrinsic that calls a function of Python's C interface; objects are words."""
    shapes = {types.uintp: OBJECT, types.int64: WORD, types.void: ir.VoidType()}

    @intrinsic
    def call(typing_context, arguments):
        def emit(context, builder, signature, values):
            kind = ir.FunctionType(shapes[result], [shapes[p] for p in parameters])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            words = [builder.extract_value(values[0], i) for i in range(len(parameters))]
            given = [
                builder.inttoptr(word, OBJECT) if parameter == types.uintp else word
                for word, parameter in zip(words, parameters, strict=True)
            ]
            found = builder.call(function, given)
            if result == types.uintp:
                return builder.ptrtoint(found, WORD)
            return context.get_dummy_value() if result == types.void else found

        return result(types.Tuple(parameters)), emit

    return call


@intrinsic
def load(typing_context, address):
    """Word at an address."""

    def emit(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], WORD.as_pointer()))

    return types.uintp(types.uintp), emit


def singleton(name):
    """Intrinsic that makes a new reference to an object of Python's C interface."""

    @intrinsic
    def take_singleton(typing_context):
        def emit(context, builder, signature, arguments):
            emitter = Emitter(builder)
            value = emitter.symbol(name)
            emitter.call("Py_IncRef", ir.VoidType(), value)
            return value

        return types.uintp(), emit

    return take_singleton


none = singleton("_Py_NoneStruct")
true = singleton("_Py_TrueStruct")
false = singleton("_Py_FalseStruct")
tuple_item = c_function("PyTuple_GetItem", types.uintp, types.uintp, types.int64)
bytes_address = c_function("PyBytes_AsString", types.uintp, types.uintp)
vectorcall = c_function("PyObject_Vectorcall", types.uintp, *[types.uintp] * 4)
call_one = c_function("PyObject_CallOneArg", types.uintp, types.uintp, types.uintp)
boxed = c_function("PyLong_FromLongLong", types.uintp, types.int64)
take = c_function("Py_IncRef", types.void, types.uintp)
give = c_function("Py_DecRef", types.void, types.uintp)
