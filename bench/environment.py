"""What a result depends on besides the code: machine, versions, mode."""

import platform

import llvmlite.binding
import numba
import numpy as np

from profiling import machine
from runtime_math import configured_mode


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
