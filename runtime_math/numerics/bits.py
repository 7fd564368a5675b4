"""Bit operations on 64-bit words, each one machine instruction.

All of them take ``uint64`` (or ``float64`` for `float64_bits`); counts come back as ``int64`` so
that they can meet ordinary integers without Numba's promotion of ``uint64`` to ``float64``.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from runtime_math.numerics.compilation import jitted


@intrinsic
def _llvm_count_ones(typing_context, word):
    def emit(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), emit


@intrinsic
def _llvm_leading_zeros(typing_context, word):
    def emit(context, builder, signature, arguments):
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), emit


@intrinsic
def _llvm_trailing_zeros(typing_context, word):
    def emit(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), emit


@intrinsic
def _llvm_float64_bits(typing_context, value):
    def emit(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.uint64(types.float64), emit


@jitted
def count_ones(word):
    """Number of one bits of a 64-bit word.

    Examples
    --------
    >>> import numpy as np
    >>> count_ones(np.uint64(0xFF00))
    8
    """
    return _llvm_count_ones(word)


@jitted
def leading_zeros(word):
    """Number of zero bits above the highest one bit; 64 for the word 0.

    Examples
    --------
    >>> import numpy as np
    >>> leading_zeros(np.uint64(1)), leading_zeros(np.uint64(0))
    (63, 64)
    """
    return _llvm_leading_zeros(word)


@jitted
def trailing_zeros(word):
    """Number of zero bits below the lowest one bit; 64 for the word 0.

    Examples
    --------
    >>> import numpy as np
    >>> trailing_zeros(np.uint64(8)), trailing_zeros(np.uint64(0))
    (3, 64)
    """
    return _llvm_trailing_zeros(word)


@jitted
def float64_bits(value):
    """Bit pattern of a binary64 number.

    Examples
    --------
    >>> hex(float64_bits(1.0))
    '0x3ff0000000000000'
    """
    return _llvm_float64_bits(value)
