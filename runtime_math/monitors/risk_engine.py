"""How suspicious is this call's address and size, ranked among the recent calls of its family?

A fixed score looks at alignment, size and bit density. Each call family keeps its last 256 scores;
their extreme quantiles are the thresholds of the fast path and of the full check, as in split
conformal prediction. A log evidence process collects scores above the upper threshold and latches
an alarm. Its increments are not those of a valid e-process (on a full window the quiet increment
is positive), so the alarm is a heuristic.

References
----------
.. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", Springer, 2005.
.. [2] A. Ramdas, P. Gruenwald, V. Vovk, G. Shafer, "Game-theoretic statistics and safe
       anytime-valid inference", Statist. Sci. 38(4), 2023.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, integer, member, operation, reading, uint64
from runtime_math.numerics.bits import count_ones, leading_zeros, trailing_zeros
from runtime_math.numerics.compilation import jitted

WINDOW = 256
LARGEST_SCORE = 1000
OUTLIER_RATE = 0.01
ALARM_LEVEL = 10.0
SCORES_PER_CALIBRATION = 64
WARMUP_SCORES = 32
DECAY = 0.999
INITIAL_FAST_THRESHOLD = 100
INITIAL_FULL_THRESHOLD = 800

MISALIGNMENT_STEP = 33
CACHE_LINE_BITS = 6
HUGE_SIZE = np.uint64(1 << 20)
LARGE_SIZE = np.uint64(1 << 16)
FEWEST_ADDRESS_BITS = 8
MOST_ADDRESS_BITS = 56

OUTLIER_EVIDENCE = math.log(1.0 / OUTLIER_RATE)
# The quiet increment depends on the window's fill alone.
QUIET_EVIDENCE = np.array(
    [0.0] * WARMUP_SCORES
    + [
        math.log((1.0 - 1.0 / count) / (1.0 - OUTLIER_RATE))
        for count in range(WARMUP_SCORES, WINDOW + 1)
    ]
)


class CallFamily(IntEnum):
    """Families whose calls are scored together; several API families may share one."""

    MEMORY = 0
    STRING = 1
    ALLOCATION = 2
    STDIO = 3
    SOCKET = 4
    THREAD = 5
    SIGNAL = 6
    OTHER = 7


class RiskVerdict(IntEnum):
    """What the score asks for."""

    FAST_PATH = 0
    NORMAL_CHECK = 1
    FULL_CHECK = 2
    ALARM_MODE = 3


CALL_FAMILY_COUNT = len(CallFamily)
VERDICT_COUNT = len(RiskVerdict)

STATE = np.dtype(
    [
        ("scores", np.uint16, (CALL_FAMILY_COUNT, WINDOW)),
        ("write_position", np.int64, (CALL_FAMILY_COUNT,)),
        ("count", np.int64, (CALL_FAMILY_COUNT,)),
        ("calls_since_calibration", np.int64, (CALL_FAMILY_COUNT,)),
        ("fast_threshold", np.int64, (CALL_FAMILY_COUNT,)),
        ("full_threshold", np.int64, (CALL_FAMILY_COUNT,)),
        ("log_evidence", np.float64, (CALL_FAMILY_COUNT,)),
        ("alarm", np.uint8, (CALL_FAMILY_COUNT,)),
        ("total_calls", np.int64),
        ("fast_path_count", np.int64),
        ("full_check_count", np.int64),
        ("alarm_count", np.int64),
    ],
    align=True,
)


class RiskEngineSummary(NamedTuple):
    """Calls and verdicts over all families."""

    total_calls: int
    fast_path_rate: float
    alarm_rate: float


class VerdictCounts(NamedTuple):
    """How often each verdict was recorded."""

    fast_path: int
    normal_check: int
    full_check: int
    alarm_mode: int


@jitted
def init(state):
    """Start with empty windows and thresholds that only extreme scores cross."""
    for family in range(CALL_FAMILY_COUNT):
        for position in range(WINDOW):
            state.scores[family, position] = 0
        state.write_position[family] = 0
        state.count[family] = 0
        state.calls_since_calibration[family] = 0
        state.fast_threshold[family] = INITIAL_FAST_THRESHOLD
        state.full_threshold[family] = INITIAL_FULL_THRESHOLD
        state.log_evidence[family] = 0.0
        state.alarm[family] = 0
    state.total_calls = 0
    state.fast_path_count = 0
    state.full_check_count = 0
    state.alarm_count = 0


@jitted
def score(address, size):
    """Return the suspicion score of a call: misalignment, size and density of address bits."""
    total = (CACHE_LINE_BITS - min(trailing_zeros(address), CACHE_LINE_BITS)) * MISALIGNMENT_STEP
    if size == np.uint64(0):
        total += 200
    elif size > HUGE_SIZE:
        total += 250
    elif size > LARGE_SIZE:
        total += 150
    else:
        total += leading_zeros(size)
    if not FEWEST_ADDRESS_BITS <= count_ones(address) <= MOST_ADDRESS_BITS:
        total += 200
    return min(total, LARGEST_SCORE)


@jitted
def decide(state, family, score):
    """Return the verdict on a score under the family's present thresholds."""
    if state.alarm[family] != 0:
        return 3
    if state.count[family] < WARMUP_SCORES:
        return 1
    if score <= state.fast_threshold[family]:
        return 0
    return 2 if score >= state.full_threshold[family] else 1


@jitted
def _calibrate(state, family):
    """Set the thresholds to the window's lower and upper quantile, one pass for five extremes."""
    count = state.count[family]
    low_rank = math.floor(count * OUTLIER_RATE)
    high_rank = min(math.ceil(count * (1.0 - OUTLIER_RATE)), count - 1)
    smallest = second = third = LARGEST_SCORE
    largest = runner_up = 0
    for position in range(count):
        value = int(state.scores[family, position])
        if value < third:
            third = max(value, second)
            second = min(max(value, smallest), second)
            smallest = min(value, smallest)
        if value > runner_up:
            runner_up = min(value, largest)
            largest = max(value, largest)
    # At most 256 scores: the lower rank is 0, 1 or 2, the upper one last or last but one.
    fast = smallest if low_rank == 0 else (second if low_rank == 1 else third)
    full = largest if high_rank == count - 1 else runner_up
    state.fast_threshold[family] = full // 2 if fast >= full else fast
    state.full_threshold[family] = full


@jitted
def _collect_evidence(state, family, score):
    count = state.count[family]
    if count < WARMUP_SCORES:
        return
    evidence = state.log_evidence[family]
    if score > state.full_threshold[family]:
        evidence += OUTLIER_EVIDENCE
    else:
        evidence += QUIET_EVIDENCE[count]
    if evidence > ALARM_LEVEL:
        state.alarm[family] = 1
    evidence *= DECAY
    if evidence < 0.0:
        evidence = 0.0
        state.alarm[family] = 0
    state.log_evidence[family] = evidence


@jitted
def record(state, family, score):
    """Add a score to the family's window; every 64th one moves the thresholds."""
    position = state.write_position[family]
    state.scores[family, position] = score
    state.write_position[family] = (position + 1) % WINDOW
    state.count[family] = min(state.count[family] + 1, WINDOW)
    state.calls_since_calibration[family] += 1
    if state.calls_since_calibration[family] >= SCORES_PER_CALIBRATION:
        _calibrate(state, family)
        state.calls_since_calibration[family] = 0
    _collect_evidence(state, family, score)


@jitted
def evaluate(state, family, address, size):
    """Score a call, judge it by what came before, then record it; returns the verdict's code."""
    points = score(address, size)
    verdict = decide(state, family, points)
    record(state, family, points)
    state.total_calls += 1
    if verdict == 0:
        state.fast_path_count += 1
    elif verdict == 2:
        state.full_check_count += 1
    elif verdict == 3:
        state.alarm_count += 1
    return verdict


@jitted
def reset_alarm(state, family):
    """Clear a family's alarm and its evidence; the window and the thresholds stay."""
    state.alarm[family] = 0
    state.log_evidence[family] = 0.0


@jitted
def is_alarmed(state, family):
    """Return whether a family's alarm is set."""
    return state.alarm[family] != 0


@jitted
def fast_path_rate(state):
    """Return the share of calls that took the fast path."""
    return state.fast_path_count / state.total_calls if state.total_calls > 0 else 0.0


@jitted
def alarm_rate(state):
    """Return the share of calls judged in alarm."""
    return state.alarm_count / state.total_calls if state.total_calls > 0 else 0.0


@jitted
def summary(state):
    """Return the number of calls and the rates of fast paths and alarms."""
    return RiskEngineSummary(state.total_calls, fast_path_rate(state), alarm_rate(state))


class RiskEngine(Monitor):
    """Suspicion of an (address, size) pair relative to its family's recent calls.

    Examples
    --------
    >>> engine = RiskEngine()
    >>> engine.score(0x7F00FF000010, 200)
    122
    >>> for call in range(65):
    ...     verdict = engine.evaluate(CallFamily.SOCKET, 0x7F00FF000000 + call % 5 * 16, 200)
    >>> verdict
    <RiskVerdict.FAST_PATH: 0>
    >>> engine.is_alarmed(CallFamily.SOCKET)
    False
    """

    STATE = STATE
    initialise = init
    evaluate = operation(
        evaluate, RiskVerdict, family=member(CallFamily), address=uint64, size=uint64
    )
    decide = operation(
        decide, RiskVerdict, family=member(CallFamily), score=integer(0, LARGEST_SCORE)
    )
    record_score = operation(record, family=member(CallFamily), score=integer(0, LARGEST_SCORE))
    reset_alarm = operation(reset_alarm, family=member(CallFamily))
    is_alarmed = operation(is_alarmed, family=member(CallFamily))
    fast_path_rate = reading(fast_path_rate)
    alarm_rate = reading(alarm_rate)
    summary = operation(summary)

    @staticmethod
    def score(address, size):
        """Return the suspicion score of an address and a size, 47 to 648."""
        return score(uint64("address", address), uint64("size", size))


VERDICT_STATE = np.dtype([("counts", np.int64, (VERDICT_COUNT,))], align=True)


@jitted
def init_verdicts(state):
    """Start with no verdict recorded."""
    for verdict in range(VERDICT_COUNT):
        state.counts[verdict] = 0


@jitted
def record_verdict(state, verdict):
    """Count one verdict."""
    state.counts[verdict] += 1


@jitted
def verdict_summary(state):
    """Return the count of each verdict."""
    return VerdictCounts(state.counts[0], state.counts[1], state.counts[2], state.counts[3])


class RiskVerdictCounter(Monitor):
    """Counts of verdicts, for telemetry; no engine feeds it by itself.

    Examples
    --------
    >>> counter = RiskVerdictCounter()
    >>> counter.record_verdict(RiskVerdict.FULL_CHECK)
    >>> counter.summary().full_check
    1
    """

    STATE = VERDICT_STATE
    initialise = init_verdicts
    record_verdict = operation(record_verdict, verdict=member(RiskVerdict))
    summary = operation(verdict_summary)
