"""Functions of one signature that Python calls with plain values, without Numba's dispatch."""

import functools
from collections.abc import Callable
from typing import Any, Self

from runtime_math.numerics.builtins.direct_call import direct_call
from runtime_math.numerics.builtins.emission import available
from runtime_math.numerics.c_function import CFunction


class EntryPoint(CFunction):
    """A jitted function of one signature, compiled (or loaded from the cache) at its first use.

    Decorates: ``@EntryPoint(uint64, float64)``.

    Parameters
    ----------
    *argument_types : numba types
        The signature.
    """

    def __init__(self, *argument_types: Any) -> None:
        self.argument_types = argument_types

    def __call__(self, function: Callable[..., Any]) -> Self:
        super().__init__(function, *self.argument_types)
        functools.update_wrapper(self, function)
        return self

    @functools.cached_property
    def address_call(self) -> Callable[..., Any]:
        """The machine code as a Python callable; positional arguments of exactly the signature."""
        if available():
            return direct_call(self)
        return self.result.entry_point  # Numba's own wrapper: slower, and not public
