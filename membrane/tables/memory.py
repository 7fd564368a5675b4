"""Words of real memory, read and written by jitted code, and the C library's own allocator.

Everything that touches memory through an address passes through this file. The functions check
nothing: their callers hold the proof that the address is theirs.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_WORD = ir.IntType(64)

# The C library, by symbol: unlike a function pointer, a symbol may be kept in a compile cache.
c_allocate_zeroed = types.ExternalFunction("calloc", types.uint64(types.uint64, types.uint64))
c_reallocate = types.ExternalFunction("realloc", types.uint64(types.uint64, types.uint64))
c_allocate_aligned = types.ExternalFunction(
    "aligned_alloc", types.uint64(types.uint64, types.uint64)
)
c_free = types.ExternalFunction("free", types.void(types.uint64))
c_residency = types.ExternalFunction(
    "mincore", types.int32(types.uint64, types.uint64, types.uint64)
)


@intrinsic
def load_word(typing_context, address):
    """Read the 64-bit word at an address of any alignment."""

    def emit(context, builder, signature, arguments):
        word = builder.load(builder.inttoptr(arguments[0], _WORD.as_pointer()))
        word.align = 1
        return word

    return types.uint64(types.uint64), emit


@intrinsic
def store_word(typing_context, address, word):
    """Write a 64-bit word at an address of any alignment."""

    def emit(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _WORD.as_pointer())
        builder.store(arguments[1], pointer).align = 1
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64), emit


@intrinsic
def load_byte(typing_context, address):
    """Read the byte at an address."""

    def emit(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        return builder.zext(builder.load(pointer), _WORD)

    return types.int64(types.uint64), emit


@intrinsic
def store_byte(typing_context, address, byte):
    """Write the low 8 bits of an integer at an address."""

    def emit(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        builder.store(builder.trunc(arguments[1], ir.IntType(8)), pointer)
        return context.get_dummy_value()

    return types.void(types.uint64, types.int64), emit


@intrinsic
def call_function(typing_context, function, first, second, third):
    """Call the C function of three 64-bit integers at an address; gives a 64-bit integer."""

    def emit(context, builder, signature, arguments):
        pointer = ir.FunctionType(_WORD, [_WORD, _WORD, _WORD]).as_pointer()
        return builder.call(builder.inttoptr(arguments[0], pointer), arguments[1:])

    return types.uint64(*[types.uint64] * 4), emit


@intrinsic
def address_of(typing_context, record):
    """Address of a record held in memory."""

    def emit(context, builder, signature, arguments):
        return builder.ptrtoint(arguments[0], _WORD)

    return types.uint64(record), emit
