"""All benchmarks, by id."""

import difflib
import functools
import importlib
import pkgutil

from bench import groups
from bench.errors import UsageError


@functools.cache
def all_benchmarks():
    """Return {id: Benchmark} of every module in `bench.groups`."""
    modules = [
        importlib.import_module(f"{groups.__name__}.{module.name}")
        for module in pkgutil.iter_modules(groups.__path__)
    ]
    benchmarks = [benchmark for module in modules for benchmark in module.benchmarks()]
    return {benchmark.id: benchmark for benchmark in benchmarks}


def identifiers():
    """Return all ids."""
    return list(all_benchmarks())


def _check_known(name, exact):
    known = identifiers()
    if name in known or (not exact and any(name in each for each in known)):
        return
    nearest = difflib.get_close_matches(name, known, 5, cutoff=0.3)
    hint = f"the closest are: {', '.join(nearest)}" if nearest else "see python -m bench --list"
    raise UsageError(f"unknown benchmark {name!r}; {hint}")


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
    UsageError
        About the first name that stands for nothing, with the ids that are closest to it.
    """
    for name in names:
        _check_known(name, exact)
    return [
        benchmark
        for each, benchmark in all_benchmarks().items()
        if not names or any(each == name if exact else name in each for name in names)
    ]
