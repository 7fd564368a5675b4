"""A million clean operations on real memory raise no alarm, and every figure adds up."""

import numpy as np
import pytest

from membrane import ValidationPipeline
from membrane.jit import allocate_aligned, free, new_cache, validate
from membrane.tables.memory import load_byte, store_byte
from runtime_math.numerics.compilation import jitted

OPERATIONS = 1_000_000
PLACES = 3000
# Indices of the tally.
ALLOCATED, FREED, VALIDATED, CHECKED_BYTES, ALARMS, WRONG_BYTES = range(6)


@jitted
def advance(seed):
    """One step of a 64-bit linear congruential generator."""
    return seed * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)


@jitted
def fill(address, size, byte):
    for offset in range(size):
        store_byte(address + np.uint64(offset), byte)


@jitted
def wrong_bytes(address, size, byte):
    wrong = 0
    for offset in range(size):
        wrong += load_byte(address + np.uint64(offset)) != byte
    return wrong


@jitted
def allocate_or_free(states, place, addresses, sizes, draw, tally):
    byte = place & 0xFF
    if addresses[place] == np.uint64(0):
        size = (draw >> np.uint64(20)) % np.uint64(200)
        align = np.uint64(16) << ((draw >> np.uint64(40)) & np.uint64(3))
        address = allocate_aligned(states[0], size, align)
        tally[ALARMS] += address == np.uint64(0)
        fill(address, size, byte)
        addresses[place] = address
        sizes[place] = size
        tally[ALLOCATED] += 1
    else:
        tally[WRONG_BYTES] += wrong_bytes(addresses[place], sizes[place], byte)
        tally[CHECKED_BYTES] += np.int64(sizes[place])
        tally[ALARMS] += free(states[0], addresses[place]) != 0
        addresses[place] = np.uint64(0)
        tally[FREED] += 1


@jitted
def churn(states, caches, addresses, sizes, operations, tally):
    """Allocate, fill, validate anywhere inside, compare, free: in random order."""
    seed = np.uint64(2024)
    for _ in range(operations):
        seed = advance(seed)
        place = np.int64((seed >> np.uint64(33)) % np.uint64(PLACES))
        live = addresses[place] != np.uint64(0)
        if not live or (seed >> np.uint64(60)) < np.uint64(6):
            allocate_or_free(states, place, addresses, sizes, seed, tally)
        else:
            offset = np.uint64(0)
            if sizes[place] != np.uint64(0):
                offset = (seed >> np.uint64(10)) % sizes[place]
            found = validate(states[0], caches[0], addresses[place] + offset)
            good = found.outcome == 1 or found.outcome == 2
            good = good and found.remaining == sizes[place] - offset
            tally[ALARMS] += not good
            tally[VALIDATED] += 1


@pytest.mark.parametrize("mode", [0, 1], ids=["strict", "hardened"])
def test_no_false_alarm_in_a_million_operations(mode):
    with ValidationPipeline(mode, quarantine_max_bytes=1 << 20) as pipeline:
        addresses, sizes = np.zeros((2, PLACES), np.uint64)
        tally = np.zeros(6, np.int64)
        churn(pipeline.states, new_cache(), addresses, sizes, OPERATIONS, tally)
        assert tally[ALARMS] == 0
        assert tally[WRONG_BYTES] == 0
        assert tally[[ALLOCATED, FREED, VALIDATED]].sum() == OPERATIONS
        assert tally[VALIDATED] > OPERATIONS // 4
        figures = pipeline.statistics()
        counts = figures["metrics"]
        assert counts["validations"] == tally[VALIDATED]
        assert counts["tls_cache_hits"] + counts["tls_cache_misses"] <= tally[VALIDATED]
        assert counts["fingerprint_passes"] == counts["canary_passes"] == tally[VALIDATED]
        assert counts["fingerprint_failures"] == counts["canary_failures"] == 0
        assert figures["live_blocks"] == tally[ALLOCATED] - tally[FREED]
        live = addresses != 0
        assert figures["live_bytes"] == sizes[live].sum()
        assert all(pipeline.free(int(address)) == 0 for address in addresses[live])
        assert pipeline.statistics()["live_bytes"] == 0
