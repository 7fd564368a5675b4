"""The record of the calibrated policy: every stream's detectors, baselines, queues and alarms.

Composed of the records of the monitors beside it, as the faithful kernel's record is of its own.
Nothing lives outside it, so a policy can be copied, pickled, shared and replayed as a value.
"""

import math

import numpy as np

from runtime_math.calibrated import (
    alarm,
    excess_mean,
    family_rates,
    ladder,
    learnt_rate,
    level,
    lottery,
    page_novelty,
    quarantine_queue,
    rate_detector,
    tail_histogram,
    token_bucket,
    transition_order,
)
from runtime_math.calibrated.streams import GLOBAL_COUNT, LATENCY_ONLY
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT, PROFILE_COUNT

# Calls until the policy trusts what it has learnt, and until it may raise an alarm at all.
WARM_CALLS = 2048
FIRST_ALARM_CALL = 512

GLOBAL_HOLD = 128
FAMILY_HOLD = 56
GLOBAL = FAMILY_COUNT
SLOT_COUNT = FAMILY_COUNT + 1

# Mean length of a false alarm: a hold, renewed with probability at most 1/4.
MEAN_ALARM_CALLS = GLOBAL_HOLD / (1.0 - 1.0 / 4.0)

# Full-validation trigger, repair trigger (ppm) and byte limit of the modes; the triggers are the
# faithful kernel's at birth, and here they stay.
FULL_TRIGGER_PPM = np.array([220_000, 80_000, 900_000])
REPAIR_TRIGGER_PPM = np.array([980_000, 140_000, 980_000])
BYTE_LIMIT = np.array([1 << 27, 1 << 28, (2**64 - 1) // 4], np.uint64)
PPM = 1_000_000

CONTENTION_MEMORY = 128.0
LOAD_MEMORY = 32.0
OFFSET_MEMORY = 64.0
RECENT_MEMORY = 32.0
CONTENTION_BINS = 128
BYTES_BINS = 128
BYTES_HISTOGRAM = tail_histogram.histogram_state(BYTES_BINS)
CONTENTION_HISTOGRAM = tail_histogram.histogram_state(CONTENTION_BINS)

SINGLE = int(rate_detector.Kind.SINGLE)
RARE = int(rate_detector.Kind.RARE)
FAULT_KIND = int(rate_detector.Kind.FAULT)
POOLED = int(rate_detector.Kind.POOLED)

# Margins, in standard errors, between a learnt mean and the null it gives.
RATE_MARGIN = 2.0
LOWEST_RATE = 5e-4

# Times a family, or another symbol, must have been learnt before its place in the order counts.
KNOWN_FAMILY = 120.0
KNOWN_SYMBOL = 10.0
FAMILY_MARGIN = 1.5
TAIL_MARGIN = 2.0

RATE_STREAM = np.dtype(
    [
        ("learnt", learnt_rate.STATE),
        ("ratios", rate_detector.RATIOS),
        ("evidence", rate_detector.EVIDENCE),
    ],
    align=True,
)

DEFAULT_ALPHA_ALARM = 0.01
DEFAULT_ADVERSE_CEILING = 0.05
DEFAULT_LATENCY_SHARE = 0.125

STATE = np.dtype(
    [
        ("mode", np.int64),
        ("alpha_alarm", np.float64),
        ("adverse_ceiling", np.float64),
        ("latency_share", np.float64),
        ("odds_scale", np.float64),
        ("threshold", np.float64),
        ("decisions", np.int64),
        ("observations", np.int64),
        ("warm_until_decision", np.int64),
        ("warm_until", np.int64),
        ("quiet_until", np.int64),
        ("escalations", np.int64),
        ("explorations", np.int64),
        ("previous_family", np.int64),
        ("last_adverse", np.int64),
        ("pending_consistent", np.int64),
        ("pending_inconsistent", np.int64),
        ("cost_average", np.float64),
        ("cost_symbol", np.int64),
        ("shared_evidence", np.float64),
        ("evidence", np.float64, (GLOBAL_COUNT,)),
        ("family_evidence", np.float64, (FAMILY_COUNT, 2)),
        ("quiet_call", np.int64, (SLOT_COUNT,)),
        ("family_quiet_until", np.int64, (FAMILY_COUNT,)),
        ("recent_adverse", np.float64, (FAMILY_COUNT,)),
        ("recent_cost", level.STATE, (PROFILE_COUNT, FAMILY_COUNT)),
        ("lottery", lottery.STATE),
        ("bucket", token_bucket.STATE),
        ("bloom", RATE_STREAM),
        ("novel", RATE_STREAM),
        ("stray", RATE_STREAM),
        ("huge", RATE_STREAM),
        ("fault", RATE_STREAM),
        ("rates", family_rates.STATE),
        ("adverse", rate_detector.EVIDENCE),
        ("family_ratios", rate_detector.RATIOS, (FAMILY_COUNT,)),
        ("family_adverse", rate_detector.EVIDENCE, (FAMILY_COUNT,)),
        ("load", level.STATE),
        ("offsets", level.STATE, (PROFILE_COUNT, FAMILY_COUNT)),
        ("costs", tail_histogram.STATE, (PROFILE_COUNT,)),
        ("cost_ladder", ladder.STATE),
        ("family_cost_ladder", ladder.STATE, (FAMILY_COUNT,)),
        ("tail", excess_mean.STATE),
        ("contention_level", level.STATE),
        ("contention", CONTENTION_HISTOGRAM),
        ("contention_ladder", ladder.STATE),
        ("bytes", BYTES_HISTOGRAM, (FAMILY_COUNT,)),
        ("bytes_ladder", ladder.STATE),
        ("family_order", transition_order.STATE),
        ("cost_order", transition_order.STATE),
        ("adverse_gap", transition_order.STATE),
        ("contexts", quarantine_queue.STATE),
        ("outcomes", quarantine_queue.STATE),
        ("pages", page_novelty.STATE),
        ("alarms", alarm.STATE, (SLOT_COUNT,)),
    ],
    align=True,
)


@jitted
def init_rate_stream(stream, prior_rate, prior_trials, kind):
    """Start a Bernoulli stream from its prior."""
    learnt_rate.init(stream.learnt, prior_rate, prior_trials, RATE_MARGIN, LOWEST_RATE, 0.6)
    rate_detector.set_ratios(stream.ratios, stream.learnt.bound, kind)
    rate_detector.restart(stream.evidence)


@jitted
def set_family_ratios(state):
    """Judge every family by its present bound."""
    for family in range(FAMILY_COUNT):
        rate_detector.set_ratios(state.family_ratios[family], state.rates.bound[family], SINGLE)


@jitted
def restart_family(state, family):
    """Forget the evidence of one family."""
    rate_detector.restart(state.family_adverse[family])
    ladder.init(state.family_cost_ladder[family])
    state.family_evidence[family, 0] = 0.0
    state.family_evidence[family, 1] = 0.0


@jitted
def restart_latency(state, slot):
    """Forget a slot's evidence of slowness; all other evidence stays."""
    for family in range(FAMILY_COUNT):
        if slot in (GLOBAL, family):
            ladder.init(state.family_cost_ladder[family])
            state.family_evidence[family, 1] = 0.0
    if slot == GLOBAL:
        ladder.init(state.cost_ladder)
        ladder.init(state.contention_ladder)
        excess_mean.forget(state.tail)
        for stream in range(GLOBAL_COUNT):
            if LATENCY_ONLY[stream]:
                state.evidence[stream] = 0.0


@jitted
def restart_all(state):
    """Forget all evidence; what was learnt stays."""
    rate_detector.restart(state.adverse)
    rate_detector.restart(state.bloom.evidence)
    rate_detector.restart(state.novel.evidence)
    rate_detector.restart(state.stray.evidence)
    rate_detector.restart(state.huge.evidence)
    rate_detector.restart(state.fault.evidence)
    ladder.init(state.cost_ladder)
    ladder.init(state.contention_ladder)
    ladder.init(state.bytes_ladder)
    excess_mean.forget(state.tail)
    transition_order.forget(state.family_order)
    transition_order.forget(state.cost_order)
    transition_order.forget(state.adverse_gap)
    for family in range(FAMILY_COUNT):
        restart_family(state, family)
    for stream in range(GLOBAL_COUNT):
        state.evidence[stream] = 0.0
    state.shared_evidence = 0.0


@jitted
def threshold_of(state, mode):
    """Evidence at which the risk of a mode reaches its full-validation trigger."""
    trigger = FULL_TRIGGER_PPM[mode] / PPM
    return state.odds_scale * trigger / (1.0 - trigger)


@jitted
def _init_settings(state, mode, alpha_alarm, adverse_ceiling, latency_share):
    state.mode = mode
    state.alpha_alarm = alpha_alarm
    state.adverse_ceiling = adverse_ceiling
    state.latency_share = latency_share
    trigger = FULL_TRIGGER_PPM[0] / PPM
    needed = MEAN_ALARM_CALLS * (1.0 / alpha_alarm - 1.0)
    state.odds_scale = needed * (1.0 - trigger) / trigger
    state.threshold = threshold_of(state, mode)
    state.decisions = 0
    state.observations = 0
    state.warm_until_decision = WARM_CALLS
    state.warm_until = WARM_CALLS
    state.quiet_until = FIRST_ALARM_CALL
    state.escalations = 0
    state.explorations = 0


@jitted
def init(state, mode, alpha_alarm, adverse_ceiling, latency_share):
    """Start knowing only the priors."""
    _init_settings(state, mode, alpha_alarm, adverse_ceiling, latency_share)
    state.previous_family = -1
    state.last_adverse = 0
    state.pending_consistent = 0
    state.pending_inconsistent = 0
    state.cost_average = 0.0
    state.cost_symbol = -1
    lottery.init(state.lottery, lottery.DEFAULT_SEED)
    token_bucket.init(state.bucket)
    init_rate_stream(state.bloom, 0.01, 100.0, SINGLE)
    init_rate_stream(state.novel, 0.05, 100.0, SINGLE)
    init_rate_stream(state.stray, 0.001, 100.0, SINGLE)
    init_rate_stream(state.huge, 0.0005, 10.0, RARE)
    init_rate_stream(state.fault, 0.0005, 1000.0, FAULT_KIND)
    family_rates.init(state.rates, FAMILY_MARGIN, adverse_ceiling)
    set_family_ratios(state)
    for profile in range(PROFILE_COUNT):
        tail_histogram.init(state.costs[profile])
        for family in range(FAMILY_COUNT):
            level.init(state.offsets[profile, family], OFFSET_MEMORY)
            level.init(state.recent_cost[profile, family], RECENT_MEMORY)
    for family in range(FAMILY_COUNT):
        tail_histogram.init(state.bytes[family])
        state.recent_adverse[family] = 0.0
        state.family_quiet_until[family] = 0
    excess_mean.init(state.tail, TAIL_MARGIN)
    level.init(state.load, LOAD_MEMORY)
    level.start(state.load, 0.0)
    level.init(state.contention_level, CONTENTION_MEMORY)
    tail_histogram.init(state.contention)
    transition_order.init(state.family_order, FAMILY_COUNT, 1.0 / 64.0, 1.5, KNOWN_FAMILY)
    transition_order.init(state.cost_order, 2, 1.0 / 16.0, 1.2, KNOWN_SYMBOL)
    transition_order.init(state.adverse_gap, 8, 1.0 / 16.0, 1.5, KNOWN_SYMBOL)
    quarantine_queue.init(state.contexts)
    quarantine_queue.init(state.outcomes)
    page_novelty.init(state.pages)
    for slot in range(SLOT_COUNT):
        alarm.init(state.alarms[slot], GLOBAL_HOLD if slot == GLOBAL else FAMILY_HOLD)
        state.quiet_call[slot] = 0
    restart_all(state)


def alarm_evidence(alpha_alarm=DEFAULT_ALPHA_ALARM):
    """Evidence that raises an alarm in strict mode: the mean time to a false one, in calls.

    Examples
    --------
    >>> round(alarm_evidence(0.01))
    16896
    """
    if not (math.isfinite(alpha_alarm) and 0.0 < alpha_alarm < 1.0):
        raise ValueError(f"alpha_alarm must be between 0 and 1, got {alpha_alarm}")
    return MEAN_ALARM_CALLS * (1.0 / alpha_alarm - 1.0)
