"""All benchmarks, by id."""

import difflib
import functools
import importlib
import importlib.util

# Groups in the order of `--list`; a group whose package is not there has no ids.
_GROUPS = {
    "bench.python_calls": "runtime_math.kernel",
    "bench.jitted_loops": "runtime_math.jit",
    "bench.batches": "runtime_math.batch",
    "bench.pointers": "membrane.pipeline",
    "bench.monitors": "runtime_math.monitors",
    "bench.calibrated": "runtime_math.calibrated.kernel",
    "bench.process": "runtime_math.kernel",
}


def _exists(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@functools.cache
def all_benchmarks():
    """Return {id: Benchmark}."""
    found = {}
    for group, needed in _GROUPS.items():
        if _exists(group) and _exists(needed):
            for benchmark in importlib.import_module(group).benchmarks():
                found[benchmark.id] = benchmark
    return found


def identifiers():
    """Return all ids."""
    return list(all_benchmarks())


def nearest(name, count=5):
    """Return the ids that are closest to a name, the closest first."""
    return difflib.get_close_matches(name, identifiers(), count, cutoff=0.3)


def select(names, exact=False):
    """Return the benchmarks that names stand for, in the order of the list.

    Parameters
    ----------
    names : list of str
        Substrings of ids, or whole ids; none stands for all.
    exact : bool
        Names are whole ids.

    Raises
    ------
    LookupError
        With the first name that stands for nothing.
    """
    known = all_benchmarks()
    for name in names:
        if name not in known and (exact or not any(name in each for each in known)):
            raise LookupError(name)
    if not names:
        return list(known.values())
    return [
        benchmark
        for each, benchmark in known.items()
        if any(each == name if exact else name in each for name in names)
    ]
