"""The tropical bounds against a per-stage model and matrix closure, the alarm, and bad input."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.tropical_latency import LatencyPath, TropicalLatency
from runtime_math.types import CheckStage

INFINITY = 2**64 - 1
STAGES = {0: [0, 1], 1: [0, 1, 2, 6], 2: list(range(7)), 3: list(range(7))}
BUDGETS = [20, 50, 200, 500]


def plus(left, right):
    return min(left + right, INFINITY)


def total(costs, start=0):
    for cost in costs:
        start = plus(start, cost)
    return start


class Model:
    """Every stage on its own, as in the definition."""

    def __init__(self):
        self.largest = [1, 5, 10, 30, 20, 10, 5]
        self.mean = [float(cost) for cost in self.largest]
        self.count = [0] * 7
        self.calls = 0
        self.update()

    def update(self):
        self.bounds = [total(self.largest[s] for s in STAGES[path]) for path in range(4)]
        self.bounds[3] = plus(self.bounds[3], 50)

    def stage(self, stage, cost):
        self.count[stage] += 1
        self.mean[stage] = 0.95 * self.mean[stage] + 0.05 * float(cost)
        self.largest[stage] = max(self.largest[stage], cost)

    def observe_path(self, path, cost):
        for stage in STAGES[path]:
            self.stage(stage, cost // len(STAGES[path]))
        self.calls += 1
        if self.calls % 64 == 0:
            self.update()

    def observe_stage(self, stage, cost):
        if stage < 7:
            self.stage(stage, cost)
        self.calls += 1
        if self.calls % 128 == 0:
            self.update()

    def closure(self):
        """Elementwise minimum of the first seven powers of the min-plus matrix."""
        weights = [[INFINITY] * 7 for _ in range(7)]
        for i in range(7):
            weights[i][i] = 0
            if i < 6:
                weights[i][i + 1] = self.largest[i + 1]
        power, best = weights, weights
        for _ in range(6):
            power = [
                [min(plus(power[i][k], weights[k][j]) for k in range(7)) for j in range(7)]
                for i in range(7)
            ]
            best = [[min(best[i][j], power[i][j]) for j in range(7)] for i in range(7)]
        return best


costs = st.integers(0, 400) | st.integers(0, INFINITY)
events = st.lists(
    st.tuples(st.just("path"), st.integers(0, 3), costs)
    | st.tuples(st.just("stage"), st.integers(0, 9), costs),
    max_size=12,
)


@given(events, st.integers(1, 12))
def test_maxima_means_counts_and_bounds_are_those_of_each_stage(pattern, rounds):
    monitor, model = TropicalLatency(), Model()
    for kind, where, cost in pattern * rounds:
        before = [monitor.worst_case_bound(path) for path in LatencyPath]
        if kind == "path":
            monitor.observe_path(where, cost)
            model.observe_path(where, cost)
        else:
            monitor.observe_stage(where, cost)
            model.observe_stage(where, cost)
        after = [monitor.worst_case_bound(path) for path in LatencyPath]
        assert after == model.bounds
        assert all(old <= new for old, new in zip(before, after, strict=True))
    assert [monitor.max_observed(stage) for stage in CheckStage] == model.largest
    assert [monitor.mean_cost(stage) for stage in CheckStage] == model.mean
    assert [monitor.observation_count(stage) for stage in CheckStage] == model.count
    first, closure = model.largest[0], model.closure()
    whole = plus(first, closure[0][6])
    fast = plus(first, closure[0][1])
    assert monitor.critical_paths() == (fast, whole, whole, plus(whole, 50))
    for path in LatencyPath:
        worst = max(STAGES[path], key=lambda stage: model.largest[stage])
        assert monitor.bottleneck_stage(path) == worst
        assert monitor.within_budget(path) == (model.bounds[path] <= BUDGETS[path])


@given(st.lists(st.tuples(st.sampled_from(LatencyPath), st.integers(0, 600)), max_size=80))
def test_alarm_latches_once_the_leaky_counter_passes_ten(calls):
    monitor = TropicalLatency()
    level, alarmed = 0, False
    for path, cost in calls:
        monitor.observe_path(path, cost)
        level = level + 1 if cost > BUDGETS[path] else max(level - 1, 0)
        alarmed = alarmed or level > 10
        assert (monitor.violation_count, monitor.is_alarmed) == (level, alarmed)
    monitor.reset_alarm()
    assert monitor.summary()[2:] == (0, False)


def test_nothing_is_published_before_publish():
    monitor = TropicalLatency()
    for call in range(1, 257):
        monitor.observe_path(LatencyPath.FULL, 700)
        assert monitor.publication_due == (call == 256)
    assert monitor.published == (0, 0, 0, 0, 0)
    monitor.publish()
    assert monitor.published == (200, 400, 700, 750, 256)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("observe_path", (4, 1), ValueError, "path must be a member of LatencyPath"),
        ("observe_path", (0, -1), ValueError, "actual_ns must be an integer from 0"),
        ("observe_path", (0, 1.0), TypeError, "actual_ns must be an integer"),
        ("observe_stage", (-1, 1), ValueError, "stage must be an integer from 0"),
        ("max_observed", (7,), ValueError, "stage must be a member of CheckStage"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(name, arguments, error, message):
    monitor = TropicalLatency()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        getattr(monitor, name)(*arguments)
    assert monitor.record.tobytes() == before
