"""Jitted functions that differ only in what they call: written once, copied with other globals.

A closure would do the same, but Numba's cache on disk does not recognise closures.
"""

from types import FunctionType


def copied(template, namespace, kind=""):
    """Copy a function under globals of its own.

    Parameters
    ----------
    template : function
        Names as globals what differs between the copies.
    namespace : dict
        Globals of the copy. Its ``__name__`` is a module that imports all of them by name: the
        compile cache follows the import statements of that module.
    kind : str, optional
        What tells the copy from others of the same module; part of the name of its cached file.

    Returns
    -------
    function

    Examples
    --------
    >>> def twice(number):
    ...     return operate(number, number)
    >>> copied(twice, {"__name__": "products", "operate": int.__mul__}, "product")(5)
    25
    """
    copy = FunctionType(template.__code__, namespace, template.__name__)
    copy.__qualname__ = f"{kind}.{template.__name__}" if kind else template.__name__
    copy.__doc__ = template.__doc__
    return copy
