"""Runs at the start of a profiled Python program, put there through PYTHONPATH.

It installs the recorder's hooks and then runs the `sitecustomize` it shadows, if the environment
has one, so that the program finds everything as it would without a profiler.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _start_hooks():
    import jitted_code_table

    jitted_code_table.install()


def _run_shadowed():
    elsewhere = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if os.environ.get("JITTED_CODE_TABLE"):
    try:
        _start_hooks()
    except Exception as error:  # the profiled program must run whatever happens to its profiler
        print(f"profiling: no table of jitted functions ({error!r})", file=sys.stderr)
_run_shadowed()
