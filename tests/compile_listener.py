"""For scripts in processes of their own: what Numba compiles, by name, in the list `compiled`."""

LISTENER = """
from numba.core import event

compiled = []

class Listener(event.Listener):
    def on_start(self, compile_event):
        function = compile_event.data["dispatcher"].py_func
        compiled.append(f"{function.__module__}.{function.__qualname__}")

    def on_end(self, compile_event):
        pass

event.register("numba:compile", Listener())
"""
