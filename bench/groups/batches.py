"""``batch/...``: the array entry points, per row."""

import time

import numpy as np

from bench import inputs
from bench.benchmark import per_mode
from runtime_math import OUTCOME, RuntimeMathKernel, ValidationProfile


def _outcomes(contexts, costs_ns, adverse):
    outcomes = np.zeros(len(contexts), OUTCOME)
    outcomes["family"] = contexts["family"]
    outcomes["cost_ns"] = costs_ns[:, ValidationProfile.FAST]
    outcomes["adverse"] = adverse
    return outcomes


def _timed_rows(function, rows):
    """Time a batch call; a loop is one row."""

    def timing(loops):
        rounds, rest = divmod(loops, len(rows))
        parts = [rows] * rounds + ([rows[:rest]] if rest else [])
        start = time.perf_counter()
        for part in parts:
            function(part)
        return time.perf_counter() - start

    timing(2 * len(rows))
    return timing


def _prepare_decide(mode):
    level = inputs.safety_level(mode)
    kernel = RuntimeMathKernel(level)
    contexts, _, _ = inputs.traffic()
    return _timed_rows(lambda rows: kernel.decide_many(level, rows), contexts)


def _prepare_observe(mode):
    kernel = RuntimeMathKernel(inputs.safety_level(mode))
    return _timed_rows(kernel.observe_many, _outcomes(*inputs.traffic()))


def _prepare_replay(mode):
    level = inputs.safety_level(mode)
    kernel = RuntimeMathKernel(level)
    return _timed_rows(kernel.replay, inputs.mixed_events(level, *inputs.traffic()))


def benchmarks():
    """Return the benchmarks of this group."""
    return [
        *per_mode("batch/decide_many", _prepare_decide),
        *per_mode("batch/observe_many", _prepare_observe),
        *per_mode("batch/replay", _prepare_replay),
    ]
