"""Jitted functions written out from a table.

Numba wants every call to be known when it compiles, so a loop over a table of functions will not
do, and its cache does not recognise closures. So the calls that a table stands for are written out
as source, as one would by hand: that compiles in half the time of a chain of functions, too.
"""

from collections.abc import Callable, Iterable
from typing import Any

from runtime_math.numerics.compilation import jitted

Jitted = Callable[..., Any]


def written(signature: str, lines: Iterable[str], **names: Any) -> Jitted:
    """Jitted function from its source.

    Parameters
    ----------
    signature : str
        Name and parameters.
    lines : iterable of str
        The body, indented by a tab for every level below the first.
    **names
        What the body calls, by name.

    Returns
    -------
    numba dispatcher

    Examples
    --------
    >>> written("twice(number)", ["return number + number"])(21)
    42
    """
    name = signature.partition("(")[0]
    source = "\n\t".join([f"def {signature}:", *(list(lines) or ["pass"])])
    namespace = {"__name__": __name__, **names}
    exec(compile(source, f"<{name}>", "exec"), namespace)
    return jitted(namespace[name])


@jitted
def nothing(state):
    """Do nothing: what a step that a table leaves out stands for."""


def in_turn(signature: str, functions: Iterable[Jitted]) -> Jitted:
    """Jitted function that calls all the given ones but `nothing`, with its own arguments.

    Examples
    --------
    >>> import numpy as np
    >>> @jitted
    ... def double(numbers):
    ...     numbers[0] *= 2
    >>> numbers = np.array([1])
    >>> in_turn("quadruple(numbers)", [double, nothing, double])(numbers)
    >>> numbers
    array([4])
    """
    calls = {f"call_{place}": function for place, function in enumerate(functions)}
    calls = {name: function for name, function in calls.items() if function is not nothing}
    arguments = signature[signature.index("(") :]
    return written(signature, [name + arguments for name in calls], **calls)
