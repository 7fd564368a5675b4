"""What ``compile`` and ``info`` need: everything the Python faces compile, the cache's place.

Work is cut into groups, each a function that returns the compilations it stands for by name. Groups
share nothing that is compiled, so each may run in a process of its own.
"""

import functools
import importlib
import importlib.util
import multiprocessing
import os
import platform
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

import llvmlite
import numba
import numpy as np

from runtime_math import __version__, native_calls
from runtime_math.calls_for import calls_for
from runtime_math.config import configured_mode
from runtime_math.faithful import snapshot
from runtime_math.faithful.calls import FAITHFUL
from runtime_math.faithful.state import KERNEL_STATE, new_state
from runtime_math.kernel import RuntimeMathKernel
from runtime_math.numerics.builtins.emission import available
from runtime_math.numerics.compilation import compilation_mode
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.progress import silence


def entry_points(namespace: object) -> dict[str, Callable[[], object]]:
    """Compilations of the `EntryPoint` objects in a module or another namespace."""
    return {
        name: functools.partial(getattr, point, "address_call")
        for name, point in vars(namespace).items()
        if isinstance(point, EntryPoint)
    }


def _faithful() -> dict[str, Callable[[], object]]:
    states = new_state(0)
    return {
        **FAITHFUL.compilations(states),
        **native_calls.compilations(RuntimeMathKernel),
        "snapshot": lambda: snapshot.take_snapshot(states, 0),
    }


def _jitted() -> dict[str, Callable[[], object]]:
    from runtime_math import jit

    return jit.JIT_CALLS.compilations(KERNEL_STATE)


def _calibrated(monitors: str) -> dict[str, Callable[[], object]]:
    from runtime_math.calibrated import context, jit

    states = jit.new_state(0, monitors=monitors)
    return {
        **calls_for(states.dtype).compilations(states),
        **jit.JIT_CALLS.compilations(states.dtype),
        "explain": lambda: context.bytes_bin(np.uint64(1)),
    }


def _calibrated_lean() -> dict[str, Callable[[], object]]:
    return _calibrated("none")


def _calibrated_full() -> dict[str, Callable[[], object]]:
    return _calibrated("all")


def _membrane() -> dict[str, Callable[[], object]]:
    if importlib.util.find_spec("membrane") is None:
        return {}
    return importlib.import_module("membrane.precompile").compilations()


# The longest first, so that two processes end at about the same time.
GROUPS = {
    "faithful kernel": _faithful,
    "calibrated kernel with monitors": _calibrated_full,
    "functions for jitted code": _jitted,
    "membrane": _membrane,
    "calibrated kernel without monitors": _calibrated_lean,
}


def compile_group(name: str) -> int:
    """Compile everything of a group; returns how many functions that were."""
    compilations = GROUPS[name]()
    for compilation in compilations.values():
        compilation()
    return len(compilations)


def compile_all(report: Callable[..., object], processes: int | None = None) -> int:
    """Fill the compile cache with everything that the Python faces use.

    Parameters
    ----------
    report : callable
        Called with the number of groups done, that of all, and the name of the latest.
    processes : int, optional
        How many to work in; by default one per core, at most one per group.

    Returns
    -------
    int
        Number of functions.
    """
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    count = 0
    # Nobody but the process that reports writes on the terminal.
    with ProcessPoolExecutor(processes or min(cores, len(GROUPS)), context, silence) as pool:
        futures = {pool.submit(compile_group, name): name for name in GROUPS}
        for done, future in enumerate(as_completed(futures), 1):
            count += future.result()
            report(done, len(GROUPS), futures[future])
    return count


def folder() -> str:
    """Folder of the compile cache, or a remark that there is none."""
    path = FAITHFUL.decide.dispatcher._cache.cache_path
    return path or "no folder that can be written to (set NUMBA_CACHE_DIR)"


def environment() -> dict[str, str]:
    """Versions, processor, mode and cache location, by name."""
    processor = getattr(numba.core.config, "CPU_NAME", None)
    return {
        "runtime-math": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "Numba": numba.__version__,
        "LLVM": ".".join(map(str, llvmlite.binding.llvm_version_info)),
        "libc": " ".join(platform.libc_ver()),
        "processor": processor or llvmlite.binding.get_host_cpu_name(),
        "mode": configured_mode().name.lower(),
        "bytes of a kernel": str(KERNEL_STATE.itemsize),
        "compilation": compilation_mode(),
        "calls from Python": "builtins" if available() else "methods: unknown interpreter",
        "compile cache": folder(),
    }
