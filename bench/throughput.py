"""Batches at the size they are made for: against the plain jitted loop, and on two threads."""

import math
import time
from typing import NamedTuple

import numpy as np

from bench import inputs
from bench.benchmark import MODES
from bench.deciding import decide_on
from bench.used import used
from runtime_math import RuntimeMathKernel, jit, replay_ensemble
from runtime_math.numerics.compilation import entry_jitted

EVENTS = 1_000_000
KERNELS = 1_000
EVENTS_PER_KERNEL = 2_000


class Replay(NamedTuple):
    """Nanoseconds per pair of decision and observation, replayed and in a loop by hand."""

    mode: str
    replay_ns: float
    loop_ns: float


class Ensemble(NamedTuple):
    """Seconds for one replay on many kernels with one and with two threads."""

    mode: str
    one_thread: float
    two_threads: float


@entry_jitted
def pairs_loop(states, events):
    """Make the calls of events in turn, a decision and an observation; the results are summed."""
    state, total = states[0], 0
    for row in range(0, events.shape[0], 2):
        call, outcome = events[row], events[row + 1]
        decision = decide_on(state, call.mode, call)
        jit.observe_validation_result(
            state, int(outcome.family), int(outcome.profile), outcome.cost_ns, outcome.adverse
        )
        total += used(decision) + state.monitor_bonus_ppm
    return total


def _best_seconds(functions, rounds):
    best = [math.inf] * len(functions)
    for _ in range(rounds):
        for place, function in enumerate(functions):
            start = time.perf_counter()
            function()
            best[place] = min(best[place], time.perf_counter() - start)
    return best


def _events(level, count):
    events = inputs.mixed_events(level, *inputs.traffic())
    return np.resize(events, count)


def replay_against_loop(mode, rounds, count=EVENTS):
    """Measure `RuntimeMathKernel.replay` of mixed events, and the same calls in a loop by hand.

    Returns
    -------
    Replay
        The least of the rounds.
    """
    level = inputs.safety_level(mode)
    events = _events(level, count)
    kernel, states = RuntimeMathKernel(level), jit.new_state(level)
    kernel.replay(events[:2])
    pairs_loop(states, events[:2])
    seconds = _best_seconds(
        [lambda: kernel.replay(events), lambda: pairs_loop(states, events)], rounds
    )
    return Replay(mode, *(each / (count // 2) * 1e9 for each in seconds))


def ensemble(mode, rounds, kernels=KERNELS, count=EVENTS_PER_KERNEL):
    """Measure `replay_ensemble` with one and with two threads, the least of the rounds.

    Returns
    -------
    Ensemble
    """
    level = inputs.safety_level(mode)
    events, states = _events(level, count), jit.new_state(level, kernels)
    replay_ensemble(states, events[:2], 1)
    seconds = _best_seconds(
        [lambda: replay_ensemble(states, events, 1), lambda: replay_ensemble(states, events, 2)],
        rounds,
    )
    return Ensemble(mode, *seconds)


def measure(rounds, events=EVENTS, kernels=KERNELS, events_per_kernel=EVENTS_PER_KERNEL):
    """Measure both in both modes.

    Returns
    -------
    list of Replay, list of Ensemble
    """
    replays = [replay_against_loop(mode, rounds, events) for mode in MODES]
    return replays, [ensemble(mode, rounds, kernels, events_per_kernel) for mode in MODES]


def replay_rows(replays):
    """Return the cells of the table of replays, headings first."""
    yield ("mode", "replay ns", "plain jitted loop ns", "ratio")
    for mode, replay_ns, loop_ns in replays:
        yield (mode, f"{replay_ns:.0f}", f"{loop_ns:.0f}", f"{replay_ns / loop_ns:.2f}")


def ensemble_rows(ensembles):
    """Return the cells of the table of ensembles, headings first."""
    yield ("mode", "one thread s", "two threads s", "one / two")
    for mode, one, two in ensembles:
        yield (mode, f"{one:.2f}", f"{two:.2f}", f"{one / two:.2f}")
