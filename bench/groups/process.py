"""``startup/...`` and ``memory/...``: process start to the first decision, size of a kernel."""

import functools
import os
import subprocess
import sys
import tempfile
import time

from bench.benchmark import Benchmark
from runtime_math import KERNEL_STATE

_FIRST_DECISION = (
    "from runtime_math import *; "
    "RuntimeMathKernel(0).decide(0, RuntimeContext.pointer_validation(0x12345678))"
)


def _run(cache, program=_FIRST_DECISION):
    environment = dict(os.environ, NUMBA_CACHE_DIR=cache)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    return time.perf_counter() - start


def _prepare_cold():
    def timing(loops):
        total = 0.0
        for _ in range(loops):
            with tempfile.TemporaryDirectory() as cache:
                total += _run(cache)
        return total

    return timing


def _prepare_start():
    # The folder lives as long as the timing function that closes over it.
    cache = tempfile.TemporaryDirectory()
    _run(cache.name)

    def timing(loops):
        return sum(_run(cache.name) for _ in range(loops))

    return timing


def _prepare_import():
    cache = tempfile.TemporaryDirectory()

    def timing(loops):
        return sum(_run(cache.name, "import numba") for _ in range(loops))

    return timing


def _prepare_size():
    return lambda loops: loops * float(KERNEL_STATE.itemsize)


def benchmarks():
    """Return the benchmarks of this group."""
    once = functools.partial(Benchmark, loops=1, profilable=False)
    return [
        once("startup/cold", _prepare_cold, processes=2, values=1),
        once("startup/warm", _prepare_start, processes=3, values=5),
        once("startup/import_numba", _prepare_import, processes=3, values=5),
        once("memory/kernel", _prepare_size, unit="byte", processes=1, values=1),
    ]
