"""``runtime_math/...``: what a Python caller pays through the public API."""

import itertools
import time

from bench import inputs
from bench.benchmark import per_mode, timed_calls, warmed
from runtime_math import ApiFamily, MembraneAction, RuntimeMathKernel, ValidationProfile

_POINTER_VALIDATION = ApiFamily.POINTER_VALIDATION
_FAST, _FULL = ValidationProfile.FAST, ValidationProfile.FULL
_REPAIR = MembraneAction.REPAIR


def prepare_decide(mode):
    """Decide on the fixed context."""
    level = inputs.safety_level(mode)
    kernel = RuntimeMathKernel(level)
    return timed_calls(kernel.decide, level, inputs.fixed_context())


def prepare_observe_fast(mode):
    """Observe a fast, clean outcome of 12 ns."""
    kernel = RuntimeMathKernel(inputs.safety_level(mode))
    outcome = (_POINTER_VALIDATION, _FAST, inputs.FAST_COST_NS, False)
    return timed_calls(kernel.observe_validation_result, *outcome)


def prepare_decide_observe(mode):
    """Decide, then observe an outcome that follows from the decision."""
    level = inputs.safety_level(mode)
    kernel = RuntimeMathKernel(level)
    context = inputs.fixed_context()
    decide, observe = kernel.decide, kernel.observe_validation_result
    costs = {_FAST: inputs.FAST_COST_NS, _FULL: inputs.FULL_COST_NS}

    def timing(loops):
        repeat = range(loops)
        start = time.perf_counter()
        for _ in repeat:
            decision = decide(level, context)
            profile = decision.profile
            adverse = decision.action >= _REPAIR
            observe(_POINTER_VALIDATION, profile, costs[profile], adverse)
        return time.perf_counter() - start

    return warmed(timing)


def prepare_mixed(mode):
    """Decide and observe over mixed traffic of all families."""
    level = inputs.safety_level(mode)
    kernel = RuntimeMathKernel(level)
    traffic = itertools.cycle(inputs.traffic_calls())
    decide, observe = kernel.decide, kernel.observe_validation_result

    def timing(loops):
        calls = itertools.islice(traffic, loops)
        start = time.perf_counter()
        for context, costs, adverse in calls:
            profile = decide(level, context).profile
            observe(context.family, profile, costs[profile], adverse)
        return time.perf_counter() - start

    return warmed(timing)


def benchmarks():
    """Return the benchmarks of this group."""
    return [
        *per_mode("runtime_math/decide", prepare_decide),
        *per_mode("runtime_math/observe_fast", prepare_observe_fast),
        *per_mode("runtime_math/decide_observe", prepare_decide_observe),
        *per_mode("runtime_math/mixed", prepare_mixed),
    ]
