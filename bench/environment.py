"""What a result depends on besides the code: machine, versions, mode."""

import os
import platform

import llvmlite.binding
import numba
import numpy as np

from bench import machine
from bench.errors import UsageError
from runtime_math import configured_mode, parse_mode


def mode():
    """Return the name of the configured mode."""
    return configured_mode().name.lower()


def versions():
    """Return what goes into each result's metadata."""
    return {
        "numpy_version": np.__version__,
        "numba_version": numba.__version__,
        "llvm_version": ".".join(map(str, llvmlite.binding.llvm_version_info)),
        "libm_version": machine.libm(),
        "git_revision": machine.git_revision() or "unknown",
    }


def metadata():
    """Return everything that is printed before the first result."""
    return {
        "cpu_model": machine.cpu_model(),
        "python_version": platform.python_version(),
        **versions(),
        "mode": mode(),
    }


def check_mode(benchmarks):
    """Refuse a benchmark of a mode when the environment asks for the other one."""
    configured = os.environ.get("GLIBC_RUST_MODE")
    if configured is None:
        return
    level = parse_mode(configured).name.lower()
    for benchmark in benchmarks:
        if benchmark.mode not in ("", level):
            raise UsageError(
                f"{benchmark.id} runs in mode {benchmark.mode}, but GLIBC_RUST_MODE={configured} "
                f"asks for {level}: unset it, or choose ids of that mode"
            )
