"""Correlations of four columns, one vector lane per column.

Every entry is one sequential sum over the rows, so the result has the bits of the plain loop;
the four columns (and the ten products) are what runs side by side.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

COLUMNS = 4
VARIANCE_FLOOR = 1e-12
_DOUBLE = ir.DoubleType()
_VECTOR = ir.VectorType(_DOUBLE, COLUMNS)
_INDEX = ir.IntType(64)
_LANE_INDEX = ir.IntType(32)


def _constant(number):
    return ir.Constant(_VECTOR, [ir.Constant(_DOUBLE, number)] * COLUMNS)


def _permuted(builder, vector, lanes):
    mask = ir.Constant(ir.VectorType(_LANE_INDEX, COLUMNS), [_LANE_INDEX(lane) for lane in lanes])
    return builder.shuffle_vector(vector, ir.Constant(_VECTOR, ir.Undefined), mask)


def _address(builder, data, offset):
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _load(builder, data, offset):
    vector = builder.load(_address(builder, data, offset))
    vector.align = 8
    return vector


def _sums_over_rows(builder, data, rows, width, terms):
    """Emit a loop over the rows that adds up the `width` vectors that `terms` makes of each."""
    before = builder.block
    body = builder.append_basic_block("rows")
    after = builder.append_basic_block("rows.end")
    builder.branch(body)
    builder.position_at_end(body)
    row = builder.phi(_INDEX)
    row.add_incoming(_INDEX(0), before)
    sums = [builder.phi(_VECTOR) for _ in range(width)]
    values = _load(builder, data, builder.mul(row, _INDEX(COLUMNS)))
    grown = [builder.fadd(*pair) for pair in zip(sums, terms(values), strict=True)]
    for old, new in zip(sums, grown, strict=True):
        old.add_incoming(_constant(0.0), before)
        old.add_incoming(new, body)
    following = builder.add(row, _INDEX(1))
    row.add_incoming(following, body)
    builder.cbranch(builder.icmp_unsigned("<", following, rows), body, after)
    builder.position_at_end(after)
    return grown


def _products(builder, values):
    """Products of every column with itself, its neighbour and the column after that."""
    partners = [values]
    for shift in (1, 2):
        lanes = [(column + shift) % COLUMNS for column in range(COLUMNS)]
        partners.append(_permuted(builder, values, lanes))
    return [builder.fmul(values, partner) for partner in partners]


@intrinsic
def correlate_four_columns(typing_context, samples, rows, column_sums, result):
    """Sample correlations of the first rows of a C-contiguous (n, 4) array.

    Parameters
    ----------
    samples : array of float64, shape (n, 4)
    rows : uint64
        Number of rows to use, at least 1.
    column_sums : array of 4 float64
        Their column sums; means are taken from them.
    result : array of 12 float64
        Receives, for columns c and c + k modulo 4, correlation c of k = 0, then of k = 1, then of
        k = 2. Variances below 1e-12 (and NaN) are taken as 1e-12.
    """
    signature = types.void(samples, types.uint64, column_sums, result)

    def emit(context, builder, signature, arguments):
        sample_data, sum_data, result_data = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data
            for i in (0, 2, 3)
        )
        rows = arguments[1]
        count = builder.insert_element(
            ir.Constant(_VECTOR, ir.Undefined), builder.uitofp(rows, _DOUBLE), _LANE_INDEX(0)
        )
        count = _permuted(builder, count, [0] * COLUMNS)
        mean = builder.fdiv(_load(builder, sum_data, _INDEX(0)), count)

        def squared_deviation(values):
            deviation = builder.fsub(values, mean)
            return [builder.fmul(deviation, deviation)]

        (squares,) = _sums_over_rows(builder, sample_data, rows, 1, squared_deviation)
        variance = builder.fdiv(squares, count)
        floor = _constant(VARIANCE_FLOOR)
        variance = builder.select(builder.fcmp_ordered(">", variance, floor), variance, floor)
        root = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), "llvm.sqrt.v4f64"
        )
        scale = builder.call(root, [variance])

        def products(values):
            return _products(builder, builder.fdiv(builder.fsub(values, mean), scale))

        sums = _sums_over_rows(builder, sample_data, rows, 3, products)
        for position, total in enumerate(sums):
            address = _address(builder, result_data, _INDEX(position * COLUMNS))
            builder.store(builder.fdiv(total, count), address).align = 8
        return context.get_dummy_value()

    return signature, emit
