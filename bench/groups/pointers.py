"""``validate_...``: validation of a null, a foreign and a known pointer by the membrane.

The plain ids run the reference's rules, which is what the original's figures are about; those that
begin with ``repaired/`` run the rules that users get by default.

``lookup/base/...`` and ``lookup/interior/...`` search the block of an address, its base or one
inside it, among many blocks of one size; no kernel is asked.
"""

import numpy as np

from bench import inputs
from bench.benchmark import MODES, Benchmark, keeping, timed_calls, timed_loop
from bench.used import used
from membrane import ValidationPipeline
from membrane.blocks.lookup import holding
from membrane.blocks.slots import NO_SLOT
from membrane.jit import new_cache, validate
from membrane.pipeline.validation_pipeline import RULES
from membrane.tables.words import PAGE_MASK
from runtime_math.numerics.compilation import jitted

_KINDS = ("null", "foreign", "known")
_PLACES = ("base", "interior")
_LOOKUP_BLOCKS = 65_536
_LOOKUP_BYTES = 256


@jitted
def validate_loop(states, caches, address, loops):
    """Validate one address over and over."""
    total = 0
    for _ in range(loops):
        total += used(validate(states[0], caches[0], address))
    return total


@jitted
def lookup_loop(states, addresses, loops):
    """Search the blocks of addresses, one after the other and again from the first."""
    found, place = 0, 0
    for _ in range(loops):
        found += holding(states[0].arena, addresses[place]) != NO_SLOT
        place = place + 1 if place + 1 < len(addresses) else 0
    return found


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
    return keeping(timed_loop(validate_loop, pipeline.states, new_cache(), address), pipeline)


def _lookup_addresses(pipeline, kind):
    """Addresses in random order, one in each block."""
    random = np.random.default_rng(inputs.TRAFFIC_SEED)
    allocated = [pipeline.allocate_address(_LOOKUP_BYTES) for _ in range(_LOOKUP_BLOCKS)]
    bases = random.permutation(np.array(allocated, np.uint64))
    if kind == "base":
        return bases
    offsets = random.integers(1, _LOOKUP_BYTES, _LOOKUP_BLOCKS, dtype=np.uint64)
    # The reference's rules look in the page of the base only.
    return bases + np.minimum(offsets, PAGE_MASK - (bases & PAGE_MASK))


def _prepare_lookup(kind, rules):
    pipeline = _pipeline(rules, "")
    addresses = _lookup_addresses(pipeline, kind)
    if lookup_loop(pipeline.states, addresses, _LOOKUP_BLOCKS) != _LOOKUP_BLOCKS:
        raise RuntimeError(f"some {kind} addresses were not found under {rules} rules")
    return keeping(timed_loop(lookup_loop, pipeline.states, addresses), pipeline)


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
    found += [
        Benchmark(f"lookup/{kind}/{rules}", _prepared(_prepare_lookup, kind, rules))
        for kind in _PLACES
        for rules in RULES
    ]
    return found
