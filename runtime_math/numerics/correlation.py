"""Correlations of four columns, one vector lane per column.

Every entry is one sequential sum over the rows, so the result has the bits of the plain loop;
the four columns (and the ten products) are what runs side by side.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from runtime_math.numerics.four_by_four import (
    DOUBLE,
    INDEX,
    SIZE,
    VECTOR,
    array_data,
    constant,
    lane,
    load,
    packed,
    permuted,
    splat,
    store,
)

VARIANCE_FLOOR = 1e-12


def _sums_over_rows(builder, data, rows, width, terms):
    """Emit a loop over the rows that adds up the `width` vectors that `terms` makes of each."""
    before = builder.block
    body = builder.append_basic_block("rows")
    after = builder.append_basic_block("rows.end")
    builder.branch(body)
    builder.position_at_end(body)
    row = builder.phi(INDEX)
    row.add_incoming(INDEX(0), before)
    sums = [builder.phi(VECTOR) for _ in range(width)]
    values = load(builder, data, builder.mul(row, INDEX(SIZE)))
    grown = [builder.fadd(*pair) for pair in zip(sums, terms(values), strict=True)]
    for old, new in zip(sums, grown, strict=True):
        old.add_incoming(constant(0.0), before)
        old.add_incoming(new, body)
    following = builder.add(row, INDEX(1))
    row.add_incoming(following, body)
    builder.cbranch(builder.icmp_unsigned("<", following, rows), body, after)
    builder.position_at_end(after)
    return grown


def _products(builder, values):
    """Products of every column with itself, its neighbour and the column after that."""
    partners = [values]
    for shift in (1, 2):
        lanes = [(column + shift) % SIZE for column in range(SIZE)]
        partners.append(permuted(builder, values, lanes))
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
    result : array of float64, shape (4, 4)
        Receives the correlations. Variances below 1e-12 (and NaN) are taken as 1e-12.
    """
    signature = types.void(samples, types.uint64, column_sums, result)

    def emit(context, builder, signature, arguments):
        sample_data, sum_data, result_data = (
            array_data(context, builder, signature.args[i], arguments[i]) for i in (0, 2, 3)
        )
        rows = arguments[1]
        count = splat(builder, builder.uitofp(rows, DOUBLE))
        mean = builder.fdiv(load(builder, sum_data, INDEX(0)), count)

        def squared_deviation(values):
            deviation = builder.fsub(values, mean)
            return [builder.fmul(deviation, deviation)]

        (squares,) = _sums_over_rows(builder, sample_data, rows, 1, squared_deviation)
        variance = builder.fdiv(squares, count)
        floor = constant(VARIANCE_FLOOR)
        variance = builder.select(builder.fcmp_ordered(">", variance, floor), variance, floor)
        root = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(VECTOR, [VECTOR]), "llvm.sqrt.v4f64"
        )
        scale = builder.call(root, [variance])

        def products(values):
            return _products(builder, builder.fdiv(builder.fsub(values, mean), scale))

        sums = _sums_over_rows(builder, sample_data, rows, 3, products)
        by_shift = [builder.fdiv(total, count) for total in sums]
        for column in range(SIZE):
            entries = []
            for row in range(SIZE):
                shift = (column - row) % SIZE
                origin = row
                if shift == 3:  # found from the other side
                    shift, origin = 1, column
                entries.append(lane(builder, by_shift[shift], origin))
            store(builder, packed(builder, entries), result_data, INDEX(SIZE * column))
        return context.get_dummy_value()

    return signature, emit
