"""The calibrated policy: quiet on clean traffic, fast on real trouble, and it comes back.

Every stream of evidence is an e-detector under the null "still like this traffic's own past, up
to a stated tolerance", so their weighted sum E is one, and the alarm at E >= A has a mean time to
a false alarm of at least A calls while the nulls hold. Outside alarms a call is escalated by a
rare exploration or, within the bound of a token bucket, for being unusual itself. The risk in ppm
is E / (E + odds), scaled so that reaching the full-validation trigger of the mode and raising an
alarm are the same event.

References
----------
.. [1] J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
       change detection", New England J. Statist. Data Sci. 2(2), 2023.
.. [2] V. Vovk, R. Wang, "E-values: calibration, combination and applications", Ann. Statist.
       49(3), 2021.
.. [3] S. M. Ross, "Stochastic Processes", 2nd ed., 1996, ch. 3 (renewal reward, for the share of
       calls in a false alarm).
"""

import numpy as np

from runtime_math.calibrated import alarm, lottery, quarantine_queue, token_bucket
from runtime_math.calibrated.context import absorb_context
from runtime_math.calibrated.outcome import absorb_outcome, absorb_overlap
from runtime_math.calibrated.policy_state import (
    BYTE_LIMIT,
    FULL_TRIGGER_PPM,
    GLOBAL,
    REPAIR_TRIGGER_PPM,
    restart_all,
    restart_family,
    restart_latency,
)
from runtime_math.calibrated.streams import (
    GLOBAL_COUNT,
    HIGHEST_LEVEL,
    LATENCY_ONLY,
    OWN_COUNT,
    STREAM_COUNT,
    focus_of,
    focused_evidence,
)
from runtime_math.decision import pack_decision
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT, PPM, SafetyLevel

HARDENED = int(SafetyLevel.HARDENED)

EXPLORATION = 1.0 / 256.0
WARM_EXPLORATION = 1.0 / 16.0
LARGE_WRITE_BYTES = np.uint64(4096)
UNUSUAL_P = 0.002
UNUSUAL_COUNT = 500.0
# The onset of an alarm is dated by the last call at which its evidence was below this share.
QUIET_SHARE = 1.0 / 256.0

# Which streams may be the cause of an alarm: row by row any, those of slowness, the others.
ANY, SLOWNESS, SERIOUS = 0, 1, 2
ELIGIBLE = np.array([np.ones(STREAM_COUNT, np.bool_), LATENCY_ONLY, ~LATENCY_ONLY])

NO_REASON = 0
ALARM = 1
EXPLORED = 2
UNUSUAL = 3


@jitted
def governing_slot(state, family):
    """Slot of the alarm that a call of a family is under, or -1."""
    if state.alarms[GLOBAL].active:
        own = state.alarms[family]
        if own.active and LATENCY_ONLY[state.alarms[GLOBAL].cause]:
            return family
        return GLOBAL
    return family if state.alarms[family].active else -1


@jitted
def in_alarm(state, family):
    """Whether an alarm applies to calls of a family."""
    return state.alarms[GLOBAL].active or state.alarms[family].active


@jitted
def escalation_reason(state, slot, context, p_bytes):
    """Why a call is to be fully validated; 0 when it is not."""
    luck = lottery.draw(state.lottery)
    if slot >= 0:
        if not LATENCY_ONLY[state.alarms[slot].cause]:
            return ALARM
        return ALARM if luck < state.latency_share else NO_REASON
    warm = state.decisions <= state.warm_until_decision
    if luck < (WARM_EXPLORATION if warm else EXPLORATION):
        state.explorations += 1
        return EXPLORED
    sizes = state.bytes[context.family]
    unusual = (
        context.bloom_negative
        or (context.is_write and context.requested_bytes > LARGE_WRITE_BYTES)
        or (p_bytes < UNUSUAL_P and sizes.total > UNUSUAL_COUNT * sizes.unit)
    )
    return UNUSUAL if unusual and token_bucket.take(state.bucket) else NO_REASON


@jitted
def own_evidence(state, family):
    """Return the evidence of a family's own streams: of trouble, and of slowness alone."""
    serious = 0.0
    latency = 0.0
    for own in range(OWN_COUNT):
        if LATENCY_ONLY[GLOBAL_COUNT + own]:
            latency += state.family_evidence[family, own]
        else:
            serious += state.family_evidence[family, own]
    return serious, latency


@jitted
def risk_ppm(state, mode, family, slot, escalated):
    """Evidence as a risk: at least the mode's trigger exactly when an alarm validates the call."""
    serious, latency = own_evidence(state, family)
    evidence = state.shared_evidence + (serious + latency)
    trigger = FULL_TRIGGER_PPM[mode]
    ppm = np.int64(PPM * (evidence / (evidence + state.odds_scale)))
    if slot >= 0 and escalated:
        return max(ppm, trigger)
    return min(ppm, trigger - 1)


@jitted
def decide_packed(state, mode, context):
    """Decide one call; the decision comes as one integer (see `decision`)."""
    state.decisions += 1
    token_bucket.refill(state.bucket)
    p_bytes = absorb_context(state, mode, context)
    family = context.family
    slot = governing_slot(state, family)
    reason = escalation_reason(state, slot, context, p_bytes)
    escalated = reason != NO_REASON
    risk = risk_ppm(state, mode, family, slot, escalated)
    profile = 1 if escalated else 0
    action = profile
    healing = 0
    refused = context.requested_bytes > BYTE_LIMIT[mode] or (
        context.is_write and not escalated and risk > REPAIR_TRIGGER_PPM[mode]
    )
    if refused:
        action = 2 if mode == HARDENED else 3
        healing = 1 if mode == HARDENED else 0
    state.escalations += 1 if escalated or refused else 0
    return pack_decision(mode, family, profile, action, healing, risk)


@jitted
def sum_evidence(state):
    """Return the evidence of trouble and of slowness alone, families in alarm left out.

    The part that all families share is kept for the risk of the next decisions.
    """
    serious = 0.0
    latency = 0.0
    for stream in range(GLOBAL_COUNT):
        if LATENCY_ONLY[stream]:
            latency += state.evidence[stream]
        else:
            serious += state.evidence[stream]
    state.shared_evidence = serious + latency
    for family in range(FAMILY_COUNT):
        if not state.alarms[family].active:
            own_serious, own_latency = own_evidence(state, family)
            serious += own_serious
            latency += own_latency
    return serious, latency


@jitted
def strongest_cause(state, slot, kind):
    """Return the stream with the largest share of a slot's evidence, among those of a kind."""
    first = 0 if slot == GLOBAL else GLOBAL_COUNT
    count = GLOBAL_COUNT if slot == GLOBAL else OWN_COUNT
    cause = first
    largest = -1.0
    for place in range(count):
        own = state.evidence[place] if slot == GLOBAL else state.family_evidence[slot, place]
        if own > largest and ELIGIBLE[kind, first + place]:
            largest = own
            cause = first + place
    return cause


@jitted
def renewing_evidence(state, slot, own, evidence):
    """Evidence for a renewal: half of it as always, half on what raised the alarm.

    The weights were fixed when the detectors restarted, so this is an e-detector too.
    """
    return 0.5 * (evidence + focused_evidence(state, slot, own.cause, own.focus))


@jitted
def renew(state, slot, cause):
    """Hold an alarm for another hold."""
    alarm.renew(state.alarms[slot], cause, focus_of(state, slot, cause))


@jitted
def raise_slot(state, slot):
    """Raise an alarm; what led to it is neither evidence for the next nor ever learnt."""
    cause = strongest_cause(state, slot, ANY)
    alarm.raise_alarm(
        state.alarms[slot],
        cause,
        focus_of(state, slot, cause),
        state.observations,
        state.quiet_call[slot] + 1,
        HIGHEST_LEVEL[cause],
    )
    if slot == GLOBAL:
        quarantine_queue.void_all(state.contexts)
        quarantine_queue.void_all(state.outcomes)
    else:
        quarantine_queue.void_family(state.contexts, slot)
        quarantine_queue.void_family(state.outcomes, slot)
    restart_all(state)


@jitted
def widest_family(state):
    """Return the family with most evidence among those not in alarm, and that evidence."""
    widest = 0
    largest = -1.0
    for family in range(FAMILY_COUNT):
        serious, latency = own_evidence(state, family)
        own = serious + latency
        if own > largest and not state.alarms[family].active:
            widest = family
            largest = own
    return widest, largest


@jitted
def restart_slot(state, slot):
    """Forget the evidence of a slot."""
    if slot == GLOBAL:
        restart_all(state)
    else:
        restart_family(state, slot)


@jitted
def tick_serious(state, slot, own, finished, serious, latency):
    """Let an alarm with a serious cause be renewed, fade to one of slowness, or end."""
    needed = alarm.renewal_evidence(own)
    if renewing_evidence(state, slot, own, serious) >= needed:
        renew(state, slot, strongest_cause(state, slot, SERIOUS))
        restart_slot(state, slot)
    elif finished and latency >= needed:
        renew(state, slot, strongest_cause(state, slot, SLOWNESS))
        restart_latency(state, slot)
    elif finished:
        alarm.end(own)
        restart_slot(state, slot)


@jitted
def tick_latency(state, slot, own, finished, serious, latency):
    """Let an alarm of slowness turn serious, be renewed, or end.

    The serious streams run on undisturbed: renewals by a long storm must not wipe out what
    they gather meanwhile.
    """
    if serious >= state.threshold:
        renew(state, slot, strongest_cause(state, slot, SERIOUS))
        restart_slot(state, slot)
    elif renewing_evidence(state, slot, own, latency) >= alarm.renewal_evidence(own):
        renew(state, slot, strongest_cause(state, slot, SLOWNESS))
        restart_latency(state, slot)
    elif finished:
        alarm.end(own)
        restart_latency(state, slot)


@jitted
def tick_slot(state, slot, serious, latency):
    """Let the clock of a slot run, and its alarm with it."""
    own = state.alarms[slot]
    finished = alarm.tick(own)
    if not own.active:
        return
    if LATENCY_ONLY[own.cause]:
        tick_latency(state, slot, own, finished, serious, latency)
    else:
        tick_serious(state, slot, own, finished, serious, latency)


@jitted
def review(state, family):
    """Raise, renew and end alarms after an outcome of a family."""
    if state.observations <= state.family_quiet_until[family]:
        restart_family(state, family)
    quiet = QUIET_SHARE * state.threshold
    serious, latency = own_evidence(state, family)
    if serious + latency < quiet:
        state.quiet_call[family] = state.observations
    tick_slot(state, family, serious, latency)
    serious, latency = sum_evidence(state)
    total = serious + latency
    if total < quiet:
        state.quiet_call[GLOBAL] = state.observations
    if state.alarms[GLOBAL].active:
        tick_slot(state, GLOBAL, serious, latency)
        return
    state.alarms[GLOBAL].clock += 1
    if total < state.threshold:
        return
    if state.observations <= state.quiet_until:
        restart_all(state)
        return
    widest, largest = widest_family(state)
    raise_slot(state, widest if largest >= 0.5 * total else GLOBAL)


@jitted
def observe(state, family, profile, cost_ns, adverse):
    """Feed the outcome of one call."""
    state.observations += 1
    absorb_outcome(state, family, profile, cost_ns, adverse)
    review(state, family)


@jitted
def note_overlap(state, consistent):
    """Feed the result of one overlap check."""
    absorb_overlap(state, consistent)
