"""``jit/runtime_math/...``: the same calls in one jitted loop, what jitted callers pay."""

import time

import numpy as np

from bench import inputs
from bench.benchmark import per_mode, timed_loop, warmed
from bench.deciding import decide_on
from bench.used import used
from runtime_math import ApiFamily, MembraneAction, ValidationProfile, jit
from runtime_math.numerics.compilation import jitted

_POINTER_VALIDATION = int(ApiFamily.POINTER_VALIDATION)
_FAST, _FULL = int(ValidationProfile.FAST), int(ValidationProfile.FULL)
_REPAIR = int(MembraneAction.REPAIR)
_ADDRESS = np.uint64(inputs.ADDRESS)
_NO_BYTES = np.uint64(0)
_FAST_COST_NS = np.uint64(inputs.FAST_COST_NS)
_FULL_COST_NS = np.uint64(inputs.FULL_COST_NS)


@jitted
def decide_loop(states, mode, loops):
    """Decide on the fixed context."""
    state, total = states[0], 0
    for _ in range(loops):
        decision = jit.decide(
            state, mode, _POINTER_VALIDATION, _ADDRESS, _NO_BYTES, False, 0, False
        )
        total += used(decision)
    return total


@jitted
def observe_fast_loop(states, loops):
    """Observe a fast, clean outcome of 12 ns."""
    state, total = states[0], 0
    for _ in range(loops):
        jit.observe_validation_result(state, _POINTER_VALIDATION, _FAST, _FAST_COST_NS, False)
        total += state.monitor_bonus_ppm
    return total


@jitted
def decide_observe_loop(states, mode, loops):
    """Decide, then observe an outcome that follows from the decision."""
    state, total = states[0], 0
    for _ in range(loops):
        decision = jit.decide(
            state, mode, _POINTER_VALIDATION, _ADDRESS, _NO_BYTES, False, 0, False
        )
        cost_ns = _FULL_COST_NS if decision.profile == _FULL else _FAST_COST_NS
        adverse = decision.action >= _REPAIR
        jit.observe_validation_result(
            state, _POINTER_VALIDATION, decision.profile, cost_ns, adverse
        )
        total += used(decision) + state.monitor_bonus_ppm
    return total


@jitted
def mixed_loop(states, mode, contexts, costs_ns, adverse, place, loops):
    """Decide and observe over mixed traffic of all families; returns where it stopped, too."""
    state, length, total = states[0], contexts.shape[0], 0
    for _ in range(loops):
        call = contexts[place]
        family = np.int64(call.family)
        decision = decide_on(state, mode, call)
        cost_ns = costs_ns[place, decision.profile]
        jit.observe_validation_result(state, family, decision.profile, cost_ns, adverse[place])
        total += used(decision) + state.monitor_bonus_ppm
        place = place + 1 if place + 1 < length else 0
    return place, total


def _prepare_with_mode(loop):
    def prepare(mode):
        level = int(inputs.safety_level(mode))
        return timed_loop(loop, jit.new_state(level), level)

    return prepare


def _prepare_observe_fast(mode):
    states = jit.new_state(inputs.safety_level(mode))
    return timed_loop(observe_fast_loop, states)


def _prepare_mixed(mode):
    level = int(inputs.safety_level(mode))
    states, traffic, place = jit.new_state(level), inputs.traffic(), 0
    mixed_loop(states, level, *traffic, place, 1)

    def timing(loops):
        nonlocal place
        start = time.perf_counter()
        place, _ = mixed_loop(states, level, *traffic, place, loops)
        return time.perf_counter() - start

    return warmed(timing)


def benchmarks():
    """Return the benchmarks of this group."""
    return [
        *per_mode("jit/runtime_math/decide", _prepare_with_mode(decide_loop)),
        *per_mode("jit/runtime_math/observe_fast", _prepare_observe_fast),
        *per_mode("jit/runtime_math/decide_observe", _prepare_with_mode(decide_observe_loop)),
        *per_mode("jit/runtime_math/mixed", _prepare_mixed),
    ]
