"""Incidents: what goes wrong, from which call to which.

An incident is a function that changes the window of a `Traffic` that it is given: `window` holds
exactly the calls from start to end (a view, so writing changes the scenario), `random` its own
source of draws. To add one:

    @incident("slowwrites", "writes cost five times as much")
    def _slow_writes(window, random):
        slow = window["is_write"]
        window["cost_factor"][slow] *= 5.0
        window["bad"][slow] = True

Every call of the window counts as affected unless the function says otherwise through
``window["affected"]``; ``window["bad"]`` marks calls that are themselves adverse, wild, oversized
or faulty. An incident on another base than "nine", or with another length, says so in the
decorator.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from runtime_math.records import Records
from runtime_math.scenarios import traffic as draw
from runtime_math.types import FAMILY_COUNT

Apply: TypeAlias = Callable[[Records, np.random.Generator], None]

INCIDENTS: dict[str, "Incident"] = {}


@dataclass(frozen=True)
class Incident:
    """A kind of trouble.

    Parameters
    ----------
    name, description : str
        What it is called on the command line, and one line on what changes.
    apply : callable
        ``apply(window, random)`` changes the calls of the window in place.
    base : str
        Clean base it happens on when none is named.
    length : int
        Calls from start to end when no end is given.
    grace : int
        Calls after the end within which a detection still counts.
    one_family : bool
        Whether one family alone is affected: delays are then counted from the start to the first
        call of that family in alarm.
    """

    name: str
    description: str
    apply: Apply
    base: str = "nine"
    length: int = 1500
    grace: int = 0
    one_family: bool = False


def incident(name: str, description: str, **properties: Any) -> Callable[[Apply], Apply]:
    """Register the decorated ``apply(window, random)`` as an incident."""

    def register(function: Apply) -> Apply:
        INCIDENTS[name] = Incident(name, description, function, **properties)
        return function

    return register


def _set_adverse(window: Records, adverse: npt.NDArray[np.bool_]) -> None:
    window["adverse"] = adverse
    window["bad"] |= adverse


def _adverse_at(rate: float) -> Apply:
    def apply(window: Records, random: np.random.Generator) -> None:
        _set_adverse(window, draw.draw_adverse(random, len(window), rate))

    return apply


for _percent in (2, 5, 20, 50):
    incident(f"adv{_percent}", f"{_percent} % of the calls are adverse")(
        _adverse_at(_percent / 100)
    )


@incident("ramp", "the adverse rate rises from 0.5 % to 20 %")
def _ramp(window: Records, random: np.random.Generator) -> None:
    rate = np.linspace(draw.ADVERSE_RATE, 0.20, len(window), endpoint=False)
    _set_adverse(window, draw.draw_adverse(random, len(window), rate))


def _adverse_in_family(family: int) -> Apply:
    def apply(window: Records, random: np.random.Generator) -> None:
        own = window["family"] == family
        struck = draw.draw_adverse(random, len(window), 0.30)
        window["affected"] = own
        _set_adverse(window, np.where(own, struck, window["adverse"]))
        window["bad"] &= own

    return apply


incident("onefam", "30 % adverse in family 2 (a fifth of the calls) alone", one_family=True)(
    _adverse_in_family(2)
)
incident("rarefam", "30 % adverse in family 7 (a twentieth of the calls) alone", one_family=True)(
    _adverse_in_family(7)
)


@incident("burst15", "15 adverse calls in a row, then over", length=15, grace=200)
def _burst(window: Records, random: np.random.Generator) -> None:
    _set_adverse(window, np.ones(len(window), dtype=bool))


@incident("lat13", "costs rise to 1.3 times")
def _latency_13(window: Records, random: np.random.Generator) -> None:
    window["cost_factor"] = 1.3


@incident("lat2", "costs double")
def _latency_2(window: Records, random: np.random.Generator) -> None:
    window["cost_factor"] = 2.0


@incident("contention", "mean contention 64, costs 1.5 times")
def _contention(window: Records, random: np.random.Generator) -> None:
    window["contention_hint"] = draw.draw_contention(random, len(window), 64.0)
    window["cost_factor"] = 1.5


@incident("wild", "30 % of the calls go to unknown addresses")
def _wild(window: Records, random: np.random.Generator) -> None:
    wild = random.random(len(window)) < 0.3
    addresses = random.integers(0, draw.ADDRESS_LIMIT, len(window), dtype=np.uint64)
    window["bloom_negative"] |= wild
    window["addr_hint"] = np.where(wild, addresses, window["addr_hint"])
    window["bad"] = wild


@incident("oversize", "5 % of the calls ask for 64 MiB to 1 GiB")
def _oversize(window: Records, random: np.random.Generator) -> None:
    huge = random.random(len(window)) < 0.05
    sizes = np.exp2(random.uniform(26.0, 30.0, len(window))).astype(np.uint64)
    window["requested_bytes"] = np.where(huge, sizes, window["requested_bytes"])
    window["bad"] = huge


@incident("tail", "3 % of the calls cost 20 to 200 times as much")
def _tail(window: Records, random: np.random.Generator) -> None:
    slow = random.random(len(window)) < 0.03
    window["cost_factor"] = np.where(slow, random.uniform(20.0, 200.0, len(window)), 1.0)


@incident("pat_cost", "the same costs, but high and low take turns")
def _pattern_in_cost(window: Records, random: np.random.Generator) -> None:
    window["cost_luck"] = (window["cost_luck"] + np.arange(len(window)) % 2) / 2


@incident("pat_fam", "the same family shares in a fixed order")
def _pattern_in_families(window: Records, random: np.random.Generator) -> None:
    # The requests keep their contexts: only the order of the families is exchanged.
    owed = np.zeros(FAMILY_COUNT)
    for index in range(len(window)):
        owed += draw.FAMILY_WEIGHTS
        family = int(np.argmax(np.round(owed, 9)))
        owed[family] -= 1.0
        window["family"][index] = family
    window["requested_bytes"] = draw.draw_bytes(random, window["family"])


@incident("pat_adv", "exactly every tenth call is adverse", base="noisy")
def _pattern_in_adverse(window: Records, random: np.random.Generator) -> None:
    _set_adverse(window, np.arange(len(window)) % 10 == 9)


@incident("clus_adv", "adverse calls come in runs of five every 50 calls", base="noisy")
def _clusters_of_adverse(window: Records, random: np.random.Generator) -> None:
    _set_adverse(window, np.arange(len(window)) % 50 < 5)


@incident("overlap", "5 % of the calls find an inconsistent overlap")
def _overlap(window: Records, random: np.random.Generator) -> None:
    faulty = random.random(len(window)) < 0.05
    window["overlap"][faulty] = draw.Overlap.INCONSISTENT
    window["bad"] = faulty
