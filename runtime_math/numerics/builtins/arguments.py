"""What a builtin may be called with, and how each kind becomes numbers."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from runtime_math.numerics.builtins.emission import (
    DIVERTED,
    FLAG,
    ITEMS_OFFSET,
    SIZE_OFFSET,
    WORD,
    Emitter,
    call_at,
)


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
        size = emitter.load(value, SIZE_OFFSET)
        emitter.require(emitter.equal(size, WORD(len(self.limits))))
        items = [emitter.load(value, ITEMS_OFFSET + 8 * place) for place in range(len(self.limits))]
        return [
            emitter.flag(item)
            if limit is None
            else emitter.word(item)
            if limit == 2**64
            else emitter.number(item, limit)
            for item, limit in zip(items, self.limits, strict=True)
        ]


def unboxer(arguments):
    """Intrinsic: (table, arguments, count, names) -> (sure, the values of all arguments)."""
    kinds = [kind for argument in arguments for kind in argument.kinds]
    result = types.Tuple([types.boolean, *kinds])

    @intrinsic
    def unbox(typing_context, table, given, count, names):
        def emit(context, builder, signature, words):
            table, given, count, names = words
            emitter = Emitter(builder, table)
            done = builder.append_basic_block("done")
            sure = cgutils.alloca_once_value(builder, FLAG(0))
            places = [cgutils.alloca_once(builder, context.get_value_type(kind)) for kind in kinds]
            emitter.require(emitter.equal(count, WORD(len(arguments))))
            emitter.require(emitter.equal(names, WORD(0)))
            emitter.require(emitter.equal(emitter.load(table, 8 * DIVERTED), WORD(0)))
            values = []
            for place, argument in enumerate(arguments):
                values += argument.emit(emitter, emitter.load(given, 8 * place))
            for value, place in zip(values, places, strict=True):
                builder.store(value, place)
            builder.store(FLAG(1), sure)
            builder.branch(done)
            builder.position_at_end(emitter.doubt)
            emitter.call("PyErr_Clear", ir.VoidType())
            builder.branch(done)
            builder.position_at_end(done)
            loaded = [builder.load(sure), *map(builder.load, places)]
            return context.make_tuple(builder, signature.return_type, loaded)

        return result(types.uintp, types.uintp, types.int64, types.uintp), emit

    return unbox


def core_caller(arguments):
    """Intrinsic: (function, target, what an unboxer returns) -> what the function returns."""
    kinds = [kind for argument in arguments for kind in argument.kinds]

    @intrinsic
    def call(typing_context, function, target, unboxed):
        def emit(context, builder, signature, values):
            function, target, unboxed = values
            numbers = [builder.extract_value(unboxed, 1 + i) for i in range(len(kinds))]
            return call_at(builder, function, [types.uintp, *kinds], [target, *numbers])

        return types.int64(types.uintp, types.uintp, types.Tuple([types.boolean, *kinds])), emit

    return call
