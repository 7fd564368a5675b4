"""Fused multiply-add: one rounding, one machine instruction where the processor has it."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from runtime_math.numerics.compilation import jitted


@intrinsic
def _llvm_fma(typing_context, multiplicand, multiplier, addend):
    signature = types.float64(types.float64, types.float64, types.float64)

    def emit(context, builder, signature, arguments):
        double = ir.DoubleType()
        function = builder.module.declare_intrinsic(
            "llvm.fma", [double], ir.FunctionType(double, [double] * 3)
        )
        return builder.call(function, arguments)

    return signature, emit


@jitted
def fused_multiply_add(multiplicand, multiplier, addend):
    """``multiplicand * multiplier + addend``, rounded once.

    Examples
    --------
    >>> fused_multiply_add(1.0 + 2.0**-30, 1.0 - 2.0**-30, -1.0) == -(2.0**-60)
    True
    """
    return _llvm_fma(multiplicand, multiplier, addend)
