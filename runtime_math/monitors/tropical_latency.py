"""Does the worst case of a path through the validation pipeline stay within its latency budget?

The largest cost ever seen of each stage is a weight in the (min, +) semiring; the worst case of a
path is the tropical product of its stages, a plain saturating sum because the pipeline is a chain.
A path's cost is divided evenly among its stages. Calls over budget raise a leaky counter, and
enough of them an alarm that only a reset clears.

References
----------
.. [1] F. Baccelli, G. Cohen, G. J. Olsder, J.-P. Quadrat, "Synchronization and Linearity: An
       Algebra for Discrete Event Systems", Wiley, 1992.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, integer, member, operation, reading, uint64
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.saturating import saturating_add_uint64
from runtime_math.types import CheckStage

STAGE_COUNT = len(CheckStage)
ALARM_OVERHEAD_NS = np.uint64(50)
BUDGET_NS = np.array([20, 50, 200, 500], np.uint64)
INITIAL_STAGE_NS = np.array([1, 5, 10, 30, 20, 10, 5], np.uint64)
OLD_WEIGHT = 0.95
NEW_WEIGHT = 0.05
PATH_CALLS_PER_UPDATE = 64
STAGE_CALLS_PER_UPDATE = 128
CALLS_PER_PUBLICATION = 256
TOLERATED_VIOLATIONS = 10
BOUNDS_STAGE = int(CheckStage.BOUNDS)


class LatencyPath(IntEnum):
    """Paths through the pipeline, by how many stages they run."""

    FAST_EXIT = 0
    NORMAL = 1
    FULL = 2
    ALARM = 3


PATH_COUNT = len(LatencyPath)

# What a path's calls add to its stages (largest share, number) is kept per path and put together
# when read, so that a call touches one entry instead of seven.
STATE = np.dtype(
    [
        ("mean_ns", np.float64, (STAGE_COUNT,)),
        ("total_observations", np.int64),
        ("violations", np.int64),
        ("largest_share_ns", np.uint64, (PATH_COUNT,)),
        ("path_calls", np.int64, (PATH_COUNT,)),
        ("largest_stage_ns", np.uint64, (STAGE_COUNT,)),
        ("stage_calls", np.int64, (STAGE_COUNT,)),
        ("worst_case_ns", np.uint64, (PATH_COUNT,)),
        ("published_ns", np.uint64, (PATH_COUNT,)),
        ("published_violations", np.int64),
        ("alarm", np.bool_),
    ],
    align=True,
)


class PublishedLatency(NamedTuple):
    """Worst cases in nanoseconds, and violations, as of the last publication."""

    fast_exit: int
    normal: int
    full: int
    alarm: int
    violations: int


class TropicalLatencySummary(NamedTuple):
    """Worst case of the full path at the last update, and how calls kept to their budgets."""

    full_worst_case_ns: int
    total_observations: int
    violations: int
    alarm: bool


@jitted
def init(state):
    """Start from the nominal cost of each stage, with nothing published."""
    for stage in range(STAGE_COUNT):
        state.largest_stage_ns[stage] = INITIAL_STAGE_NS[stage]
        state.mean_ns[stage] = float(INITIAL_STAGE_NS[stage])
        state.stage_calls[stage] = 0
    for path in range(PATH_COUNT):
        state.largest_share_ns[path] = np.uint64(0)
        state.path_calls[path] = 0
        state.published_ns[path] = np.uint64(0)
    state.published_violations = 0
    state.total_observations = 0
    state.violations = 0
    state.alarm = False
    _update_bounds(state)


@jitted
def _passes(path, stage):
    """Whether a path runs a stage."""
    return path >= 2 or stage < 2 or (path == 1 and (stage == 2 or stage == BOUNDS_STAGE))


@jitted
def max_observed(state, stage):
    """Return the largest cost in nanoseconds ever attributed to a stage."""
    largest = state.largest_stage_ns[stage]
    for path in range(PATH_COUNT):
        if _passes(path, stage):
            largest = max(largest, state.largest_share_ns[path])
    return largest


@jitted
def observation_count(state, stage):
    """Return how many costs were attributed to a stage."""
    count = state.stage_calls[stage]
    for path in range(PATH_COUNT):
        if _passes(path, stage):
            count += state.path_calls[path]
    return count


@jitted
def mean_cost(state, stage):
    """Return the exponentially weighted mean of a stage's cost in nanoseconds."""
    return state.mean_ns[stage]


@jitted
def _update_bounds(state):
    """Compose the worst cases of all paths from the present maxima of their stages."""
    fast = saturating_add_uint64(max_observed(state, 0), max_observed(state, 1))
    normal = saturating_add_uint64(fast, max_observed(state, 2))
    full = normal
    for stage in range(3, BOUNDS_STAGE):
        full = saturating_add_uint64(full, max_observed(state, stage))
    last = max_observed(state, BOUNDS_STAGE)
    full = saturating_add_uint64(full, last)
    state.worst_case_ns[0] = fast
    state.worst_case_ns[1] = saturating_add_uint64(normal, last)
    state.worst_case_ns[2] = full
    state.worst_case_ns[3] = saturating_add_uint64(full, ALARM_OVERHEAD_NS)


@jitted
def observe_stage(state, stage, cost_ns):
    """Observe the cost of one stage; a stage that does not exist only counts as an observation."""
    if stage < STAGE_COUNT:
        state.stage_calls[stage] += 1
        state.mean_ns[stage] = OLD_WEIGHT * state.mean_ns[stage] + NEW_WEIGHT * float(cost_ns)
        state.largest_stage_ns[stage] = max(state.largest_stage_ns[stage], cost_ns)
    state.total_observations += 1
    if state.total_observations % STAGE_CALLS_PER_UPDATE == 0:
        _update_bounds(state)


@jitted
def observe_path(state, path, actual_ns):
    """Observe the cost of one call through a path."""
    if path >= 2:
        share_ns = actual_ns // np.uint64(7)
        addend = NEW_WEIGHT * float(share_ns)
        for stage in range(STAGE_COUNT):
            state.mean_ns[stage] = OLD_WEIGHT * state.mean_ns[stage] + addend
    else:
        share_ns = actual_ns // np.uint64(2 if path == 0 else 4)
        addend = NEW_WEIGHT * float(share_ns)
        state.mean_ns[0] = OLD_WEIGHT * state.mean_ns[0] + addend
        state.mean_ns[1] = OLD_WEIGHT * state.mean_ns[1] + addend
        if path == 1:
            state.mean_ns[2] = OLD_WEIGHT * state.mean_ns[2] + addend
            state.mean_ns[BOUNDS_STAGE] = OLD_WEIGHT * state.mean_ns[BOUNDS_STAGE] + addend
    state.path_calls[path] += 1
    state.largest_share_ns[path] = max(state.largest_share_ns[path], share_ns)
    state.total_observations += 1
    if state.total_observations % PATH_CALLS_PER_UPDATE == 0:
        _update_bounds(state)
    if actual_ns > BUDGET_NS[path]:
        state.violations += 1
        if state.violations > TOLERATED_VIOLATIONS:
            state.alarm = True
    elif state.violations > 0:
        state.violations -= 1


@jitted
def reset_alarm(state):
    """Clear the alarm and the violation counter."""
    state.alarm = False
    state.violations = 0


@jitted
def worst_case_bound(state, path):
    """Return the worst case of a path in nanoseconds, as of the last update."""
    return state.worst_case_ns[path]


@jitted
def budget(state, path):
    """Return the budget of a path in nanoseconds."""
    return BUDGET_NS[path]


@jitted
def within_budget(state, path):
    """Return whether the worst case of a path keeps to its budget."""
    return state.worst_case_ns[path] <= BUDGET_NS[path]


@jitted
def budget_utilization(state, path):
    """Return the worst case of a path relative to its budget."""
    return float(state.worst_case_ns[path]) / float(BUDGET_NS[path])


@jitted
def bottleneck_stage(state, path):
    """Return the code of a path's costliest stage at present, the first among equals."""
    best, largest = 0, np.uint64(0)
    for stage in range(STAGE_COUNT):
        if _passes(path, stage) and max_observed(state, stage) > largest:
            best, largest = stage, max_observed(state, stage)
    return best


@jitted
def critical_paths(state):
    """Return four path lengths over present maxima: to the second stage, three times to the end.

    The closure of a chain has one path between two stages, so its entry is their saturating sum;
    all but the first path run to the last stage, the last with the overhead of an alarm.
    """
    first = max_observed(state, 0)
    chain = np.uint64(0)
    for stage in range(1, STAGE_COUNT):
        chain = saturating_add_uint64(chain, max_observed(state, stage))
    whole = saturating_add_uint64(first, chain)
    fast = saturating_add_uint64(first, max_observed(state, 1))
    return fast, whole, whole, saturating_add_uint64(whole, ALARM_OVERHEAD_NS)


@jitted
def publication_due(state):
    """Return whether the latest observation is one after which the bounds are published."""
    return state.total_observations % CALLS_PER_PUBLICATION == 0


@jitted
def publish(state):
    """Make the present bounds and violations the ones that the decision path sees."""
    for path in range(PATH_COUNT):
        state.published_ns[path] = state.worst_case_ns[path]
    state.published_violations = state.violations


@jitted
def published(state):
    """Return the bounds and violations that were published last."""
    return PublishedLatency(
        state.published_ns[0],
        state.published_ns[1],
        state.published_ns[2],
        state.published_ns[3],
        state.published_violations,
    )


@jitted
def violation_count(state):
    """Return the leaky count of calls over budget."""
    return state.violations


@jitted
def is_alarmed(state):
    """Return whether the alarm is set."""
    return state.alarm


@jitted
def total_observations(state):
    """Return the number of observations of paths and stages."""
    return state.total_observations


@jitted
def summary(state):
    """Return the full path's worst case and the state of the budget check."""
    return TropicalLatencySummary(
        state.worst_case_ns[2], state.total_observations, state.violations, state.alarm
    )


_path = member(LatencyPath)
_stage = member(CheckStage)


class TropicalLatency(Monitor):
    """Worst-case latency of four paths through the pipeline, composed from its stages.

    Examples
    --------
    >>> monitor = TropicalLatency()
    >>> for call in range(64):
    ...     monitor.observe_path(LatencyPath.FULL, 120 + call % 40)
    >>> monitor.worst_case_bound(LatencyPath.FULL), monitor.within_budget(LatencyPath.FULL)
    (162, True)
    >>> monitor.bottleneck_stage(LatencyPath.FULL)
    <CheckStage.ARENA: 3>
    >>> monitor.publish()
    >>> monitor.published.full
    162
    """

    STATE = STATE
    initialise = init
    observe_path = operation(observe_path, path=_path, actual_ns=uint64)
    observe_stage = operation(observe_stage, stage=integer(0, 2**63 - 1), cost_ns=uint64)
    reset_alarm = operation(reset_alarm)
    worst_case_bound = operation(worst_case_bound, path=_path)
    budget = operation(budget, path=_path)
    within_budget = operation(within_budget, path=_path)
    budget_utilization = operation(budget_utilization, path=_path)
    bottleneck_stage = operation(bottleneck_stage, CheckStage, path=_path)
    max_observed = operation(max_observed, stage=_stage)
    observation_count = operation(observation_count, stage=_stage)
    mean_cost = operation(mean_cost, stage=_stage)
    critical_paths = operation(critical_paths)
    publication_due = reading(publication_due)
    publish = operation(publish)
    published = reading(published)
    violation_count = reading(violation_count)
    is_alarmed = reading(is_alarmed)
    total_observations = reading(total_observations)
    summary = operation(summary)
