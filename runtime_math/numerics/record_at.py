"""Records at addresses: what compiled code gets from Python is an integer, the cheapest to pass."""

from numba import from_dtype, types
from numba.extending import intrinsic


def record_at(dtype):
    """Make the jitted function that takes an address and returns the record there, by reference.

    Parameters
    ----------
    dtype : numpy.dtype
        Structured.

    Returns
    -------
    numba intrinsic
    """
    record = from_dtype(dtype)

    @intrinsic
    def at(typing_context, address):
        def emit(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(record))

        return record(types.uint64), emit

    return at
