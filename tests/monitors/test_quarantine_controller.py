"""The quarantine depth against exact arithmetic, its bounds, contention, and bad input."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.quarantine_controller import QuarantineController


def run_epoch(controller, latencies, hits):
    for index in range(256):
        finished = controller.record_free(latencies[index % len(latencies)], index < hits)
        assert finished == (index == 255)


def exact_step(depth, prices, rate, latency, hits, peak):
    """One epoch in rational arithmetic: new (depth before truncation, prices, rate)."""
    depth, rate = Fraction(depth), Fraction(rate) * 9 / 10 + Fraction(hits, 2560)
    price_latency, price_memory = map(Fraction, prices)
    load = Fraction(latency, 10**6)
    gradient = Fraction(1, 65536) + price_latency * load + price_memory / 65536
    gradient -= rate * 10**6 / max(depth, 1)
    barrier = 1 / max(depth - 64, Fraction(1)) - 1 / max(65536 - depth, Fraction(1))
    moved = depth - (gradient + barrier / 100) / 10 * 65536 + 10 * min(Fraction(peak, 4), 2)
    new_latency = min(max(price_latency + (load - 1) / 100, 0), 10)
    new_memory = min(max(price_memory + (depth / 65536 - Fraction(1, 2)) / 100, 0), 10)
    return min(max(moved, 64), 65536), (new_latency, new_memory), rate


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.sampled_from([0, 1, 2, 40, 256]), st.integers(0, 9)),
        min_size=1,
        max_size=8,
    )
)
def test_each_epoch_is_one_primal_dual_step(plan):
    controller = QuarantineController()
    for latency, hits, peak in plan:
        before = controller.summary()
        for _ in range(peak):
            controller.free_begin()
        for _ in range(peak):
            controller.free_end()
        run_epoch(controller, [latency], hits)
        moved, prices, rate = exact_step(
            before.depth, before[2:4], before.estimated_escape_rate, latency, hits, peak
        )
        assert 64 <= controller.depth <= 65536
        # A truncated depth may differ from the exact one only where rounding meets an integer.
        near_integer = abs(moved - round(moved)) < 1e-6
        assert controller.depth == math.floor(moved) or near_integer
        assert controller.prices == pytest.approx([float(price) for price in prices], rel=1e-12)
        assert controller.estimated_escape_rate == pytest.approx(float(rate), rel=1e-12)
        assert controller.summary().peak_concurrent == 0


@given(st.lists(st.integers(0, 2**64 - 1), max_size=200))
def test_p99_is_the_nearest_rank_percentile_of_the_last_64(latencies):
    controller = QuarantineController()
    for latency in latencies:
        controller.record_free(latency, False)
    window = sorted(latencies[-64:])
    assert controller.latency_count == len(window)
    rank = min(math.ceil(len(window) * 0.99), len(window) - 1)
    assert controller.p99 == (float(window[rank]) if len(window) >= 2 else 0.0)


def test_only_publish_changes_what_the_decision_path_sees():
    controller = QuarantineController()
    run_epoch(controller, [100], 256)
    assert (controller.depth, controller.published_depth) == (65536, 4096)
    controller.publish()
    assert controller.published_depth == 65536
    assert (controller.epochs, controller.total_hits) == (1, 256)


def test_the_largest_depth_is_sticky_without_hits():
    controller = QuarantineController()
    run_epoch(controller, [100], 256)
    for _ in range(30):
        run_epoch(controller, [20], 0)
    assert controller.depth == 65536
    assert controller.prices[0] == 0.0


def test_contention_counters_wrap_at_32_bits():
    controller = QuarantineController()
    controller.free_end()
    assert controller.summary()[-2:] == (2**32 - 1, 0)
    controller.free_begin()
    controller.free_begin()
    assert controller.summary()[-2:] == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, False), ValueError, "latency_ns must be an integer from 0"),
        ((2**64, False), ValueError, "latency_ns must be an integer from 0"),
        ((1.5, False), TypeError, "latency_ns must be an integer"),
        ((1, 0), TypeError, "hit must be a bool"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    controller = QuarantineController()
    before = controller.record.tobytes()
    with pytest.raises(error, match=message):
        controller.record_free(*arguments)
    assert controller.record.tobytes() == before
