"""``calibrated/...``: the calibrated policy without the 46 monitors, in one jitted loop."""

import functools

import numpy as np

from bench.benchmark import per_mode, timed_loop
from bench.used import used
from runtime_math.calibrated import jit
from runtime_math.numerics.compilation import jitted
from runtime_math.scenarios import generate
from runtime_math.scenarios.traffic import validation_cost_ns
from runtime_math.types import SafetyLevel

_TRAFFIC_CALLS = 16_384
_SETTLING_CALLS = 8_192


@jitted
def _decide(state, mode, call):
    return jit.decide(
        state,
        mode,
        np.int64(call.family),
        call.addr_hint,
        call.requested_bytes,
        call.is_write,
        np.int64(call.contention_hint),
        call.bloom_negative,
    )


@jitted
def decide_loop(states, mode, calls, loops):
    """Decide on clean traffic of all families."""
    state, total, place = states[0], 0, 0
    for _ in range(loops):
        total += used(_decide(state, mode, calls[place]))
        place = place + 1 if place + 1 < len(calls) else 0
    return total


@jitted
def observe_loop(states, calls, loops):
    """Observe fast outcomes of clean traffic."""
    state, total, place = states[0], 0.0, 0
    for _ in range(loops):
        call = calls[place]
        cost_ns = validation_cost_ns(call.cost_luck, call.cost_factor, False)
        jit.observe_validation_result(state, np.int64(call.family), 0, cost_ns, call.adverse)
        total += state.policy.cost_average
        place = place + 1 if place + 1 < len(calls) else 0
    return total


@jitted
def decide_observe_loop(states, mode, calls, loops):
    """Decide on clean traffic, then observe what the decision brings."""
    state, total, place = states[0], 0.0, 0
    for _ in range(loops):
        call = calls[place]
        decision = _decide(state, mode, call)
        profile = decision.profile
        cost_ns = validation_cost_ns(call.cost_luck, call.cost_factor, profile == 1)
        jit.observe_validation_result(state, np.int64(call.family), profile, cost_ns, call.adverse)
        total += used(decision) + state.policy.cost_average
        place = place + 1 if place + 1 < len(calls) else 0
    return total


@functools.cache
def _calls():
    return generate("nine", seed=1, calls=_TRAFFIC_CALLS).calls


def _settled(mode):
    level = int(SafetyLevel[mode.upper()])
    states = jit.new_state(level, monitors="none")
    decide_observe_loop(states, level, _calls(), _SETTLING_CALLS)
    return states, level


def _prepare_with_mode(loop):
    def prepare(mode):
        states, level = _settled(mode)
        return timed_loop(loop, states, level, _calls())

    return prepare


def _prepare_observe(mode):
    states, _ = _settled(mode)
    return timed_loop(observe_loop, states, _calls())


def benchmarks():
    """Return the benchmarks of this group."""
    return [
        *per_mode("calibrated/decide", _prepare_with_mode(decide_loop)),
        *per_mode("calibrated/observe", _prepare_observe),
        *per_mode("calibrated/decide_observe", _prepare_with_mode(decide_observe_loop)),
    ]
