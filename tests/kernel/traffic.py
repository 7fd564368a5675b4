"""Random traffic for the kernel's tests: events with every kind of call."""

import numpy as np

from runtime_math.monitors.check_oracle import pack_ordering
from runtime_math.records import EVENT, EventKind
from runtime_math.types import FAMILY_COUNT


def random_events(count, seed, kinds=tuple(EventKind)):
    """Mixed events of the given kinds with fields over their whole ranges."""
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT)
    events["kind"] = rng.choice(kinds, count)
    events["mode"] = rng.integers(0, 3, count)
    events["family"] = rng.integers(0, FAMILY_COUNT, count)
    events["profile"] = rng.integers(0, 2, count)
    for name in ("is_write", "bloom_negative", "aligned", "recent_page"):
        events[name] = rng.random(count) < 0.3
    events["adverse"] = rng.random(count) < 0.05
    events["exit_stage"] = rng.integers(-1, 7, count)
    events["contention_hint"] = rng.integers(0, 2**16, count)
    for name in ("addr_hint", "left_shard", "right_shard"):
        events[name] = rng.integers(0, 2**64, count, dtype=np.uint64)
    events["requested_bytes"] = 2.0 ** rng.uniform(0, 30, count)
    events["cost_ns"] = 2.0 ** rng.uniform(0, 12, count)
    events["witness"] = rng.integers(0, 2, count)
    for event in events:
        event["ordering"] = pack_ordering(rng.permutation(7).tolist())
    return events


def states_equal(first, second):
    """Whether two kernels are in the same state, byte for byte."""
    return first.states.tobytes() == second.states.tobytes()
