"""The traffic record of a scenario, its drawing helpers, and the closed loop of the cost.

All draws are vectorised over the calls of a scenario. A `Traffic` is what bases and incidents
work on: one array per property of a call, and the rates behind them, so that an incident can
redraw its window alone.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from runtime_math.numerics.compilation import jitted
from runtime_math.records import Records
from runtime_math.types import FAMILY_COUNT

PerCall: TypeAlias = float | npt.NDArray[np.float64]
"""One number for all calls, or one for each."""

FAMILY_WEIGHTS = np.array([0.20, 0.20, 0.20, 0.10, 0.10, 0.05, 0.05, 0.05, 0.05])
ADVERSE_RATE = 0.005
BLOOM_NEGATIVE_RATE = 0.01
WRITE_RATE = 0.3
MEAN_CONTENTION = 4.0
OVERLAP_RATE = 0.01
PAGE_COUNT = 64
PAGE_BYTES = 4096
STRAY_ADDRESS_RATE = 0.05
ADDRESS_LIMIT = 1 << 47
ADDRESS_STEP = 16
LARGE_REQUEST_FAMILIES = (1, 2, 3)
FAST_COST_NS = (6.0, 14.0)
FULL_COST_NS = (60.0, 120.0)


class Overlap(IntEnum):
    """What the overlap check that follows a call finds."""

    NONE = 0
    CONSISTENT = 1
    INCONSISTENT = 2


CALL = np.dtype(
    [
        ("addr_hint", np.uint64),
        ("requested_bytes", np.uint64),
        ("cost_luck", np.float64),
        ("cost_factor", np.float64),
        ("contention_hint", np.uint16),
        ("family", np.uint8),
        ("overlap", np.uint8),
        ("adverse", np.bool_),
        ("is_write", np.bool_),
        ("bloom_negative", np.bool_),
        ("affected", np.bool_),
        ("bad", np.bool_),
    ],
    align=True,
)


@dataclass
class Traffic:
    """Calls under construction.

    Parameters
    ----------
    calls : numpy.ndarray of CALL
        One record per call; ``affected`` marks the calls an incident reaches, ``bad`` those that
        are themselves adverse, wild, oversized or faulty because of it.
    random : numpy.random.Generator
        Source of the draws of whoever works on the traffic at the moment.
    """

    calls: Records
    random: np.random.Generator

    def __len__(self) -> int:
        return len(self.calls)


def draw_families(
    random: np.random.Generator, count: int, weights: npt.NDArray[np.float64] = FAMILY_WEIGHTS
) -> npt.NDArray[np.uint8]:
    """Independent families; `weights` is one row, or one row per call."""
    cumulative = np.cumsum(np.broadcast_to(weights, (count, FAMILY_COUNT)), axis=1)
    luck = random.random(count) * cumulative[:, -1]
    passed: npt.NDArray[np.int64] = (luck[:, None] >= cumulative[:, :-1]).sum(axis=1)
    return passed.astype(np.uint8)


def draw_sticky_families(
    random: np.random.Generator,
    count: int,
    keep: float,
    weights: npt.NDArray[np.float64] = FAMILY_WEIGHTS,
) -> npt.NDArray[np.uint8]:
    """Families that stay with probability `keep` and are redrawn from `weights` otherwise."""
    fresh = draw_families(random, count, weights)
    redrawn = random.random(count) >= keep
    redrawn[:1] = True
    return fresh[np.maximum.accumulate(np.where(redrawn, np.arange(count), 0))]


def draw_adverse(random: np.random.Generator, count: int, rate: PerCall) -> npt.NDArray[np.bool_]:
    """Independent adverse outcomes with a common rate, or one rate per call."""
    return random.random(count) < rate


def draw_contention(
    random: np.random.Generator, count: int, mean: PerCall
) -> npt.NDArray[np.uint16]:
    """Contention hints: the floor of exponentials with a common mean, or one mean per call."""
    return np.minimum(np.floor(random.exponential(1.0, count) * mean), 65535).astype(np.uint16)


def draw_stray_addresses(random: np.random.Generator, count: int) -> npt.NDArray[np.uint64]:
    """Addresses anywhere in the 47 bits of user space, on multiples of 16."""
    return random.integers(0, ADDRESS_LIMIT // ADDRESS_STEP, count, dtype=np.uint64) * np.uint64(
        ADDRESS_STEP
    )


def draw_addresses(random: np.random.Generator, count: int) -> npt.NDArray[np.uint64]:
    """Addresses on one of 64 pages fixed for the scenario, some of them stray."""
    pages = random.choice(ADDRESS_LIMIT // PAGE_BYTES, PAGE_COUNT, replace=False, shuffle=False)
    page = pages.astype(np.uint64)[random.integers(0, PAGE_COUNT, count)] * np.uint64(PAGE_BYTES)
    within = random.integers(0, PAGE_BYTES // ADDRESS_STEP, count, dtype=np.uint64)
    usual = page + within * np.uint64(ADDRESS_STEP)
    stray = random.random(count) < STRAY_ADDRESS_RATE
    return np.where(stray, draw_stray_addresses(random, count), usual)


def draw_bytes(
    random: np.random.Generator, families: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint64]:
    """Request sizes: log-normal, larger for the allocator, string and stdio families."""
    normal = random.standard_normal(len(families))
    large = np.isin(families, LARGE_REQUEST_FAMILIES)
    exponent = np.where(large, 5.5 + 1.2 * normal, 4.0 + 0.8 * normal)
    return np.floor(np.exp(exponent)).astype(np.uint64)


@jitted
def validation_cost_ns(cost_luck: float, cost_factor: float, escalated: bool) -> np.uint64:
    """Cost of a call once it is known what was run: the closed loop of the scenarios.

    Parameters
    ----------
    cost_luck : float
        Uniform in [0, 1).
    cost_factor : float
        Multiplier of the call; 1 on an unloaded machine.
    escalated : bool
        Whether full validation ran (60 to 180 ns before the factor; 6 to 20 ns otherwise).

    Returns
    -------
    numpy.uint64
        Nanoseconds, rounded down.

    Examples
    --------
    >>> validation_cost_ns(0.5, 1.0, False), validation_cost_ns(0.5, 1.0, True)
    (13, 120)
    """
    if escalated:
        return np.uint64(np.floor(cost_factor * (60.0 + 120.0 * cost_luck)))
    return np.uint64(np.floor(cost_factor * (6.0 + 14.0 * cost_luck)))
