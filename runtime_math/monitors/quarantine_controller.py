"""How many recently freed blocks should the allocator keep in quarantine?

Once per epoch of 256 frees the depth takes a projected gradient step against memory use, latency
and the rate at which frees hit quarantined blocks; the prices of latency and of memory are dual
variables that follow their constraints. A weak barrier term, of the sign that makes both ends of
the range sticky, and the contention of the epoch enter as well.

References
----------
.. [1] K. J. Arrow, L. Hurwicz, H. Uzawa, "Studies in Linear and Non-linear Programming", Stanford
       University Press, 1958.
.. [2] S. Boyd, L. Vandenberghe, "Convex Optimization", Cambridge University Press, 2004, ch. 11.
"""

from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, operation, reading, uint64
from runtime_math.numerics.compilation import jitted

MIN_DEPTH = 64
MAX_DEPTH = 65536
DEFAULT_DEPTH = 4096
FREES_PER_EPOCH = 256
LATENCY_WINDOW = 64
PRIMAL_STEP = 0.1
DUAL_STEP = 0.01
TARGET_ESCAPE_RATE = 1e-6
LATENCY_BUDGET_NS = 1_000_000.0
BARRIER_WEIGHT = 0.01
LARGEST_PRICE = 10.0
INITIAL_PRICE = 0.1
UINT32_MASK = 0xFFFF_FFFF

STATE = np.dtype(
    [
        ("latencies", np.uint64, (LATENCY_WINDOW,)),
        ("depth", np.int64),
        ("published_depth", np.int64),
        ("latency_price", np.float64),
        ("memory_price", np.float64),
        ("estimated_escape_rate", np.float64),
        ("frees_this_epoch", np.int64),
        ("hits_this_epoch", np.int64),
        ("epochs", np.int64),
        ("total_hits", np.int64),
        ("concurrent_frees", np.int64),
        ("peak_concurrent", np.int64),
    ],
    align=True,
)


class QuarantineSummary(NamedTuple):
    """Depth in force and published, the two prices, the hit estimate, totals and contention."""

    depth: int
    published_depth: int
    latency_price: float
    memory_price: float
    estimated_escape_rate: float
    epochs: int
    total_hits: int
    concurrent_frees: int
    peak_concurrent: int


@jitted
def init(state):
    """Start at the default depth with both prices at 0.1."""
    for position in range(LATENCY_WINDOW):
        state.latencies[position] = np.uint64(0)
    state.depth = DEFAULT_DEPTH
    state.published_depth = DEFAULT_DEPTH
    state.latency_price = INITIAL_PRICE
    state.memory_price = INITIAL_PRICE
    state.estimated_escape_rate = 0.0
    state.frees_this_epoch = 0
    state.hits_this_epoch = 0
    state.epochs = 0
    state.total_hits = 0
    state.concurrent_frees = 0
    state.peak_concurrent = 0


@jitted
def free_begin(state):
    """Note that a free started; the number in progress is a wrapping 32-bit counter."""
    state.concurrent_frees = (state.concurrent_frees + 1) & UINT32_MASK
    state.peak_concurrent = max(state.peak_concurrent, state.concurrent_frees)


@jitted
def free_end(state):
    """Note that a free ended."""
    state.concurrent_frees = (state.concurrent_frees - 1) & UINT32_MASK


@jitted
def latency_count(state):
    """Return how many latencies the window holds, at most 64."""
    return LATENCY_WINDOW if state.epochs > 0 else min(state.frees_this_epoch, LATENCY_WINDOW)


@jitted
def p99(state):
    """Return the 99th percentile of the last 64 latencies: with so few, their maximum."""
    count = latency_count(state)
    if count < 2:
        return 0.0
    largest = np.uint64(0)
    for position in range(count):
        largest = max(largest, state.latencies[position])
    return float(largest)


@jitted
def _priced(price, violation):
    return min(max(price + DUAL_STEP * violation, 0.0), LARGEST_PRICE)


@jitted
def _finish_epoch(state):
    state.epochs += 1
    contention = min(float(state.peak_concurrent) / 4.0, 2.0)
    state.peak_concurrent = 0
    latency_ns = p99(state)
    hit_rate = float(state.hits_this_epoch) / float(state.frees_this_epoch)
    escape_rate = 0.9 * state.estimated_escape_rate + 0.1 * hit_rate
    state.estimated_escape_rate = escape_rate

    depth = float(state.depth)
    largest_depth = float(MAX_DEPTH)
    memory_slope = 1.0 / largest_depth
    latency_slope = latency_ns / LATENCY_BUDGET_NS
    safety_slope = -(1.0 / max(depth, 1.0))
    gradient = (
        (memory_slope + state.latency_price * latency_slope) + state.memory_price * memory_slope
    ) + safety_slope * (escape_rate / TARGET_ESCAPE_RATE)
    barrier = (-1.0 / max(largest_depth - depth, 1.0)) + (1.0 / max(depth - float(MIN_DEPTH), 1.0))
    total = gradient + BARRIER_WEIGHT * barrier
    moved = (depth - (PRIMAL_STEP * total) * largest_depth) + (0.1 * contention) * 100.0
    state.depth = int(min(max(moved, float(MIN_DEPTH)), largest_depth))

    latency_excess = (latency_ns - LATENCY_BUDGET_NS) / LATENCY_BUDGET_NS
    state.latency_price = _priced(state.latency_price, latency_excess)
    state.memory_price = _priced(state.memory_price, depth / largest_depth - 0.5)
    state.hits_this_epoch = 0
    state.frees_this_epoch = 0


@jitted
def record_free(state, latency_ns, hit):
    """Record one free; returns whether it completed an epoch, which moves the depth."""
    # An epoch is four windows long, so the place in the epoch is the place in the window.
    state.latencies[state.frees_this_epoch & (LATENCY_WINDOW - 1)] = latency_ns
    state.frees_this_epoch += 1
    if hit:
        state.hits_this_epoch += 1
        state.total_hits += 1
    if state.frees_this_epoch < FREES_PER_EPOCH:
        return False
    _finish_epoch(state)
    return True


@jitted
def publish(state):
    """Make the present depth the one that the decision path sees."""
    state.published_depth = state.depth


@jitted
def depth(state):
    """Return the present depth."""
    return state.depth


@jitted
def published_depth(state):
    """Return the depth that was published last."""
    return state.published_depth


@jitted
def prices(state):
    """Return the dual variables of latency and of memory."""
    return state.latency_price, state.memory_price


@jitted
def estimated_escape_rate(state):
    """Return the smoothed rate of hits per free."""
    return state.estimated_escape_rate


@jitted
def total_hits(state):
    """Return the number of hits ever recorded."""
    return state.total_hits


@jitted
def epochs(state):
    """Return the number of completed epochs."""
    return state.epochs


@jitted
def summary(state):
    """Return depths, prices, the hit estimate, totals and the contention signal."""
    return QuarantineSummary(
        state.depth,
        state.published_depth,
        state.latency_price,
        state.memory_price,
        state.estimated_escape_rate,
        state.epochs,
        state.total_hits,
        state.concurrent_frees,
        state.peak_concurrent,
    )


class QuarantineController(Monitor):
    """Primal-dual control of the quarantine depth, one step per 256 frees.

    Examples
    --------
    >>> controller = QuarantineController()
    >>> for _ in range(255):
    ...     finished = controller.record_free(30, hit=False)
    >>> controller.record_free(30, hit=True)
    True
    >>> controller.depth, controller.published_depth
    (4720, 4096)
    >>> controller.publish()
    >>> controller.published_depth
    4720
    """

    STATE = STATE
    initialise = init
    free_begin = operation(free_begin)
    free_end = operation(free_end)
    record_free = operation(record_free, latency_ns=uint64, hit=flag)
    publish = operation(publish)
    p99 = reading(p99)
    latency_count = reading(latency_count)
    depth = reading(depth)
    published_depth = reading(published_depth)
    prices = reading(prices)
    estimated_escape_rate = reading(estimated_escape_rate)
    total_hits = reading(total_hits)
    epochs = reading(epochs)
    summary = operation(summary)
