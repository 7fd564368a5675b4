"""Allocations, guarded calls and frees from several threads, with callbacks and interrupts.

``python -m tests.membrane.soak CALLS MODE``: nothing is left behind, and memory does not grow.
"""

import contextlib
import ctypes
import gc
import logging
import mmap
import random
import signal
import sys
import threading
import warnings

from membrane import UnsafePointerError, ValidationPipeline, argument, guard
from runtime_math import SafetyLevel
from tests.membrane.program_helpers import INT, SIZE, VOID, declared, memset, pins

THREADS = 8
WARM_SHARE = 0.2
GROWTH_BYTES = 24 << 20
COMPARE = ctypes.CFUNCTYPE(INT, VOID, VOID)


class Worker:
    """What one thread does: a random mixture of everything.

    Parameters
    ----------
    pipeline : ValidationPipeline
    seed : int
    """

    def __init__(self, pipeline, seed):
        self.pipeline = pipeline
        self.random = random.Random(seed)
        sort = declared("qsort", None, VOID, SIZE, SIZE, COMPARE)
        length = declared("strnlen", SIZE, VOID, SIZE)
        self.fill = memset(pipeline)
        self.sort = guard(sort, writes={0: argument(1)}, pipeline=pipeline)
        self.length = guard(length, reads={0: argument(1)}, pipeline=pipeline)
        self.compare = COMPARE(self._compare)

    def _compare(self, left, right):
        inner = self.pipeline.allocate(32)
        self.fill(inner, 1, 32)
        inner.free()
        return ctypes.c_ubyte.from_address(left).value - ctypes.c_ubyte.from_address(right).value

    def step(self):
        """Make a block, use it in some ways, free it in some way, or forget it."""
        size = self.random.randrange(16, 2048)
        block, luck = self.pipeline.allocate(size), self.random.random()
        self.fill(block, self.random.randrange(256), size)
        self.fill(ctypes.byref((ctypes.c_char * 32)()), 1, 32)
        self.length(block.address, size)
        if luck < 0.02:
            self.sort(block, 16, 1, self.compare)
        if luck < 0.05:
            with contextlib.suppress(UnsafePointerError):
                self.fill(block, 1, size + 1)
        if luck < 0.9:
            block.free()
        elif luck < 0.95:
            self.pipeline.free(block.address)
            del block

    def run(self, steps):
        """Make that many steps."""
        for _ in range(steps):
            self.step()


def resident_bytes():
    """Memory that the process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


def interrupted(worker, steps):
    """Make steps in the main thread while interrupts come at random; returns how many came."""
    count, done = 0, 0
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    while done < steps:
        try:
            signal.setitimer(signal.ITIMER_REAL, worker.random.uniform(1e-5, 3e-3))
            while done < steps:
                done += 1
                worker.step()
            signal.setitimer(signal.ITIMER_REAL, 0)  # here, where what comes before it is caught
        except KeyboardInterrupt:
            count += 1
    return count


def soak(calls, mode):
    """Make that many steps in all; returns (interrupts, growth in bytes)."""
    warnings.simplefilter("ignore", ResourceWarning)
    logging.getLogger("membrane").setLevel(logging.ERROR)  # thousands of repairs, else
    sys.unraisablehook = lambda unraisable: None  # interrupts in the warning of a lost handle
    pipeline = ValidationPipeline(mode)
    workers = [Worker(pipeline, seed) for seed in range(THREADS)]
    interrupts, before = 0, 0
    for share in (WARM_SHARE, 1.0 - WARM_SHARE):
        steps = int(calls * share / THREADS)
        threads = [threading.Thread(target=each.run, args=(steps,)) for each in workers[1:]]
        for thread in threads:
            thread.start()
        interrupts += interrupted(workers[0], steps)
        for thread in threads:
            thread.join()
        gc.collect()
        before = before or resident_bytes()
    growth = resident_bytes() - before
    pipeline.resources.settle()
    statistics = pipeline.statistics()
    assert statistics["live_blocks"] == statistics["live_bytes"] == 0, statistics
    assert pipeline.resources.pins == 0, pipeline.resources.pins
    assert pins(pipeline) == 0, pins(pipeline)
    assert growth < GROWTH_BYTES, growth
    pipeline.close()
    assert not pipeline.resources.open
    return interrupts, growth


if __name__ == "__main__":
    print(*soak(int(sys.argv[1]), SafetyLevel[sys.argv[2].upper()]))
