"""``validate_...``: validation of a null, a foreign and a known pointer by the membrane.

The plain ids run the reference's rules, which is what the original's figures are about; those that
begin with ``repaired/`` run the rules that users get by default.
"""

import numpy as np

from bench import inputs
from bench.benchmark import MODES, Benchmark, timed_calls, timed_loop
from bench.used import used
from membrane import ValidationPipeline
from membrane.jit import new_cache, validate
from runtime_math.numerics.compilation import jitted

_KINDS = ("null", "foreign", "known")


@jitted
def validate_loop(states, caches, address, loops):
    """Validate one address over and over."""
    total = 0
    for _ in range(loops):
        total += used(validate(states[0], caches[0], address))
    return total


def _pipeline(rules, mode):
    return ValidationPipeline(inputs.safety_level(mode) if mode else None, rules)


def _address(pipeline, kind):
    if kind == "known":
        return pipeline.allocate_address(inputs.KNOWN_BYTES)
    return 0 if kind == "null" else inputs.FOREIGN_ADDRESS


def _prepare_call(kind, rules, mode):
    pipeline = _pipeline(rules, mode)
    return timed_calls(pipeline.validate, _address(pipeline, kind))


def _prepare_loop(kind, rules, mode):
    pipeline = _pipeline(rules, mode)
    address = np.uint64(_address(pipeline, kind))
    timing = timed_loop(validate_loop, pipeline.states, new_cache(), address)

    def keeping_the_pipeline(loops, _pipeline=pipeline):
        return timing(loops)

    return keeping_the_pipeline


def _prepared(prepare, *case):
    return lambda: prepare(*case)


def benchmarks():
    """Return the benchmarks of this group."""
    found = []
    for prefix, prepare in (("", _prepare_call), ("jit/", _prepare_loop)):
        for group, rules in (("", "reference"), ("repaired/", "repaired")):
            for kind in _KINDS:
                identifier = f"{prefix}{group}validate_{kind}"
                found.append(Benchmark(identifier, _prepared(prepare, kind, rules, "")))
                found += [
                    Benchmark(
                        f"{identifier}/{mode}", _prepared(prepare, kind, rules, mode), mode=mode
                    )
                    for mode in MODES
                ]
    return found
