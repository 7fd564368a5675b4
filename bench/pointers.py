"""``validate_...``: validation of a null, a foreign and a known pointer by the membrane."""

import numpy as np

from bench import inputs
from bench.benchmark import MODES, WARMUP_CALLS, Benchmark, timed_calls, timed_loop
from membrane import ValidationPipeline
from membrane import jit as membrane_jit
from runtime_math.numerics.compilation import jitted

_KINDS = ("null", "foreign", "known")


@jitted
def validate_loop(states, caches, address, loops):
    """Validate one address over and over."""
    found = 0
    for _ in range(loops):
        found += membrane_jit.validate(states[0], caches[0], address).outcome
    return found


def _pipeline(mode):
    return ValidationPipeline(inputs.safety_level(mode) if mode else None)


def _address(pipeline, kind):
    if kind == "known":
        return pipeline.allocate_address(inputs.KNOWN_BYTES)
    return 0 if kind == "null" else inputs.FOREIGN_ADDRESS


def _warm(timing):
    timing(WARMUP_CALLS)
    return timing


def _prepare_call(kind, mode):
    pipeline = _pipeline(mode)
    return _warm(timed_calls(pipeline.validate, _address(pipeline, kind)))


def _prepare_loop(kind, mode):
    pipeline = _pipeline(mode)
    address = np.uint64(_address(pipeline, kind))
    timing = _warm(timed_loop(validate_loop, pipeline.states, membrane_jit.new_cache(), address))

    def keeping_the_pipeline(loops, _pipeline=pipeline):
        return timing(loops)

    return keeping_the_pipeline


def _prepared(prepare, kind, mode):
    return lambda: prepare(kind, mode)


def benchmarks():
    """Return the benchmarks of this group."""
    found = []
    for prefix, prepare in (("", _prepare_call), ("jit/", _prepare_loop)):
        for kind in _KINDS:
            identifier = f"{prefix}validate_{kind}"
            found.append(Benchmark(identifier, _prepared(prepare, kind, "")))
            found += [
                Benchmark(f"{identifier}/{mode}", _prepared(prepare, kind, mode), mode=mode)
                for mode in MODES
            ]
    return found
