"""Results of calls that a jitted loop measures, made use of.

Code whose result nobody uses may be left out by the compiler, and a loop around it would measure
nothing. So every loop adds up what its calls return, and returns the sum.
"""

from numba import types
from numba.extending import overload


def used(result):
    """Return a number that depends on all of what a call returned.

    Parameters
    ----------
    result : number, tuple of such, or None
        None gives 0: what such a call has done lies in the state that it was given, which outlives
        the loop.

    Examples
    --------
    >>> from numba import njit
    >>> njit(lambda: used((5, (True, 2))))()
    8
    """
    raise TypeError("used is for jitted code")


@overload(used, inline="always")
def _used(result):
    if isinstance(result, types.NoneType):
        return lambda result: 0
    if isinstance(result, types.Number | types.Boolean):
        return lambda result: result + 0
    if isinstance(result, types.BaseTuple):
        terms = " + ".join(f"used(result[{place}])" for place in range(len(result)))
        return eval(f"lambda result: {terms}", {"used": used})
    return None
