"""The bars that the calibrated policy is held to, and how a set of results meets them."""

from collections.abc import Iterator
from typing import NamedTuple

from runtime_math.evaluation.run import CLEAN, Rows

CLEAN_PERCENT = {"strict": 2.0, "hardened": 2.5}
FALSE_ALARMS_PER_100_000 = 1.0
NINE_COST_NS = 15.0
FLIPS = 22.0
MISSED_ADV2_PERCENT = 40.0
RECOVERY_CALLS = 270.0

# Highest median delay, and lowest escalated share of the affected calls where there is a bar.
INCIDENT_BARS = {
    "adv50": (10, 98),
    "adv20": (22, 97),
    "adv5": (120, 75),
    "onefam": (60, 94),
    "rarefam": (250, 82),
    "ramp": (330, 75),
    "burst15": (4, None),
    "lat2": (14, None),
    "contention": (10, None),
    "tail": (150, None),
    "wild": (15, None),
    "oversize": (65, None),
    "overlap": (100, None),
    "pat_cost": (95, None),
    "pat_fam": (165, None),
    "pat_adv": (320, None),
    "clus_adv": (205, None),
}


class Check(NamedTuple):
    """One figure beside its bar."""

    figure: str
    measured: float | None
    bar: float
    at_most: bool

    @property
    def met(self) -> bool:
        """Whether the bar is met."""
        if self.measured is None:
            return False
        return self.measured <= self.bar if self.at_most else self.measured >= self.bar


def _clean_checks(rows: Rows, mode: str) -> Iterator[Check]:
    for row in rows:
        name = f"clean escalation, {row['scenario']} (%)"
        yield Check(name, row["clean_percent"], CLEAN_PERCENT[mode], True)
    if mode != "strict" or not rows:
        return
    alarms = sum(row["false_alarms"] for row in rows)
    per_calls = 1e5 * alarms / sum(row["calls"] for row in rows)
    yield Check("false alarms per 100,000 clean calls", per_calls, FALSE_ALARMS_PER_100_000, True)
    for row in rows:
        if row["scenario"] == "nine":
            yield Check("cost per clean call, nine (ns)", row["cost_ns"], NINE_COST_NS, True)
    flips = sum(row["flips"] for row in rows) / len(rows)
    yield Check("flips per 1,000 clean calls", flips, FLIPS, True)


def _incident_checks(rows: Rows) -> Iterator[Check]:
    for row in rows:
        name = row["scenario"]
        if name in INCIDENT_BARS:
            delay, inside = INCIDENT_BARS[name]
            yield Check(f"{name}: median delay (calls)", row["delay_median"], delay, True)
            if inside is not None:
                yield Check(f"{name}: escalated inside (%)", row["inside_percent"], inside, False)
        if name == "adv2":
            missed = row["missed_percent"]
            yield Check("adv2: missed within 1,500 calls (%)", missed, MISSED_ADV2_PERCENT, True)
    recoveries = [row["recovery_median"] for row in rows]
    if recoveries:
        worst = None if None in recoveries else max(recoveries)
        yield Check("recovery, slowest incident (calls)", worst, RECOVERY_CALLS, True)


def checks(summary: Rows, policy: str = "calibrated") -> list[Check]:
    """Hold a summary to the bars.

    Parameters
    ----------
    summary : list of dict
        As `results.summarise` returns it.
    policy : str, default "calibrated"
        Label of the policy.

    Returns
    -------
    list of Check
        For strict mode all bars, for hardened mode those of clean escalation.
    """
    found = []
    for mode in CLEAN_PERCENT:
        rows = [row for row in summary if row["mode"] == mode and row["policy"] == policy]
        clean = [row for row in rows if row["kind"] == CLEAN]
        prefix = "" if mode == "strict" else f"{mode}: "
        mode_checks = list(_clean_checks(clean, mode))
        if mode == "strict":
            mode_checks += _incident_checks([row for row in rows if row["kind"] != CLEAN])
        found += [check._replace(figure=prefix + check.figure) for check in mode_checks]
    return found
