"""Threads that share a pipeline, and children that inherit one."""

import os
import random
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from membrane import FreeResult, Outcome, RegionSource, ValidationPipeline, libc

THREADS, STEPS = 4, 1500


@pytest.fixture
def eager_switching():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def run_together(*functions):
    """Run functions at the same time; raise what any of them raised."""
    barrier = threading.Barrier(len(functions))

    def start(function):
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result() for future in [pool.submit(start, f) for f in functions]]


@pytest.mark.usefixtures("eager_switching")
@pytest.mark.parametrize("scripted", [False, True])
def test_threads_on_the_same_blocks(scripted):
    source = RegionSource(1 << 22) if scripted else None
    with ValidationPipeline(1, source=source, quarantine_max_entries=50) as pipeline:
        shared = [pipeline.allocate_address(64) for _ in range(200)]
        freed, lock = Counter(), threading.Lock()

        def work(seed):
            draw, made, validated = random.Random(seed), 0, 0
            for _ in range(STEPS):
                place = draw.randrange(len(shared))
                address = shared[place]
                action = draw.random()
                if action < 0.2:
                    result = pipeline.free(address)
                    with lock:
                        freed[result] += 1
                    if result == FreeResult.FREED:
                        shared[place] = pipeline.allocate_address(64)
                        made += 1
                else:
                    offset = draw.randrange(64)
                    found = pipeline.validate(address + offset)
                    validated += 1
                    # The facts belong together, whoever has the memory by now.
                    assert found.address == address + offset
                    if found.can_write and found.base is not None:
                        assert found.base + 64 - found.address == found.remaining
                    assert found.outcome not in (Outcome.CORRUPTED, Outcome.WILD, Outcome.NULL)
            return made, validated

        totals = run_together(*(lambda n=n: work(n) for n in range(THREADS)))
        figures = pipeline.statistics()
        assert set(freed) <= {FreeResult.FREED, FreeResult.DOUBLE_FREE}
        assert figures["metrics"]["validations"] == sum(validated for _, validated in totals)
        assert figures["live_blocks"] == 200 + sum(made for made, _ in totals) - freed[0]
        assert figures["live_blocks"] == 200
    assert source is None or not source.outstanding


@pytest.mark.usefixtures("eager_switching")
def test_a_block_is_freed_once_however_many_try():
    with ValidationPipeline(0) as pipeline:
        for _ in range(100):
            address = pipeline.allocate_address(32)
            results = run_together(*[lambda a=address: pipeline.free(a)] * THREADS)
            assert sorted(results) == [FreeResult.FREED] + [FreeResult.DOUBLE_FREE] * (THREADS - 1)


@pytest.mark.usefixtures("eager_switching")
def test_copies_survive_frees_of_other_threads():
    with ValidationPipeline(1, quarantine_max_bytes=0) as pipeline:
        library = libc.GuardedLibrary(pipeline)
        target = pipeline.allocate_address(4096)
        current = [pipeline.allocate_address(4096)]

        def copy():
            for _ in range(400):
                library.memcpy(target, current[0], 4096)

        def replace():
            for _ in range(400):
                old, current[0] = current[0], pipeline.allocate_address(4096)
                assert pipeline.free(old) == FreeResult.FREED

        run_together(copy, copy, replace)
        assert pipeline.validate(target).can_write


def test_each_thread_has_its_own_cache():
    with ValidationPipeline(0) as pipeline:
        address = pipeline.allocate_address(32)
        pipeline.validate(address)

        def look():
            return pipeline.validate(address).outcome, pipeline.cache_statistics()

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(look).result() == (Outcome.VALIDATED, (0, 1))
        assert look() == (Outcome.CACHED_VALID, (1, 1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("scripted", [False, True])
def test_a_child_goes_on_with_its_copy(scripted):
    source = RegionSource(1 << 16) if scripted else None
    with ValidationPipeline(0, source=source) as pipeline:
        block, stale = pipeline.allocate_address(64), pipeline.allocate_address(64)
        pipeline.free(stale)
        stop = threading.Event()

        def keep_busy():
            while not stop.is_set():
                pipeline.validate(block)

        worker = threading.Thread(target=keep_busy)
        worker.start()
        child = os.fork()
        if child == 0:
            good = pipeline.validate(block).can_write
            good &= pipeline.validate(stale).outcome == Outcome.TEMPORAL_VIOLATION
            good &= pipeline.free(block) == FreeResult.FREED
            good &= pipeline.allocate_address(100) is not None
            os._exit(0 if good else 1)
        stop.set()
        worker.join()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert pipeline.validate(block).can_write
