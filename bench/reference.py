"""The original's cost on this machine, now, beside ours.

The original is not at hand, but its cost per call was measured side by side with a small fixed
loop, the yardstick: `RATIOS` holds original / yardstick, minima of alternating runs on one quiet
machine. Timing the yardstick here and multiplying gives what the original would take here, to
about 15 %.
"""

import gc
import json
import math
import time
from typing import NamedTuple

import numpy as np
from numba import njit

from bench import registry, sampling

_YARDSTICK = "yardstick"
_SINGLE_CALLS = 200_000

RATIOS = {
    "runtime_math/decide/strict": 10.37,
    "runtime_math/decide/hardened": 8.8,
    "runtime_math/observe_fast/strict": 32.3,
    "runtime_math/observe_fast/hardened": 32.5,
    "runtime_math/decide_observe/strict": 25.5,
    "runtime_math/decide_observe/hardened": 38.0,
    "runtime_math/mixed/strict": 41.3,
    "runtime_math/mixed/hardened": 62.5,
    "validate_null/strict": 32.3,
    "validate_foreign/strict": 27.1,
    "validate_known/strict": 23.6,
    "validate_null/hardened": 32.0,
    "validate_foreign/hardened": 33.0,
    "validate_known/hardened": 31.2,
}


class Figure(NamedTuple):
    """Nanoseconds per call of one id: the original's, and ours in both ways of calling.

    `single_p999_ns` is the 99.9th percentile of single Python calls, the clock's cost removed.
    """

    id: str
    original_ns: float
    jitted_ns: float | None
    python_ns: float | None
    single_p999_ns: float | None


@njit
def yardstick(a, b, rounds):
    """A fixed mix per round: 64 multiply-adds with divisions, 16 branches, 4 logs, 4 exps."""
    acc = 0.5
    for _ in range(rounds):
        for i in range(64):
            a[i] = (a[i] * 0.99 + b[i] * 0.01) / (1.0 + 0.001 * acc)
        for i in range(16):
            if a[i] > b[i]:
                acc += a[i] * 0.001
            else:
                acc -= b[i] * 0.0005
        for i in range(4):
            acc += 1e-3 * math.log(1.0 + abs(acc) + a[i]) + 1e-3 * math.exp(-a[i + 4])
        acc = acc - math.floor(acc)
    return acc


def _yardstick_timing():
    a, b = np.linspace(0.1, 1.0, 64), np.linspace(1.0, 0.2, 64)
    yardstick(a, b, 10)

    def timing(loops):
        start = time.perf_counter()
        yardstick(a, b, loops)
        return time.perf_counter() - start

    return timing


def single_call_percentile(timing, percentile=99.9, calls=_SINGLE_CALLS):
    """Percentile of the time of single calls in nanoseconds, less what an empty one takes."""
    durations = np.empty(calls, np.int64)
    clock = time.perf_counter_ns
    idle = min(-clock() + clock() for _ in range(1000))
    collecting = gc.isenabled()
    gc.disable()
    try:
        for index in range(calls):
            durations[index] = timing(1) * 1e9
    finally:
        if collecting:
            gc.enable()
    return max(0.0, float(np.percentile(durations, percentile)) - idle)


def measure(rounds, ids=None):
    """Measure the yardstick and all ids the original has, alternating.

    Parameters
    ----------
    rounds : int
        Samples of each stretch of calls; the shortest counts.
    ids : collection of str, optional
        Some of the ids only.

    Returns
    -------
    list of Figure
    """
    known = registry.all_benchmarks()
    figures = []
    measured = _yardstick_timing()
    for identifier, ratio in RATIOS.items():
        if ids is not None and identifier not in ids:
            continue
        timings = {
            prefix: known[prefix + identifier].prepare()
            for prefix in ("jit/", "")
            if prefix + identifier in known
        }
        best = sampling.best_stretches({**timings, _YARDSTICK: measured}, rounds)
        original = ratio * best.pop(_YARDSTICK).min()
        ours = {prefix: float(stretches.mean()) for prefix, stretches in best.items()}
        single = single_call_percentile(timings[""]) if "" in timings else None
        figures.append(Figure(identifier, original, ours.get("jit/"), ours.get(""), single))
    return figures


def as_json(figures):
    """Format figures for programs."""
    return json.dumps([figure._asdict() for figure in figures], indent=2)


def _cell(nanoseconds, original=None):
    if nanoseconds is None:
        return "-"
    return f"{nanoseconds:.0f}" + (f" ({nanoseconds / original:.2f}x)" if original else "")


def rows(figures):
    """Return the cells of the table, headings first."""
    table = [("id", "original ns", "jitted loop ns", "Python call ns", "99.9 % single call ns")]
    for each in figures:
        table.append(
            (
                each.id,
                _cell(each.original_ns),
                _cell(each.jitted_ns, each.original_ns),
                _cell(each.python_ns, each.original_ns),
                _cell(each.single_p999_ns),
            )
        )
    return table


def as_text(figures):
    """Format figures for people; in parentheses ours / original."""
    return aligned(rows(figures))


def aligned(table):
    """Format the cells of a table, headings first, for people."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    )
