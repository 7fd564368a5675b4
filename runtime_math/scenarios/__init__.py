"""Labelled synthetic traffic: clean bases, incidents upon them, and a cost that answers the kernel.

A scenario is (clean base, incident or none, seed, number of calls, start, end). The same seed of
the same base gives the same clean traffic with and without an incident, so two runs are paired.
Costs form a closed loop: a call carries the luck of its cost, and `validation_cost_ns` turns it
into nanoseconds once it is known which profile the kernel ran.

    >>> from runtime_math.scenarios import generate
    >>> scenario = generate("nine", incident="adv20", seed=7, calls=6500)
    >>> scenario.start, scenario.end, scenario.calls["family"].max()
    (3000, 4500, np.uint8(8))

To add a base or an incident, write one function with the `base` or `incident` decorator; the
modules `bases` and `incidents` say how.
"""

from runtime_math.scenarios.bases import BASES, Base, base
from runtime_math.scenarios.catalogue import Scenario, base_named, generate, incident_named
from runtime_math.scenarios.incidents import INCIDENTS, Incident, incident
from runtime_math.scenarios.traffic import CALL, Overlap, Traffic, validation_cost_ns

__all__ = [
    "BASES",
    "CALL",
    "INCIDENTS",
    "Base",
    "Incident",
    "Overlap",
    "Scenario",
    "Traffic",
    "base",
    "base_named",
    "generate",
    "incident",
    "incident_named",
    "validation_cost_ns",
]
