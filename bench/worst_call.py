"""The worst call: high percentiles of single decisions and observations in a jitted loop.

A call is shorter than reading the operating system's clock, so the processor's cycle counter is
read around each. Whatever else the machine does is removed by replaying the same calls from the
same state: of every call the shortest of the replays counts, so what remains is the cost of the
work itself, rare recomputations included. The processor does not drain its pipeline for the
counter, so a few nanoseconds may be booked on a neighbouring call.
"""

import platform
import time
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from bench import inputs
from bench.benchmark import MODES
from bench.deciding import decide_on
from bench.used import used
from runtime_math import CONTEXT, MembraneAction, jit
from runtime_math.numerics.compilation import entry_jitted

CALLS = 20_000
REPLAYS = 8
_PERCENTILE = 99.9
_CALIBRATION_SECONDS = 0.1
_REPAIR = int(MembraneAction.REPAIR)
# Elsewhere the operating system may forbid programs to read the counter.
_MACHINES = ("x86_64", "AMD64", "i686")


@intrinsic
def _read_cycle_counter(typing_context):
    def emit(context, builder, signature, arguments):
        function = builder.module.declare_intrinsic(
            "llvm.readcyclecounter", (), ir.FunctionType(ir.IntType(64), [])
        )
        return builder.call(function, [])

    return types.int64(), emit


@entry_jitted
def cycles_now():
    """Return the cycle counter."""
    return _read_cycle_counter()


@entry_jitted
def timed_calls(states, mode, traffic, deciding, observing, decide_cycles, observe_cycles):
    """Make calls in turn, and store the cycles that each of them took; returns the results' sum.

    `traffic` is what `bench.inputs.traffic` returns; it is repeated as often as needed.
    """
    contexts, costs_ns, adverse = traffic
    state, length, place, total = states[0], contexts.shape[0], 0, 0
    for index in range(decide_cycles.shape[0]):
        call = contexts[place]
        family, profile, repaired = np.int64(call.family), 0, False
        begun = _read_cycle_counter()
        if deciding:
            decision = decide_on(state, mode, call)
            profile, repaired = decision.profile, decision.action >= _REPAIR
            total += used(decision)
        decided = _read_cycle_counter()
        if observing:
            # Fixed input is one call over and over; what it meets follows from the decision.
            bad = adverse[place] or (length == 1 and repaired)
            jit.observe_validation_result(state, family, profile, costs_ns[place, profile], bad)
            total += state.monitor_bonus_ppm
        decide_cycles[index] = decided - begun
        observe_cycles[index] = _read_cycle_counter() - decided
        place = place + 1 if place + 1 < length else 0
    return total


class Durations(NamedTuple):
    """Nanoseconds of every single call; none of a kind that was not made."""

    decide_ns: np.ndarray | None
    observe_ns: np.ndarray | None


class Figure(NamedTuple):
    """Median, 99.9th percentile and maximum of single calls, in nanoseconds."""

    input: str
    mode: str
    call: str
    median_ns: float
    p999_ns: float
    maximum_ns: float


def available():
    """Whether programs may read the cycle counter on this kind of machine."""
    return platform.machine() in _MACHINES


def cycles_per_nanosecond(seconds=_CALIBRATION_SECONDS):
    """Return the rate of the cycle counter, found with the operating system's clock."""
    cycles_now()
    begun, first = time.perf_counter_ns(), cycles_now()
    while time.perf_counter_ns() - begun < seconds * 1e9:
        pass
    last, ended = cycles_now(), time.perf_counter_ns()
    return (last - first) / (ended - begun)


def fixed_traffic():
    """Return the one call of the original's benchmarks, in the form of `bench.inputs.traffic`."""
    contexts = np.zeros(1, CONTEXT)
    contexts[0] = tuple(inputs.fixed_context())
    costs_ns = np.array([[inputs.FAST_COST_NS, inputs.FULL_COST_NS]], np.uint64)
    return contexts, costs_ns, np.zeros(1, bool)


# What is called, and on what.
STREAMS = {
    "decide alone": (fixed_traffic, True, False),
    "observe alone": (fixed_traffic, False, True),
    "decide and observe": (fixed_traffic, True, True),
    "mixed traffic": (inputs.traffic, True, True),
}


def _least(states, calls, replays, level, *what):
    """Cycles of each decision and observation, the least of all replays from one state."""
    state = states.copy()
    least = np.full((2, calls), np.iinfo(np.int64).max)
    taken = np.empty_like(least)
    for _ in range(replays):
        state[:] = states
        timed_calls(state, level, *what, *taken)
        np.minimum(least, taken, out=least)
    return least, state


def durations(stream, mode, calls=CALLS, replays=REPLAYS):
    """Time the single calls of a stream.

    Parameters
    ----------
    stream : str
        A key of `STREAMS`.
    mode : {"strict", "hardened"}
    calls : int
        Decisions, observations or pairs of both; as many are made before, untimed.
    replays : int
        Times that the same calls are made from the same state.

    Returns
    -------
    Durations
        What reading the counter takes is removed.
    """
    make_traffic, deciding, observing = STREAMS[stream]
    level = int(inputs.safety_level(mode))
    traffic, states = make_traffic(), jit.new_state(level)
    _, states = _least(states, calls, 1, level, traffic, deciding, observing)
    idle, _ = _least(states, calls, replays, level, traffic, False, False)
    cycles, _ = _least(states, calls, replays, level, traffic, deciding, observing)
    nanoseconds = np.maximum(cycles - idle.min(), 0) / cycles_per_nanosecond()
    return Durations(nanoseconds[0] if deciding else None, nanoseconds[1] if observing else None)


def measure(calls=CALLS, replays=REPLAYS, streams=tuple(STREAMS)):
    """Measure all streams in both modes.

    Returns
    -------
    list of Figure
    """
    figures = []
    for stream in streams:
        for mode in MODES:
            found = durations(stream, mode, calls, replays)
            for call, each in zip(("decide", "observe"), found, strict=True):
                if each is not None:
                    quantiles = np.percentile(each, [50, _PERCENTILE, 100])
                    figures.append(Figure(stream, mode, call, *map(float, quantiles)))
    return figures


def rows(figures):
    """Return the cells of the table, headings first."""
    yield ("input", "mode", "call", "median ns", "99.9 % ns", "maximum ns")
    for each in figures:
        yield (*each[:3], *(f"{nanoseconds:.0f}" for nanoseconds in each[3:]))
