"""Clean bases: what normal traffic looks like.

A base is a function that fills a whole `Traffic`. To add one:

    @base("nightly", "contention doubles at night")
    def _nightly(traffic):
        mean = np.where(np.arange(len(traffic)) % 7000 < 2000, 8.0, 4.0)
        fill(traffic, mean_contention=mean)

`fill` draws every property in a fixed order with the usual parameters; pass what differs. A base
that needs the operator to tell the policy something about the application (a rate that no
sensible default would accept) says so in `settings`; evaluations hand it to the policy.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runtime_math.scenarios import traffic as draw
from runtime_math.scenarios.traffic import PerCall
from runtime_math.types import FAMILY_COUNT

Fill: TypeAlias = Callable[[draw.Traffic], None]

BASES: dict[str, "Base"] = {}

WEEK_CALLS = 7000
DAY_CALLS = 1000
NOISY_ADVERSE_RATE = 0.10
HETEROGENEOUS_ADVERSE_RATES = np.array([0.001, 0.002, 0.005, 0.01, 0.03, 0.001, 0.02, 0.005, 0.002])
HETEROGENEOUS_COST_FACTORS = np.array([1.0, 1.5, 0.8, 2.0, 3.0, 1.0, 5.0, 1.2, 0.7])


@dataclass(frozen=True)
class Base:
    """A kind of clean traffic.

    Parameters
    ----------
    name : str
        What it is called on the command line.
    description : str
        One line on how it differs from the base "nine".
    fill : callable
        ``fill(traffic)`` draws all calls.
    settings : dict
        Policy settings that the operator of such an application would choose.
    """

    name: str
    description: str
    fill: Fill
    settings: dict[str, float] = field(default_factory=dict)


def base(name: str, description: str, **settings: float) -> Callable[[Fill], Fill]:
    """Register the decorated ``fill(traffic)`` as a clean base."""

    def register(function: Fill) -> Fill:
        BASES[name] = Base(name, description, function, settings)
        return function

    return register


def fill(
    traffic: draw.Traffic,
    *,
    families: npt.NDArray[np.uint8] | None = None,
    adverse_rate: PerCall = draw.ADVERSE_RATE,
    mean_contention: PerCall = draw.MEAN_CONTENTION,
    cost_factor: PerCall = 1.0,
) -> None:
    """Draw every property of every call; rates, means and factors may be one number per call.

    Parameters
    ----------
    traffic : Traffic
        Filled in place.
    families : array of int, optional
        Families of the calls; independent with the usual weights when omitted.
    adverse_rate, mean_contention, cost_factor : float or array
        Probability of an adverse outcome, mean of the contention hint, multiplier of the cost.
    """
    random, count, calls = traffic.random, len(traffic), traffic.calls
    if families is None:
        families = draw.draw_families(random, count)
    calls["family"] = families
    calls["adverse"] = draw.draw_adverse(random, count, adverse_rate)
    calls["bloom_negative"] = random.random(count) < draw.BLOOM_NEGATIVE_RATE
    calls["is_write"] = random.random(count) < draw.WRITE_RATE
    calls["contention_hint"] = draw.draw_contention(random, count, mean_contention)
    calls["addr_hint"] = draw.draw_addresses(random, count)
    calls["requested_bytes"] = draw.draw_bytes(random, families)
    checked = random.random(count) < draw.OVERLAP_RATE
    calls["overlap"] = np.where(checked, draw.Overlap.CONSISTENT, draw.Overlap.NONE)
    calls["cost_luck"] = random.random(count)
    calls["cost_factor"] = cost_factor


@base("single", "family 2 only")
def _single(traffic: draw.Traffic) -> None:
    fill(traffic, families=np.full(len(traffic), 2, dtype=np.uint8))


@base("nine", "all nine families, independent calls")
def _nine(traffic: draw.Traffic) -> None:
    fill(traffic)


@base("bursts", "a family is kept with probability 0.9")
def _bursts(traffic: draw.Traffic) -> None:
    fill(traffic, families=draw.draw_sticky_families(traffic.random, len(traffic), 0.9))


@base("drift", "cost rises to 1.8 times and contention to three times over the run")
def _drift(traffic: draw.Traffic) -> None:
    progress = np.linspace(0.0, 1.0, len(traffic), endpoint=False)
    fill(traffic, cost_factor=1.0 + 0.8 * progress, mean_contention=4.0 + 8.0 * progress)


@base("heavy", "one call in 100 costs up to 200 times as much (Pareto, index 1.2)")
def _heavy(traffic: draw.Traffic) -> None:
    random, count = traffic.random, len(traffic)
    excess = np.minimum(200.0, 2.0 * (1.0 - random.random(count)) ** (-1.0 / 1.2))
    fill(traffic, cost_factor=np.where(random.random(count) < 0.01, excess, 1.0))


@base("weekly", "load, contention, adverse rate and family shares in daily and weekly cycles")
def _weekly(traffic: draw.Traffic) -> None:
    random, count = traffic.random, len(traffic)
    phase, time = random.random(), np.arange(count)
    week = np.sin(2 * np.pi * (time / WEEK_CALLS + phase))
    day = np.sin(2 * np.pi * (time / DAY_CALLS + phase))
    turns = (time / WEEK_CALLS + phase)[:, None] + np.arange(FAMILY_COUNT) / FAMILY_COUNT
    weights = draw.FAMILY_WEIGHTS * (1.0 + 0.6 * np.sin(2 * np.pi * turns))
    fill(
        traffic,
        families=draw.draw_families(random, count, weights),
        adverse_rate=draw.ADVERSE_RATE * (1.0 + 0.6 * week),
        mean_contention=draw.MEAN_CONTENTION * (1.5 + day),
        cost_factor=1.0 + 0.125 * day + 0.2 * week,
    )


@base("noisy", "one call in ten is adverse, and always was", adverse_ceiling=0.25)
def _noisy(traffic: draw.Traffic) -> None:
    fill(traffic, adverse_rate=NOISY_ADVERSE_RATE)


@base("hetero", "bursts of 50 calls; every family has its own adverse rate and cost")
def _hetero(traffic: draw.Traffic) -> None:
    families = draw.draw_sticky_families(traffic.random, len(traffic), 0.98)
    fill(
        traffic,
        families=families,
        adverse_rate=HETEROGENEOUS_ADVERSE_RATES[families],
        cost_factor=HETEROGENEOUS_COST_FACTORS[families],
    )
