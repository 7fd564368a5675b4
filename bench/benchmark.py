"""What a benchmark is: an id, the mode it needs, and how to get a timing function."""

import dataclasses
import time
from collections.abc import Callable

MODES = ("strict", "hardened")
WARMUP_CALLS = 10_000


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Parameters
    ----------
    id : str
        Name, as on the command line.
    prepare : callable
        Builds the inputs, compiles, warms up, and returns ``timing(loops) -> seconds``. Called
        in the process that measures, once.
    mode : str
        The mode it runs in; "" where there is none.
    unit : str
        "second", or "byte" for sizes.
    processes, values, loops : int, optional
        For benchmarks so slow that the usual numbers make no sense.
    profilable : bool
        Whether the body runs in this process, so that a profiler sees it.
    """

    id: str
    prepare: Callable
    mode: str = ""
    unit: str = "second"
    processes: int = 0
    values: int = 0
    loops: int = 0
    profilable: bool = True


def timed_calls(function, *arguments):
    """Make a timing function of a Python call, and warm it up.

    Parameters
    ----------
    function : callable
    *arguments
        Passed in every call.
    """

    def timing(loops):
        repeat = range(loops)
        start = time.perf_counter()
        for _ in repeat:
            function(*arguments)
        return time.perf_counter() - start

    return warmed(timing)


def timed_loop(loop, *arguments):
    """Make a timing function of a jitted loop ``loop(*arguments, loops)``, and warm it up."""
    loop(*arguments, 1)  # compiles

    def timing(loops):
        start = time.perf_counter()
        loop(*arguments, loops)
        return time.perf_counter() - start

    return warmed(timing)


def keeping(timing, *kept):
    """Make a timing function that keeps objects alive which `timing` knows by address only."""

    def timing_with_them(loops, _kept=kept):
        return timing(loops)

    return timing_with_them


def warmed(timing):
    """Run a timing function once, so that states, caches and branches are settled; returns it."""
    timing(WARMUP_CALLS)
    return timing


def per_mode(prefix, prepare, **options):
    """Make the benchmarks ``prefix/strict`` and ``prefix/hardened``; `prepare` takes the mode."""
    return [
        Benchmark(f"{prefix}/{mode}", _bound(prepare, mode), mode=mode, **options) for mode in MODES
    ]


def _bound(prepare, mode):
    return lambda: prepare(mode)
