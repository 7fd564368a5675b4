"""What a calibrated kernel knows and why it decides as it does, for people to read."""

import io
from dataclasses import dataclass

import numpy as np

from runtime_math.calibrated import family_rates, rate_stream, tail_histogram
from runtime_math.calibrated.context_streams import bytes_bin
from runtime_math.calibrated.learnt_rate import summary as rate_summary
from runtime_math.calibrated.policy_state import GLOBAL, SLOT_COUNT
from runtime_math.calibrated.streams import (
    DESCRIPTIONS,
    GLOBAL_COUNT,
    LATENCY_ONLY,
    OWN_COUNT,
    TABLE,
    Stream,
)
from runtime_math.calibrated.token_bucket import MILLITOKENS
from runtime_math.faithful.state import _Fields
from runtime_math.numerics.compilation import interpreted
from runtime_math.types import ApiFamily, RuntimeContext, RuntimeDecision, ValidationProfile

TABLE_WIDTH = 96
SHOWN_EVIDENCE = 0.5


@dataclass(frozen=True)
class Alarm:
    """An alarm that is on.

    Attributes
    ----------
    family : ApiFamily or None
        The family it applies to; None when it applies to all calls.
    cause : Stream
        The stream with most of the evidence.
    raised_call, onset_call : int
        Observation at which it was raised, and the estimate of when the trouble began.
    held : int
        Observations it has lasted (of the family, for a family's alarm).
    remaining : int
        How many more it lasts without new evidence.
    renewals : int
        How often new evidence has prolonged it.
    renewal_evidence : float
        Evidence that prolongs it by another hold.
    latency_only : bool
        Whether it tells of slowness alone, so that only a share of the calls is escalated.
    """

    family: ApiFamily | None
    cause: Stream
    raised_call: int
    onset_call: int
    held: int
    remaining: int
    renewals: int
    renewal_evidence: float
    latency_only: bool

    def __str__(self) -> str:
        scope = "all calls" if self.family is None else f"calls of {self.family.name.lower()}"
        clock = "calls" if self.family is None else "calls of the family"
        share = ", a share of the calls is escalated" if self.latency_only else ""
        return (
            f"{scope}: {DESCRIPTIONS[self.cause]}; since call {self.raised_call:,} "
            f"(onset about {self.onset_call:,}), renewed {self.renewals} times; ends after "
            f"{self.remaining} more {clock} unless evidence reaches "
            f"{self.renewal_evidence:,.0f}{share}"
        )


@dataclass(frozen=True)
class Baseline:
    """A learnt rate and the bound up to which it counts as normal."""

    rate: float
    bound: float
    calls: float


@dataclass(frozen=True)
class Status:
    """State of a calibrated policy.

    Attributes
    ----------
    observations : int
        Outcomes seen.
    warm : bool
        Whether the first learning phase is over.
    threshold : float
        Evidence that raises an alarm.
    evidence : dict of Stream to float
        Weighted evidence of the streams that all families share.
    family_evidence : dict of ApiFamily to float
        Weighted evidence of each family's own streams.
    alarms : tuple of Alarm
        Alarms that are on.
    alarms_raised : int
        Alarms since birth.
    adverse : dict of ApiFamily to Baseline
        Adverse rates.
    rates : dict of Stream to Baseline
        Rates of the other yes-or-no streams.
    cost_ns : dict of (ApiFamily, ValidationProfile) to float
        Usual costs, of what has been seen.
    contention : float
        Usual contention hint.
    tokens : float
        Escalations of merely unusual calls left before more must be earned.
    escalations : int
        Calls escalated since birth.
    over_ceiling : tuple of ApiFamily
        Families whose recent adverse rate is above what may be learnt: their alarm will not end
        by itself.
    """

    observations: int
    warm: bool
    threshold: float
    evidence: dict[Stream, float]
    family_evidence: dict[ApiFamily, float]
    alarms: tuple[Alarm, ...]
    alarms_raised: int
    adverse: dict[ApiFamily, Baseline]
    rates: dict[Stream, Baseline]
    cost_ns: dict[tuple[ApiFamily, ValidationProfile], float]
    contention: float
    tokens: float
    escalations: int
    over_ceiling: tuple[ApiFamily, ...]

    def __str__(self) -> str:
        lines = [
            f"{self.observations:,} outcomes, {'warm' if self.warm else 'still learning'}; "
            f"{self.escalations:,} calls escalated; {self.tokens:.1f} tokens left",
            f"evidence {sum(self.evidence.values()):,.1f} of {self.threshold:,.0f}"
            + _strongest(self.evidence),
        ]
        lines += [f"ALARM {alarm}" for alarm in self.alarms] or ["no alarm"]
        lines += [
            f"{family.name.lower()} is above the learnable adverse rate: raise adverse_ceiling, "
            "or acknowledge it, if this is normal"
            for family in self.over_ceiling
        ]
        return "\n".join([*lines, self._table()])

    def _table(self) -> str:
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD)
        columns = ("family", "adverse rate", "bound", "outcomes", "fast ns", "full ns", "evidence")
        for name in columns:
            table.add_column(name, justify="left" if name == "family" else "right")
        for family, known in self.adverse.items():
            costs = [self.cost_ns.get((family, profile)) for profile in ValidationProfile]
            table.add_row(
                family.name.lower(),
                f"{known.rate:.2%}",
                f"{known.bound:.2%}",
                f"{known.calls:,.0f}",
                *("-" if cost is None else f"{cost:.0f}" for cost in costs),
                f"{self.family_evidence[family]:,.1f}",
            )
        text = io.StringIO()
        console = Console(file=text, width=TABLE_WIDTH, color_system=None)
        console.print(table)
        return text.getvalue().rstrip()


def _strongest(evidence: dict[Stream, float]) -> str:
    stream = max(evidence, key=evidence.__getitem__)
    return f", most of it from {DESCRIPTIONS[stream]}" if evidence[stream] > SHOWN_EVIDENCE else ""


def alarm_of(policy: np.void, slot: int) -> Alarm | None:
    """The alarm of a slot, or None."""
    own = policy["alarms"][slot]
    if not own["active"]:
        return None
    cause = Stream(int(own["cause"]))
    return Alarm(
        family=None if slot == GLOBAL else ApiFamily(slot),
        cause=cause,
        raised_call=int(own["raised_call"]),
        onset_call=int(own["onset_call"]),
        held=int(own["clock"] - own["raised_clock"]),
        remaining=int(own["remaining"]),
        renewals=int(own["renewals"]),
        renewal_evidence=4.0 * float(own["hold"]),
        latency_only=bool(LATENCY_ONLY[cause]),
    )


def _baseline(learnt: np.void) -> Baseline:
    known = interpreted(rate_summary)(_Fields(learnt))
    return Baseline(float(known.rate), float(known.bound), float(known.trials))


def _family_baselines(rates: np.void) -> dict[ApiFamily, Baseline]:
    summary = interpreted(family_rates.summary)
    fields = _Fields(rates)
    known = {family: summary(fields, int(family)) for family in ApiFamily}
    return {
        family: Baseline(float(item.rate), float(item.bound), float(item.trials))
        for family, item in known.items()
    }


def _rate_baselines(policy: np.void) -> dict[Stream, Baseline]:
    return {
        entry.stream: _baseline(policy[name]["learnt"])
        for entry in sorted(TABLE, key=lambda entry: entry.stream)
        for name, dtype, *_ in entry.detector.fields
        if dtype == rate_stream.STATE
    }


def _usual_costs(policy: np.void) -> dict[tuple[ApiFamily, ValidationProfile], float]:
    costs = {}
    for family in ApiFamily:
        for profile in ValidationProfile:
            offset = policy["offsets"][profile, family]
            if offset["count"] > 0:
                octaves = float(offset["level"] + policy["load"]["level"])
                costs[family, profile] = 2.0**octaves - 1.0
    return costs


def shared_evidence(policy: np.void) -> dict[Stream, float]:
    """Weighted evidence of each shared stream."""
    return {Stream(index): float(policy["evidence"][index]) for index in range(GLOBAL_COUNT)}


def status_of(policy: np.void) -> Status:
    """Status from the policy's record.

    Parameters
    ----------
    policy : numpy.void of dtype `policy_state.STATE`

    Returns
    -------
    Status
    """
    adverse = _family_baselines(policy["rates"])
    ceilings = policy["rates"]["ceiling"]
    found = (alarm_of(policy, slot) for slot in range(SLOT_COUNT))
    return Status(
        observations=int(policy["observations"]),
        warm=bool(policy["observations"] > policy["warm_until"]),
        threshold=float(policy["threshold"]),
        evidence=shared_evidence(policy),
        family_evidence={
            family: float(policy["family_evidence"][family].sum()) for family in ApiFamily
        },
        alarms=tuple(alarm for alarm in found if alarm is not None),
        alarms_raised=int(policy["alarms"]["count"].sum()),
        adverse=adverse,
        rates=_rate_baselines(policy),
        cost_ns=_usual_costs(policy),
        contention=2.0 ** float(policy["contention_level"]["level"]) - 1.0,
        tokens=float(policy["bucket"]["millitokens"] / MILLITOKENS),
        escalations=int(policy["escalations"]),
        over_ceiling=tuple(
            family
            for family in ApiFamily
            if policy["recent_adverse"][family] > 1.2 * ceilings[family]
            and (policy["alarms"]["active"][[family, GLOBAL]]).any()
        ),
    )


@dataclass(frozen=True)
class CalibratedExplanation:
    """Why a call would be decided as it would be now.

    Attributes
    ----------
    context : RuntimeContext
        The call.
    decision : RuntimeDecision
        What `decide` would return.
    reason : str
        What the decision rests on.
    risk_evidence, threshold : float
        Evidence that bears on the call's family, and what raises an alarm.
    evidence : dict of Stream to float
        Evidence by stream, the family's own streams included.
    alarm : Alarm or None
        The alarm the call is under.
    size_p_value : float
        How unusual the size is for the family (1 when nothing is known).
    tokens : float
        Tokens left before the call.
    """

    context: RuntimeContext
    decision: RuntimeDecision
    reason: str
    risk_evidence: float
    threshold: float
    evidence: dict[Stream, float]
    alarm: Alarm | None
    size_p_value: float
    tokens: float

    def __str__(self) -> str:
        decision = self.decision
        lines = [
            f"{decision.profile.name.lower()}, {decision.action.name.lower()}: {self.reason}",
            f"risk {decision.risk_upper_bound_ppm:,} ppm from evidence "
            f"{self.risk_evidence:,.1f} of {self.threshold:,.0f}",
        ]
        ranked = sorted(self.evidence.items(), key=lambda item: -item[1])
        lines += [
            f"  {value:12,.2f}  {DESCRIPTIONS[stream]}" for stream, value in ranked if value > 0.01
        ]
        if self.alarm is not None:
            lines.append(f"alarm: {self.alarm}")
        lines.append(f"size p-value {self.size_p_value:.4f}, {self.tokens:.1f} tokens left")
        return "\n".join(lines)


def explain(
    before: np.void,
    after: np.void,
    context: RuntimeContext,
    decision: RuntimeDecision,
    slot: int,
    reason: str,
) -> CalibratedExplanation:
    """Build an explanation from the policy's record before and after deciding on a copy."""
    evidence = shared_evidence(after)
    family = int(context.family)
    own = after["family_evidence"][family]
    for place in range(OWN_COUNT):
        evidence[Stream(GLOBAL_COUNT + place)] = float(own[place])
    histogram = _Fields(before["bytes"][family])
    size = int(bytes_bin(np.uint64(context.requested_bytes)))
    return CalibratedExplanation(
        context=context,
        decision=decision,
        reason=reason,
        risk_evidence=float(after["shared_evidence"] + own.sum()),
        threshold=float(before["threshold"]),
        evidence=evidence,
        alarm=None if slot < 0 else alarm_of(before, slot),
        size_p_value=float(interpreted(tail_histogram.p_value)(histogram, size, 0.5)),
        tokens=float(before["bucket"]["millitokens"] / MILLITOKENS),
    )
