"""How often did each stage of the pipeline run, and with what result?

Fourteen counters. Under the reference rules only the first nine that a stage feeds ever move; the
repaired rules also count failed comparisons and repairs.
"""

from enum import IntEnum

import numpy as np

from membrane.tables.words import ONE, ZERO
from runtime_math.monitors.base import Monitor
from runtime_math.numerics.compilation import jitted
from runtime_math.validation import member, uint64


class Counter(IntEnum):
    """What is counted."""

    VALIDATIONS = 0
    TLS_CACHE_HITS = 1
    TLS_CACHE_MISSES = 2
    BLOOM_HITS = 3
    BLOOM_MISSES = 4
    ARENA_LOOKUPS = 5
    FINGERPRINT_PASSES = 6
    FINGERPRINT_FAILURES = 7
    CANARY_PASSES = 8
    CANARY_FAILURES = 9
    HEALS = 10
    DOUBLE_FREES_HEALED = 11
    FOREIGN_FREES_HEALED = 12
    SIZE_CLAMPS = 13


COUNTER_COUNT = len(Counter)
# The codes that the stages count, as plain numbers for jitted code.
(
    VALIDATIONS,
    TLS_CACHE_HITS,
    TLS_CACHE_MISSES,
    BLOOM_HITS,
    BLOOM_MISSES,
    ARENA_LOOKUPS,
    FINGERPRINT_PASSES,
    FINGERPRINT_FAILURES,
    CANARY_PASSES,
    CANARY_FAILURES,
) = map(int, list(Counter)[: Counter.HEALS])

STATE = np.dtype([("counts", np.uint64, (COUNTER_COUNT,))], align=True)


@jitted
def init(state):
    """Set all counters to zero."""
    for counter in range(COUNTER_COUNT):
        state.counts[counter] = ZERO


@jitted
def increment(state, counter):
    """Count one event; wraps at 2^64."""
    state.counts[counter] += ONE


@jitted
def store(state, counter, value):
    """Set a counter."""
    state.counts[counter] = value


_counter = member(Counter)


class Metrics(Monitor):
    """Counters of one pipeline, shared by its threads.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.increment(Counter.BLOOM_HITS)
    >>> metrics.snapshot()["bloom_hits"]
    1
    """

    STATE = STATE
    initialise = init

    def increment(self, counter: Counter) -> None:
        """Count one event; wraps at 2^64."""
        increment(self.record, _counter("counter", counter))

    def store(self, counter: Counter, value: int) -> None:
        """Set a counter."""
        store(self.record, _counter("counter", counter), uint64("value", value))

    def snapshot(self) -> dict[str, int]:
        """Return all counters by name, in their fixed order."""
        return {counter.name.lower(): int(self.record["counts"][counter]) for counter in Counter}
