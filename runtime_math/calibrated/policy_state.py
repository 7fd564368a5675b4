"""The record of the calibrated policy: every stream's detectors, baselines, queues and alarms.

Composed of the records of the monitors beside it, as the faithful kernel's record is of its own.
Nothing lives outside it, so a policy can be copied, pickled, shared and replayed as a value.
"""

import math

import numpy as np

from runtime_math.calibrated import (
    alarm,
    level,
    lottery,
    page_novelty,
    quarantine_queue,
    token_bucket,
)
from runtime_math.calibrated.streams import (
    FIELDS,
    GLOBAL_COUNT,
    LATENCY_ONLY,
    OWN_COUNT,
    restart_own,
    restart_own_latency,
    restart_shared,
    restart_shared_latency,
    start_detectors,
)
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT, PPM, PROFILE_COUNT

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

RECENT_MEMORY = 32.0

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
        ("family_evidence", np.float64, (FAMILY_COUNT, OWN_COUNT)),
        ("quiet_call", np.int64, (SLOT_COUNT,)),
        ("family_quiet_until", np.int64, (FAMILY_COUNT,)),
        ("recent_adverse", np.float64, (FAMILY_COUNT,)),
        ("recent_cost", level.STATE, (PROFILE_COUNT, FAMILY_COUNT)),
        ("lottery", lottery.STATE),
        ("bucket", token_bucket.STATE),
        *FIELDS,
        ("contexts", quarantine_queue.STATE),
        ("outcomes", quarantine_queue.STATE),
        ("pages", page_novelty.STATE),
        ("alarms", alarm.STATE, (SLOT_COUNT,)),
    ],
    align=True,
)


@jitted
def restart_family(state, family):
    """Forget the evidence of one family."""
    restart_own(state, family)
    for own in range(OWN_COUNT):
        state.family_evidence[family, own] = 0.0


@jitted
def restart_latency(state, slot):
    """Forget a slot's evidence of slowness; all other evidence stays."""
    for family in range(FAMILY_COUNT):
        if slot in (GLOBAL, family):
            restart_own_latency(state, family)
            for own in range(OWN_COUNT):
                if LATENCY_ONLY[GLOBAL_COUNT + own]:
                    state.family_evidence[family, own] = 0.0
    if slot == GLOBAL:
        restart_shared_latency(state)
        for stream in range(GLOBAL_COUNT):
            if LATENCY_ONLY[stream]:
                state.evidence[stream] = 0.0


@jitted
def restart_all(state):
    """Forget all evidence; what was learnt stays."""
    restart_shared(state)
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
    start_detectors(state)
    for family in range(FAMILY_COUNT):
        for profile in range(PROFILE_COUNT):
            level.init(state.recent_cost[profile, family], RECENT_MEMORY)
        state.recent_adverse[family] = 0.0
        state.family_quiet_until[family] = 0
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
