"""Four-by-four matrices in vector registers: one lane per row, columns one after the other.

A matrix is an array of 16 numbers whose entry [j, i] is row i of column j (for symmetric matrices
the same as [i, j]). Straight-line vector code is short to compile, and every lane keeps the
order of operations of the scalar formula: products of a row are added from left to right.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

SIZE = 4
DOUBLE = ir.DoubleType()
VECTOR = ir.VectorType(DOUBLE, SIZE)
INDEX = ir.IntType(64)
_LANE_INDEX = ir.IntType(32)


def constant(number):
    """Vector constant with the same number in all lanes."""
    return ir.Constant(VECTOR, [ir.Constant(DOUBLE, number)] * SIZE)


def permuted(builder, vector, lanes):
    """Vector of the given lanes of a vector."""
    mask = ir.Constant(ir.VectorType(_LANE_INDEX, SIZE), [_LANE_INDEX(lane) for lane in lanes])
    return builder.shuffle_vector(vector, ir.Constant(VECTOR, ir.Undefined), mask)


def lane(builder, vector, position):
    """One lane as a scalar."""
    return builder.extract_element(vector, _LANE_INDEX(position))


def packed(builder, scalars):
    """Vector of four scalars."""
    vector = ir.Constant(VECTOR, ir.Undefined)
    for position, scalar in enumerate(scalars):
        vector = builder.insert_element(vector, scalar, _LANE_INDEX(position))
    return vector


def splat(builder, scalar):
    """Vector with one scalar in all lanes."""
    return permuted(builder, packed(builder, [scalar]), [0] * SIZE)


def load(builder, data, offset):
    """Load four neighbouring doubles."""
    address = builder.bitcast(builder.gep(data, [offset]), VECTOR.as_pointer())
    vector = builder.load(address)
    vector.align = 8
    return vector


def store(builder, vector, data, offset):
    """Store four neighbouring doubles."""
    address = builder.bitcast(builder.gep(data, [offset]), VECTOR.as_pointer())
    builder.store(vector, address).align = 8


def array_data(context, builder, array_type, array):
    """Pointer to the numbers of an array argument."""
    return context.make_array(array_type)(context, builder, array).data


def _columns(builder, data):
    return [load(builder, data, INDEX(SIZE * column)) for column in range(SIZE)]


def _product(builder, columns, vector):
    total = None
    for position, column in enumerate(columns):
        term = builder.fmul(column, permuted(builder, vector, [position] * SIZE))
        total = term if total is None else builder.fadd(total, term)
    return total


def _squared(builder, columns):
    return [_product(builder, columns, column) for column in columns]


def _sum_of_squares(builder, vectors):
    total = None
    for vector in vectors:
        squares = builder.fmul(vector, vector)
        total = squares if total is None else builder.fadd(total, squares)
    low = builder.fadd(lane(builder, total, 0), lane(builder, total, 1))
    return builder.fadd(builder.fadd(low, lane(builder, total, 2)), lane(builder, total, 3))


@intrinsic
def matrix_times_vector(typing_context, matrix, w, x, y, z):
    """Product of a matrix with the vector (w, x, y, z), as four floats."""
    numbers = [types.float64] * SIZE
    signature = types.UniTuple(types.float64, SIZE)(matrix, *numbers)

    def emit(context, builder, signature, arguments):
        data = array_data(context, builder, signature.args[0], arguments[0])
        result = _product(builder, _columns(builder, data), packed(builder, arguments[1:]))
        lanes = [lane(builder, result, position) for position in range(SIZE)]
        return context.make_tuple(builder, signature.return_type, lanes)

    return signature, emit


@intrinsic
def deflate(typing_context, matrix, value, w, x, y, z):
    """Subtract ``value`` times the outer product of (w, x, y, z) with itself, in place."""
    signature = types.void(matrix, *[types.float64] * (SIZE + 1))

    def emit(context, builder, signature, arguments):
        data = array_data(context, builder, signature.args[0], arguments[0])
        vector = packed(builder, arguments[2:])
        scaled = builder.fmul(splat(builder, arguments[1]), vector)
        for position, column in enumerate(_columns(builder, data)):
            share = builder.fmul(scaled, permuted(builder, vector, [position] * SIZE))
            store(builder, builder.fsub(column, share), data, INDEX(SIZE * position))
        return context.get_dummy_value()

    return signature, emit


@intrinsic
def squared_norm(typing_context, matrix):
    """Sum of the squares of all entries."""
    signature = types.float64(matrix)

    def emit(context, builder, signature, arguments):
        data = array_data(context, builder, signature.args[0], arguments[0])
        return _sum_of_squares(builder, _columns(builder, data))

    return signature, emit


@intrinsic
def power_49(typing_context, matrix, start):
    """Column `start` of the 49th power, by five squarings.

    Returns
    -------
    tuple of six floats
        The column; the sum of its squares; and that of the powers used, multiplied: the squared
        norms of A^32 and A^16.
    """
    signature = types.UniTuple(types.float64, SIZE + 2)(matrix, types.int64)

    def emit(context, builder, signature, arguments):
        data = array_data(context, builder, signature.args[0], arguments[0])
        power = _columns(builder, data)
        for _ in range(4):
            power = _squared(builder, power)
        high_power = _squared(builder, power)
        column = load(builder, data, builder.mul(arguments[1], INDEX(SIZE)))
        column = _product(builder, high_power, _product(builder, power, column))
        norms = builder.fmul(_sum_of_squares(builder, power), _sum_of_squares(builder, high_power))
        results = [lane(builder, column, position) for position in range(SIZE)]
        results += [_sum_of_squares(builder, [column]), norms]
        return context.make_tuple(builder, signature.return_type, results)

    return signature, emit
