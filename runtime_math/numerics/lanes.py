"""Sums in eight fixed vector lanes: the speed of reordered sums, the same bits on every machine.

A compiler that is allowed to reorder additions picks an order that suits the processor it runs
on. Here the order is written out, so what was recorded on one machine replays on another; LLVM
maps the eight lanes to the vector registers there are.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 8
TERMS = 256
CHAINS = 4
_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, LANES)
_INDEX = ir.IntType(64)
_LANE_INDEX = ir.IntType(32)


def _load(builder, data, offset):
    address = builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())
    vector = builder.load(address)
    vector.align = 8  # the block starts anywhere in the array
    return vector


def _pick(builder, vector, lanes):
    mask = ir.Constant(
        ir.VectorType(_LANE_INDEX, len(lanes)), [_LANE_INDEX(lane) for lane in lanes]
    )
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _folded(builder, chains):
    """Add the chains, then halve the vector until one number is left."""
    first, second, third, fourth = chains
    vector = builder.fadd(builder.fadd(first, second), builder.fadd(third, fourth))
    lanes = LANES
    while lanes > 1:
        low = _pick(builder, vector, range(lanes // 2))
        high = _pick(builder, vector, range(lanes // 2, lanes))
        vector = builder.fadd(low, high)
        lanes //= 2
    return builder.extract_element(vector, _LANE_INDEX(0))


@intrinsic
def sum_and_weighted_sum(typing_context, values, start, weights):
    """Sum of 256 values from `start` on, and the sum of their products with 256 weights.

    Parameters
    ----------
    values : 1-D contiguous array of float64
        Must hold at least ``start + 256`` entries: there is no bounds check.
    start : uint64
        Index of the first value.
    weights : 1-D contiguous array of float64
        256 weights.

    Returns
    -------
    tuple of two floats
        The sum and the weighted sum, each rounded after every operation, without fusing.
    """
    signature = types.UniTuple(types.float64, 2)(values, types.uint64, weights)

    def emit(context, builder, signature, arguments):
        value_data, weight_data = (
            context.make_array(kind)(context, builder, argument).data
            for kind, argument in (
                (signature.args[0], arguments[0]),
                (signature.args[2], arguments[2]),
            )
        )
        plain, weighted = [None] * CHAINS, [None] * CHAINS
        for block in range(TERMS // LANES):
            offset = _INDEX(block * LANES)
            value = _load(builder, value_data, builder.add(arguments[1], offset))
            product = builder.fmul(value, _load(builder, weight_data, offset))
            chain = block % CHAINS
            first = block < CHAINS
            plain[chain] = value if first else builder.fadd(plain[chain], value)
            weighted[chain] = product if first else builder.fadd(weighted[chain], product)
        sums = [_folded(builder, plain), _folded(builder, weighted)]
        return context.make_tuple(builder, signature.return_type, sums)

    return signature, emit
