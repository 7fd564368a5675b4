"""``validate_...``: one pointer validated by the pipeline, and what its searches cost.

The three kinds of pointers of the original: null, foreign, and a block of 256 bytes. They run
under the reference's rules, like the original; ``repaired/...`` are the same under the rules that
compare what the reference only counts. ``lookup_...`` find a block among 100 000.
"""

import numpy as np

from bench import inputs
from bench.benchmark import WARMUP_CALLS, Benchmark, per_mode, timed_calls, timed_loop
from membrane import ValidationPipeline, jit
from membrane.search import lookup
from runtime_math.numerics.compilation import jitted

BLOCKS = 100_000
BLOCK_BYTES = 200
POINTERS = ("null", "foreign", "known")


@jitted
def validate_loop(states, caches, address, loops):
    """Validate one address over and over."""
    checks = 0
    for _ in range(loops):
        checks += jit.validate(states[0], caches[0], address).outcome
    return checks


@jitted
def lookup_loop(states, addresses, loops):
    """Look up addresses in a random order."""
    found, place = np.uint64(0), 0
    for _ in range(loops):
        found ^= lookup(states[0].arena, addresses[place])
        place = place + 1 if place + 1 < addresses.shape[0] else 0
    return found


def _address(pipeline, pointer):
    if pointer == "known":
        return pipeline.allocate_address(inputs.KNOWN_BYTES)
    return {"null": 0, "foreign": inputs.FOREIGN_ADDRESS}[pointer]


def _kept(timing, pipeline):
    """Warm a timing function up; it keeps its pipeline alive."""
    timing(WARMUP_CALLS)
    timing.pipeline = pipeline
    return timing


def _prepare_jitted(pointer, rules):
    def prepare(mode):
        pipeline = ValidationPipeline(inputs.safety_level(mode), rules)
        address = np.uint64(_address(pipeline, pointer))
        return _kept(timed_loop(validate_loop, pipeline.states, jit.new_cache(), address), pipeline)

    return prepare


def _prepare_python(pointer, rules):
    def prepare(mode):
        pipeline = ValidationPipeline(inputs.safety_level(mode), rules)
        return _kept(timed_calls(pipeline.validate, _address(pipeline, pointer)), pipeline)

    return prepare


def _prepare_lookup(interior):
    def prepare():
        pipeline = ValidationPipeline(0)
        random = np.random.default_rng(7)
        blocks = [pipeline.allocate_address(BLOCK_BYTES) for _ in range(BLOCKS)]
        addresses = random.permutation(np.array(blocks, np.uint64))
        if interior:
            addresses += random.integers(1, BLOCK_BYTES, BLOCKS, dtype=np.uint64)
        return _kept(timed_loop(lookup_loop, pipeline.states, addresses), pipeline)

    return prepare


def benchmarks():
    """Return the benchmarks of this group."""
    found = []
    for rules, prefix in (("reference", ""), ("repaired", "repaired/")):
        for pointer in POINTERS:
            name = f"{prefix}validate_{pointer}"
            found += per_mode(name, _prepare_python(pointer, rules))
            found += per_mode(f"jit/{name}", _prepare_jitted(pointer, rules))
    for name, interior in (("base", False), ("interior", True)):
        found.append(Benchmark(f"jit/lookup_{name}_of_100000", _prepare_lookup(interior)))
    return found
