"""Functions of one signature, compiled at their first use and called without Numba's dispatch."""

import functools

from numba.core import event
from numba.core.compiler_lock import global_compiler_lock

from runtime_math.numerics.compilation import entry_jitted
from runtime_math.progress import Progress


class EntryPoint:
    """A jitted function of one signature, compiled (or loaded from the cache) at its first use.

    Parameters
    ----------
    *argument_types : numba types
        The signature.
    **options
        Options for `entry_jitted`.
    """

    def __init__(self, *argument_types, **options):
        self._signature = argument_types
        self._options = options

    def __call__(self, function):
        self.dispatcher = entry_jitted(function, **self._options)
        functools.update_wrapper(self, function)
        return self

    @functools.cached_property
    def address_call(self):
        """The machine code as a Python callable."""
        with CompileProgress():
            self.dispatcher.compile(self._signature)
        return self.dispatcher.overloads[self._signature].entry_point

    @functools.cached_property
    def c_address(self):
        """Address of the machine code for callers that are compiled, as a C function."""
        self.address_call  # noqa: B018 (a cached property that compiles)
        result = self.dispatcher.overloads[self._signature]
        with global_compiler_lock:
            return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)


class CompileProgress(event.Listener):
    """Tells on a terminal what is being compiled, once it takes long."""

    def __enter__(self):
        self._count = 0
        self._progress = Progress()
        event.register("numba:compile", self)
        return self

    def __exit__(self, *exception):
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
