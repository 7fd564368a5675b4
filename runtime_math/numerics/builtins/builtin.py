"""`Builtin`: the declaration of a builtin function, and the callables made from it."""

import functools
import hashlib
import inspect
import weakref
from types import FunctionType

import numpy as np
from numba import types

from runtime_math.numerics.builtins import results
from runtime_math.numerics.builtins.arguments import core_caller, unboxer
from runtime_math.numerics.builtins.emission import (
    CORE,
    DIVERTED,
    FIRST_TYPE,
    READY,
    RESOLVE,
    SLOW,
    TARGET,
)
from runtime_math.numerics.builtins.method_definition import MethodDefinition
from runtime_math.numerics.c_function import CFunction


class Builtin:
    """Declaration of a builtin function.

    Parameters
    ----------
    method : function
        What the builtin stands for: gives it its name, its signature and its documentation.
    arguments : sequence of `Member`, `Word`, `Flag` or `Fields`
        Those after ``self``, all positional; anything else is for the slow path.
    returns : {"ready", "nothing", "truth"}
        What Python gets for the integer that the core returns: an object from a `ReadyObjects`,
        None, or a bool. A negative integer means that nothing has happened and that the slow path
        shall try.
    """

    def __init__(self, method, arguments, returns):
        self.method = method
        self.types = [kind for argument in arguments for kind in argument.types]
        template = results.TEMPLATES[returns]
        namespace = {
            **vars(results),
            "__name__": __name__,  # the compile cache follows the imports of this module
            "unbox": unboxer(arguments),
            "call_core": core_caller(arguments),
        }
        function = FunctionType(template.__code__, namespace, method.__name__)
        # The limits are part of the machine code, so they are part of its name in the cache.
        shape = repr([(type(argument).__name__, argument.limits) for argument in arguments])
        shape = hashlib.sha256(shape.encode()).hexdigest()[:12]
        function.__qualname__ = f"{template.__name__}.{method.__name__}.{shape}"
        self.compiled = CFunction(function, types.uintp, types.uintp, types.int64, types.uintp)

    @functools.cached_property
    def _definition(self):
        names = ["$self", *list(inspect.signature(self.method).parameters)[1:]]
        return MethodDefinition(
            self.method.__name__, names, inspect.getdoc(self.method) or "", self.compiled.c_address
        )

    def bind(self, owner, core, target, kept, slow, ready=None):
        """Make the callable for one object.

        Parameters
        ----------
        owner : object
            Referred to weakly: the callable does not keep it alive.
        core : int
            Address of a C function of the target and the values of all arguments.
        target : int
            The core's first argument.
        kept : object
            Kept alive by the callable: what lies at `target`.
        slow : callable
            ``slow(owner or None, kept, *arguments, **keywords)``: does what the core does.
        ready : ReadyObjects, optional

        Returns
        -------
        builtin_function_or_method
            `divert` switches its machine code off.
        """
        reference = weakref.ref(owner)

        def on_slow_path(*arguments, **keywords):
            return slow(reference(), kept, *arguments, **keywords)

        words = np.zeros(FIRST_TYPE + len(self.types), np.uint64)
        words[TARGET], words[CORE], words[SLOW] = target, core, id(on_slow_path)
        if ready is not None:
            words[RESOLVE], words[READY] = id(ready), ready.address
        words[FIRST_TYPE:] = [id(kind) for kind in self.types]
        return self._definition.bind(words, kept, on_slow_path, ready)


def divert(bound, diverted):
    """Send every call of a bound builtin to its slow path, or stop doing so."""
    bound.__self__[1][DIVERTED] = int(diverted)
