"""Making one scenario from names and numbers; unknown names are answered with the nearest ones."""

import difflib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from runtime_math.records import Records
from runtime_math.scenarios.bases import BASES, Base
from runtime_math.scenarios.incidents import INCIDENTS, Incident
from runtime_math.scenarios.traffic import CALL, Traffic

Entry = TypeVar("Entry")

DEFAULT_CALLS = 20_000
DEFAULT_INCIDENT_CALLS = 6_500
DEFAULT_START = 3_000


@dataclass(frozen=True)
class Scenario:
    """Labelled traffic.

    Parameters
    ----------
    base : str
        Name of the clean base.
    incident : str or None
        Name of the incident; None for a clean run.
    seed : int
        Together with the names it determines every draw.
    start, end : int
        First call of the incident, and the first call after it (both the length for a clean run).
    calls : numpy.ndarray of CALL
        The calls, with labels ``affected`` and ``bad``.
    """

    base: str
    incident: str | None
    seed: int
    start: int
    end: int
    calls: Records

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def name(self) -> str:
        """Base and incident in one word."""
        return self.base if self.incident is None else f"{self.base}/{self.incident}"

    @property
    def settings(self) -> dict[str, Any]:
        """Policy settings that the operator of such an application would choose."""
        return dict(BASES[self.base].settings)


def _named(kind: str, registry: Mapping[str, Entry], name: object) -> Entry:
    if not isinstance(name, str):
        raise TypeError(f"{kind} must be a name, got {name!r} ({type(name).__name__})")
    if name in registry:
        return registry[name]
    near = difflib.get_close_matches(name, registry, n=3, cutoff=0.4) or sorted(registry)
    raise ValueError(f"unknown {kind} {name!r}; did you mean {' or '.join(near)}?")


def base_named(name: str) -> Base:
    """Return the clean base of that name; raises `ValueError` naming the nearest ones."""
    return _named("base", BASES, name)


def incident_named(name: str | None) -> Incident:
    """Return the incident of that name; raises `ValueError` naming the nearest ones."""
    return _named("incident", INCIDENTS, name)


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r} ({type(value).__name__})")
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, got {value}")
    return int(value)


def _generator(seed: int, *names: str) -> np.random.Generator:
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def generate(
    base: str | None = None,
    *,
    incident: str | None = None,
    seed: int = 0,
    calls: int | None = None,
    start: int | None = None,
    end: int | None = None,
) -> Scenario:
    """Draw one scenario.

    Parameters
    ----------
    base : str, optional
        Clean base; the incident's own one, or "nine", when omitted.
    incident : str, optional
        What goes wrong; nothing when omitted.
    seed : int, default 0
        From 0 to 2^63 - 1.
    calls : int, optional
        Length of the run: 20 000 when clean, 6 500 with an incident.
    start, end : int, optional
        Window of the incident: from call 3 000 on, as long as the incident usually lasts.

    Returns
    -------
    Scenario

    Examples
    --------
    >>> clean = generate("bursts", seed=1, calls=4000)
    >>> troubled = generate("bursts", incident="lat2", seed=1, calls=4000, start=2000, end=2500)
    >>> bool((clean.calls[:2000] == troubled.calls[:2000]).all())
    True
    >>> generate("busrts")
    Traceback (most recent call last):
        ...
    ValueError: unknown base 'busrts'; did you mean bursts?
    """
    trouble = None if incident is None else incident_named(incident)
    if base is None:
        base = "nine" if trouble is None else trouble.base
    clean = base_named(base)
    seed = _whole("seed", seed, 0, 2**63 - 1)
    if calls is None:
        calls = DEFAULT_CALLS if trouble is None else DEFAULT_INCIDENT_CALLS
    calls = _whole("calls", calls, 1, 10**9)
    traffic = Traffic(np.zeros(calls, CALL), _generator(seed, base))
    clean.fill(traffic)
    if trouble is None:
        if start is not None or end is not None:
            raise ValueError("start and end belong to an incident, and none was named")
        return Scenario(base, None, seed, calls, calls, traffic.calls)
    start = _whole("start", DEFAULT_START if start is None else start, 0, calls - 1)
    default_end = min(start + trouble.length, calls)
    end = _whole("end", default_end if end is None else end, start + 1, calls)
    window = traffic.calls[start:end]
    window["affected"] = True
    trouble.apply(window, _generator(seed, base, trouble.name))
    return Scenario(base, incident, seed, start, end, traffic.calls)
