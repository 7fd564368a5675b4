"""Jitted functions of one signature as C functions, for compiled callers."""

import functools
from collections.abc import Callable
from typing import Any, Self

from numba.core import event
from numba.core.compiler_lock import global_compiler_lock

from runtime_math.numerics.compilation import entry_jitted
from runtime_math.progress import Progress


class CFunction:
    """A jitted function of one signature, compiled (or loaded from the cache) at its first use.

    Parameters
    ----------
    function : function
    *argument_types : numba types
        The signature.
    """

    def __init__(self, function: Callable[..., Any], *argument_types: Any) -> None:
        self.dispatcher = entry_jitted(function)
        self.argument_types = argument_types

    @functools.cached_property
    def result(self) -> Any:
        """Numba's result of the compilation."""
        with CompileProgress():
            self.dispatcher.compile(self.argument_types)
        return self.dispatcher.overloads[self.argument_types]

    @functools.cached_property
    def c_address(self) -> int:
        """Address of the machine code."""
        result = self.result
        with global_compiler_lock:
            return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)


class CompileProgress(event.Listener):
    """Tells on a terminal what is being compiled, once it takes long."""

    def __enter__(self) -> Self:
        self._count = 0
        self._progress = Progress()
        event.register("numba:compile", self)
        return self

    def __exit__(self, *exception: object) -> None:
        event.unregister("numba:compile", self)
        seconds = self._progress.seconds
        self._progress.end(f"compiled {self._count} functions in {seconds:.0f} s")

    def on_start(self, compile_event):
        self._count += 1
        function = compile_event.data["dispatcher"].py_func
        name = f"{function.__module__}.{function.__qualname__}"
        seconds = self._progress.seconds
        self._progress.show(f"compiling for the first time ({seconds:.0f} s): {self._count} {name}")

    def on_end(self, compile_event):
        """Nothing to do: the next start, or the exit, rewrites the line."""
