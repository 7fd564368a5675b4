"""Builtin functions of Python around jitted code, made without a C compiler.

Between Python and the first instruction of a jitted function stand a method, checks, and the
unboxing of every argument. A `Builtin` does all of it in machine code, over Python's public C
interface: what it is called with is compared with exactly the types it knows, unboxed, given to the
jitted core, and the result is boxed. Whatever is not exact (keywords, other types, values out of
range, a core that is busy) goes to one Python function with the arguments untouched, which does the
same work slowly and raises the errors. Only the core has effects, so nothing happens twice.

A builtin is one compiled function of the C type ``METH_FASTCALL | METH_KEYWORDS``, cached on disk
like every other entry point. It calls the core at an address, so that it takes no time to compile
and serves every core of the same arguments. `Builtin.bind` makes a callable that belongs to one
object.
"""

import ctypes
import functools
import hashlib
import inspect
import struct
import sys
import weakref
from types import FunctionType

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from runtime_math.numerics.entry_point import EntryPoint

_WORD, _INT, _FLAG = ir.IntType(64), ir.IntType(32), ir.IntType(1)
_METH_FASTCALL_KEYWORDS = 0x80 | 0x02
# Offsets in objects of the interpreter, where `available` finds them to be so.
_TYPE_OFFSET, _SIZE_OFFSET, _ITEMS_OFFSET = 8, 16, 24

# The words that a bound builtin finds at an address of its own.
_TARGET, _CORE, _SLOW, _RESOLVE, _READY, _DIVERTED, _FIRST_TYPE = range(7)
_READY_BITS = 14
_READY_FACTOR = 0x9E3779B97F4A7C15  # spreads packed numbers over a table (Fibonacci hashing)


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
        and words[_TYPE_OFFSET // 8] == id(tuple)
        and words[_SIZE_OFFSET // 8] == len(items)
        and list(words[_ITEMS_OFFSET // 8 :]) == [id(item) for item in items]
    )


class _Emitter:
    """Emits the conversion of arguments; any doubt leads to one block that gives up."""

    def __init__(self, builder, table):
        self.builder = builder
        self.table = table
        self.doubt = builder.append_basic_block("doubt")
        self.types = _FIRST_TYPE

    def call(self, name, result, *arguments):
        """Call a function of Python's C interface."""
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments)

    def symbol(self, name):
        """Address of an object of Python's C interface."""
        module = self.builder.module
        place = module.globals.get(name) or ir.GlobalVariable(module, _WORD, name)
        return self.builder.ptrtoint(place, _WORD)

    def load(self, address, offset=0):
        """Word at an address."""
        place = self.builder.add(address, _WORD(offset))
        return self.builder.load(self.builder.inttoptr(place, _WORD.as_pointer()))

    def require(self, condition):
        """Go on where a condition holds."""
        builder = self.builder
        further = builder.append_basic_block()
        builder.cbranch(condition, further, self.doubt)
        builder.position_at_end(further)

    def type_of(self, value):
        """Address of the type of an object."""
        return self.load(value, _TYPE_OFFSET)

    def next_type(self):
        """Address of the next of the types that the builtin is bound with."""
        self.types += 1
        return self.load(self.table, 8 * (self.types - 1))

    def equal(self, left, right):
        """Comparison of two words."""
        return self.builder.icmp_unsigned("==", left, right)

    def number(self, value, limit):
        """Number of an object of type int or of an enumeration of them, 0 to `limit` - 1."""
        number = self.call("PyLong_AsLong", _WORD, value)
        # An error gives -1, which no limit admits; `doubt` clears it.
        self.require(self.builder.icmp_unsigned("<", number, _WORD(limit)))
        return number

    def word(self, value):
        """Number of an object of type int, 0 to 2^64 - 1."""
        number = self.call("PyLong_AsUnsignedLongLong", _WORD, value)
        failed = cgutils.alloca_once_value(self.builder, _WORD(0))
        with self.builder.if_then(self.equal(number, _WORD(-1)), likely=False):
            self.builder.store(self.call("PyErr_Occurred", _WORD), failed)
        self.require(self.equal(self.builder.load(failed), _WORD(0)))
        return number

    def flag(self, value):
        """Truth value of ``True`` or ``False``."""
        is_true = self.equal(value, self.symbol("_Py_TrueStruct"))
        is_false = self.equal(value, self.symbol("_Py_FalseStruct"))
        self.require(self.builder.or_(is_true, is_false))
        return is_true


class Member:
    """Argument: a member of an enumeration whose values are 0, 1, ..., or such a number."""

    kinds = (types.int64,)

    def __init__(self, enumeration):
        self.types = (enumeration,)
        self.limits = len(enumeration)

    def emit(self, emitter, value):
        """Emit the conversion."""
        kind = emitter.type_of(value)
        known = emitter.equal(kind, emitter.next_type())
        plain = emitter.equal(kind, emitter.symbol("PyLong_Type"))
        emitter.require(emitter.builder.or_(known, plain))
        return [emitter.number(value, self.limits)]


class Word:
    """Argument: an `int` from 0 to 2^64 - 1."""

    kinds = (types.uint64,)
    types = ()
    limits = 2**64

    def emit(self, emitter, value):
        """Emit the conversion."""
        emitter.require(emitter.equal(emitter.type_of(value), emitter.symbol("PyLong_Type")))
        return [emitter.word(value)]


class Flag:
    """Argument: a `bool`."""

    kinds = (types.boolean,)
    types = ()
    limits = None

    def emit(self, emitter, value):
        """Emit the conversion."""
        return [emitter.flag(value)]


class Fields:
    """Argument: a named tuple that was checked when it was made.

    Parameters
    ----------
    kind : type
        The class itself, not one derived from it.
    limits : tuple of (int or None)
        For each item the number of codes it may hold, ``2**64`` for a word, None for a bool.
    """

    def __init__(self, kind, limits):
        self.types = (kind,)
        self.limits = limits
        self.kinds = tuple(
            types.boolean if limit is None else types.uint64 if limit == 2**64 else types.int64
            for limit in limits
        )

    def emit(self, emitter, value):
        """Emit the conversion."""
        emitter.require(emitter.equal(emitter.type_of(value), emitter.next_type()))
        size = emitter.load(value, _SIZE_OFFSET)
        emitter.require(emitter.equal(size, _WORD(len(self.limits))))
        items = [
            emitter.load(value, _ITEMS_OFFSET + 8 * place) for place in range(len(self.limits))
        ]
        return [
            emitter.flag(item)
            if limit is None
            else emitter.word(item)
            if limit == 2**64
            else emitter.number(item, limit)
            for item, limit in zip(items, self.limits, strict=True)
        ]


def _unboxer(arguments):
    """Intrinsic: (table, arguments, count, names) -> (sure, the values of all arguments)."""
    kinds = [kind for argument in arguments for kind in argument.kinds]
    result = types.Tuple([types.boolean, *kinds])

    @intrinsic
    def unbox(typing_context, table, given, count, names):
        def emit(context, builder, signature, words):
            table, given, count, names = words
            emitter = _Emitter(builder, table)
            done = builder.append_basic_block("done")
            sure = cgutils.alloca_once_value(builder, _FLAG(0))
            places = [cgutils.alloca_once(builder, context.get_value_type(kind)) for kind in kinds]
            emitter.require(emitter.equal(count, _WORD(len(arguments))))
            emitter.require(emitter.equal(names, _WORD(0)))
            emitter.require(emitter.equal(emitter.load(table, 8 * _DIVERTED), _WORD(0)))
            values = []
            for place, argument in enumerate(arguments):
                values += argument.emit(emitter, emitter.load(given, 8 * place))
            for value, place in zip(values, places, strict=True):
                builder.store(value, place)
            builder.store(_FLAG(1), sure)
            builder.branch(done)
            builder.position_at_end(emitter.doubt)
            emitter.call("PyErr_Clear", ir.VoidType())
            builder.branch(done)
            builder.position_at_end(done)
            loaded = [builder.load(sure), *map(builder.load, places)]
            return context.make_tuple(builder, signature.return_type, loaded)

        return result(types.uintp, types.uintp, types.int64, types.uintp), emit

    return unbox


def _core_caller(arguments):
    """Intrinsic: (function, target, what an unboxer returns) -> what the function returns."""
    kinds = [kind for argument in arguments for kind in argument.kinds]

    @intrinsic
    def call(typing_context, function, target, unboxed):
        def emit(context, builder, signature, values):
            function, target, unboxed = values
            shapes = [_FLAG if kind == types.boolean else _WORD for kind in kinds]
            pointer = ir.FunctionType(_WORD, [_WORD, *shapes]).as_pointer()
            numbers = [builder.extract_value(unboxed, 1 + i) for i in range(len(kinds))]
            numbers = [
                builder.trunc(number, _FLAG) if number.type != shape and shape == _FLAG else number
                for number, shape in zip(numbers, shapes, strict=True)
            ]
            return builder.call(builder.inttoptr(function, pointer), [target, *numbers])

        return types.int64(types.uintp, types.uintp, types.Tuple([types.boolean, *kinds])), emit

    return call


def _c_function(name, result, *parameters):
    """Intrinsic that calls a function of Python's C interface; objects are words."""
    shapes = {types.uintp: _WORD, types.int64: _WORD, types.void: ir.VoidType()}

    @intrinsic
    def call(typing_context, arguments):
        def emit(context, builder, signature, values):
            kind = ir.FunctionType(shapes[result], [shapes[p] for p in parameters])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            words = [builder.extract_value(values[0], i) for i in range(len(parameters))]
            found = builder.call(function, words)
            return context.get_dummy_value() if result == types.void else found

        return result(types.Tuple(parameters)), emit

    return call


@intrinsic
def load(typing_context, address):
    """Word at an address."""

    def emit(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], _WORD.as_pointer()))

    return types.uintp(types.uintp), emit


@intrinsic
def none(typing_context):
    """New reference to None."""

    def emit(context, builder, signature, arguments):
        emitter = _Emitter.__new__(_Emitter)
        emitter.builder = builder
        value = emitter.symbol("_Py_NoneStruct")
        emitter.call("Py_IncRef", ir.VoidType(), value)
        return value

    return types.uintp(), emit


tuple_item = _c_function("PyTuple_GetItem", types.uintp, types.uintp, types.int64)
bytes_address = _c_function("PyBytes_AsString", types.uintp, types.uintp)
vectorcall = _c_function("PyObject_Vectorcall", types.uintp, *[types.uintp] * 4)
call_one = _c_function("PyObject_CallOneArg", types.uintp, types.uintp, types.uintp)
boxed = _c_function("PyLong_FromLongLong", types.uintp, types.int64)
take = _c_function("Py_IncRef", types.void, types.uintp)
give = _c_function("Py_DecRef", types.void, types.uintp)

WORD_SIZE = np.uint64(8)
CORE_PLACE = np.uint64(8 * _CORE)
SLOW_PLACE = np.uint64(8 * _SLOW)
RESOLVE_PLACE = np.uint64(8 * _RESOLVE)
READY_PLACE = np.uint64(8 * _READY)
FACTOR = np.uint64(_READY_FACTOR)
SHIFT = np.uint64(64 - _READY_BITS)
PAIR = np.uint64(16)
NO_NAMES = np.uint64(0)


# Written once, copied for every builtin with `unbox` and `call_core` of its own among its globals:
# a closure would keep Numba's cache from recognising it.
def _ready(self, arguments, count, names):
    """Builtin whose core returns a packed number, for which Python has a ready object."""
    table = load(bytes_address((tuple_item((self, 0)),)))
    unboxed = unbox(table, arguments, count, names)  # noqa: F821
    if unboxed[0]:
        packed = call_core(load(table + CORE_PLACE), load(table), unboxed)  # noqa: F821
        if packed >= 0:
            key = np.uint64(packed)
            entry = load(table + READY_PLACE) + (key * FACTOR >> SHIFT) * PAIR
            if load(entry) == key:
                found = load(entry + WORD_SIZE)
                take((found,))
                return found
            number = boxed((packed,))
            found = call_one((load(table + RESOLVE_PLACE), number))
            give((number,))
            return found
    return vectorcall((load(table + SLOW_PLACE), arguments, np.uint64(count), names))


def _nothing(self, arguments, count, names):
    """Builtin whose core returns 0, and Python gets None."""
    table = load(bytes_address((tuple_item((self, 0)),)))
    unboxed = unbox(table, arguments, count, names)  # noqa: F821
    if unboxed[0]:
        done = call_core(load(table + CORE_PLACE), load(table), unboxed)  # noqa: F821
        if done >= 0:
            return none()
    return vectorcall((load(table + SLOW_PLACE), arguments, np.uint64(count), names))


class _MethodDefinition(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("text", ctypes.c_char_p),
    ]


class ReadyObjects:
    """Objects by number, found by machine code without a dictionary.

    Parameters
    ----------
    make : callable
        Takes a number from 1 to 2^63 - 1 and returns its object.
    """

    def __init__(self, make):
        self._make = make
        self._table = np.zeros((1 << _READY_BITS, 2), np.uint64)
        self._kept = [None] * (1 << _READY_BITS)
        self.address = self._table.ctypes.data

    def __call__(self, number):
        """Object of a number; the next builtin finds it by itself."""
        place = (number * _READY_FACTOR & 2**64 - 1) >> 64 - _READY_BITS
        made = self._make(number)
        # The key goes first and comes last, so that no moment shows a key with another's object.
        self._table[place, 0] = 0
        former, self._kept[place] = self._kept[place], made
        self._table[place] = number, id(made)
        del former
        return made


class Builtin:
    """Declaration of a builtin function.

    Parameters
    ----------
    method : function
        What the builtin stands for: gives it its name, its signature and its documentation.
    arguments : sequence of `Member`, `Word`, `Flag` or `Fields`
        Those after ``self``, all positional; anything else is for the slow path.
    returns : {"ready", "nothing"}
        What Python gets for the integer that the core returns: an object from a `ReadyObjects`, or
        None. A negative integer means that nothing has happened and that the slow path shall try.
    """

    def __init__(self, method, arguments, returns):
        self.method = method
        self.types = [kind for argument in arguments for kind in argument.types]
        template = {"ready": _ready, "nothing": _nothing}[returns]
        namespace = {
            **globals(),
            "unbox": _unboxer(arguments),
            "call_core": _core_caller(arguments),
        }
        function = FunctionType(template.__code__, namespace, method.__name__)
        # The limits are part of the machine code, so they are part of its name in the cache.
        limits = hashlib.sha256(repr([a.limits for a in arguments]).encode()).hexdigest()[:12]
        function.__qualname__ = f"{template.__name__}.{method.__name__}.{limits}"
        self.point = EntryPoint(types.uintp, types.uintp, types.int64, types.uintp)(function)

    @functools.cached_property
    def _definition(self):
        names = ", ".join(["$self", *list(inspect.signature(self.method).parameters)[1:]])
        name, text = self.method.__name__, inspect.getdoc(self.method) or ""
        return _MethodDefinition(
            name.encode(),
            self.point.c_address,
            _METH_FASTCALL_KEYWORDS,
            f"{name}({names})\n--\n\n{text}".encode(),
        )

    def bind(self, owner, core, target, kept, slow, ready=None):
        """Make the callable for one object.

        Parameters
        ----------
        owner : object
            Referred to weakly: the callable does not keep it alive.
        core : int
            Address of a C function of the target and the values of all arguments.
        target : int
            The core's first argument.
        kept : object
            Kept alive by the callable: what lies at `target`.
        slow : callable
            ``slow(owner or None, kept, *arguments, **keywords)``: does what the core does.
        ready : ReadyObjects, optional

        Returns
        -------
        builtin_function_or_method
            `divert` switches its machine code off.
        """
        reference = weakref.ref(owner)

        def on_slow_path(*arguments, **keywords):
            return slow(reference(), kept, *arguments, **keywords)

        words = np.zeros(_FIRST_TYPE + len(self.types), np.uint64)
        words[_TARGET], words[_CORE], words[_SLOW] = target, core, id(on_slow_path)
        if ready is not None:
            words[_RESOLVE], words[_READY] = id(ready), ready.address
        words[_FIRST_TYPE:] = [id(kind) for kind in self.types]
        head = struct.pack("Q", words.ctypes.data)
        make = ctypes.pythonapi.PyCFunction_NewEx
        make.restype = ctypes.py_object
        make.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]
        carried = (head, words, kept, on_slow_path, ready, self)
        return make(ctypes.addressof(self._definition), carried, None)


def divert(bound, diverted):
    """Send every call of a bound builtin to its slow path, or stop doing so."""
    bound.__self__[1][_DIVERTED] = int(diverted)
