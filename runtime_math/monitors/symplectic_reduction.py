"""Are the resources held at present within capacity, and how close to the edge?

Acquisitions and releases of four resource types are conjugate pairs (q, p); the net holdings
q - p are the moment map of a torus action, and the box of the capacities its moment polytope. The
distance to the nearest face and an energy, the sum of squared shares of capacity, are judged once
per window. The mathematics lends its words, the test itself is elementary.

References
----------
.. [1] J. Marsden, A. Weinstein, "Reduction of symplectic manifolds with symmetry", Rep. Math.
       Phys. 5, 1974.
.. [2] A. Cannas da Silva, "Lectures on Symplectic Geometry", Springer, 2001, ch. 22-29.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, member, named, operation, reading
from runtime_math.numerics.compilation import jitted

CAPACITY = np.array([64, 32, 16, 256])
RESOURCE_COUNT = len(CAPACITY)
WINDOW = 128
BASELINE_WINDOWS = 4
WARNING_MARGIN = 1.0 - 0.75
CRITICAL_MARGIN = 1.0 - 0.90
WARNING_ENERGY = 2.5
SMALLEST_ENERGY = 1e-12


class SymplecticState(IntEnum):
    """Where the holdings are in the box of capacities."""

    CALIBRATING = 0
    ADMISSIBLE = 1
    NEAR_BOUNDARY = 2
    INADMISSIBLE = 3


class Resource(IntEnum):
    """Resource types whose life cycle is tracked."""

    SEMAPHORE = 0
    SHARED_MEMORY = 1
    MESSAGE_QUEUE = 2
    FILE_DESCRIPTOR = 3


STATE = np.dtype(
    [
        ("acquired", np.int64, (RESOURCE_COUNT,)),
        ("released", np.int64, (RESOURCE_COUNT,)),
        ("acquired_before_window", np.int64, (RESOURCE_COUNT,)),
        ("released_before_window", np.int64, (RESOURCE_COUNT,)),
        ("baseline_rates", np.float64, (RESOURCE_COUNT,)),
        ("window_total", np.int64),
        ("baseline_windows", np.int64),
        ("violation_count", np.int64),
        ("code", np.uint8),
    ],
    align=True,
)


class SymplecticSummary(NamedTuple):
    """State of the last judged window; energy, distance and holdings at present."""

    state: int
    hamiltonian_energy: float
    boundary_distance: float
    moment_map: tuple
    violation_count: int


@jitted
def init(state):
    """Start with nothing held."""
    for resource in range(RESOURCE_COUNT):
        state.acquired[resource] = 0
        state.released[resource] = 0
        state.acquired_before_window[resource] = 0
        state.released_before_window[resource] = 0
        state.baseline_rates[resource] = 0.0
    state.window_total = 0
    state.baseline_windows = 0
    state.violation_count = 0
    state.code = 0


@jitted
def net_holding(state, resource):
    """Return how many units of a resource are held; negative after unmatched releases."""
    return state.acquired[resource] - state.released[resource]


@jitted
def hamiltonian_energy(state):
    """Return the sum of the squared shares of capacity that are held."""
    energy = 0.0
    for resource in range(RESOURCE_COUNT):
        share = float(net_holding(state, resource)) / float(CAPACITY[resource])
        energy += share * share
    return energy


@jitted
def boundary_distance(state):
    """Return the distance to the nearest face of the box, as a share; negative outside."""
    nearest = np.inf
    for resource in range(RESOURCE_COUNT):
        held, capacity = float(net_holding(state, resource)), float(CAPACITY[resource])
        nearest = min(nearest, min(held, capacity - held) / capacity)
    return nearest


@jitted
def _judge_holdings(state):
    distance = boundary_distance(state)
    energy = hamiltonian_energy(state)
    if distance < 0.0:
        state.code = 3
        state.violation_count += 1
    elif energy <= SMALLEST_ENERGY:
        state.code = 1
    elif distance < CRITICAL_MARGIN or energy > WARNING_ENERGY:
        state.code = 2
        state.violation_count += 1
    else:
        state.code = 2 if distance < WARNING_MARGIN else 1


@jitted
def _close_window(state):
    """Judge the cumulative holdings, or average the window's acquisitions while calibrating."""
    calibrating = state.baseline_windows < BASELINE_WINDOWS
    windows = float(state.baseline_windows) + 1.0
    for resource in range(RESOURCE_COUNT):
        if calibrating:
            acquired = float(state.acquired[resource] - state.acquired_before_window[resource])
            state.baseline_rates[resource] = (
                (windows - 1.0) * state.baseline_rates[resource] + acquired
            ) / windows
        state.acquired_before_window[resource] = state.acquired[resource]
        state.released_before_window[resource] = state.released[resource]
    if calibrating:
        state.baseline_windows += 1
    else:
        _judge_holdings(state)
    state.window_total = 0


@jitted
def acquire(state, resource):
    """Count an acquisition; returns the state code, judged every 128 events."""
    state.acquired[resource] += 1
    state.window_total += 1
    if state.window_total >= WINDOW:
        _close_window(state)
    return int(state.code)


@jitted
def release(state, resource):
    """Count a release; returns the state code, judged every 128 events."""
    state.released[resource] += 1
    state.window_total += 1
    if state.window_total >= WINDOW:
        _close_window(state)
    return int(state.code)


@jitted
def would_be_admissible(state, resource):
    """Return whether one more unit of a resource stays within its own capacity."""
    return 0 <= net_holding(state, resource) + 1 <= CAPACITY[resource]


@jitted
def state_code(state):
    """Return the state code of the last judged window."""
    return int(state.code)


@jitted
def violation_count(state):
    """Return how many judgements counted as violations."""
    return state.violation_count


@jitted
def baseline_ready(state):
    """Return whether calibration is complete."""
    return state.baseline_windows >= BASELINE_WINDOWS


@jitted
def summary(state):
    """Return the state, the present energy, distance and holdings, and the violations."""
    return SymplecticSummary(
        int(state.code),
        hamiltonian_energy(state),
        boundary_distance(state),
        (
            net_holding(state, 0),
            net_holding(state, 1),
            net_holding(state, 2),
            net_holding(state, 3),
        ),
        state.violation_count,
    )


_resource = member(Resource)


class SymplecticReduction(Monitor):
    """Holdings of four resource types inside the box of their capacities.

    Examples
    --------
    >>> monitor = SymplecticReduction()
    >>> for event in range(640):
    ...     state = monitor.release(Resource.FILE_DESCRIPTOR)
    >>> state
    <SymplecticState.INADMISSIBLE: 3>
    >>> monitor.summary().moment_map
    (0, 0, 0, -640)
    >>> monitor.would_be_admissible(Resource.SEMAPHORE)
    True
    """

    STATE = STATE
    initialise = init
    acquire = operation(acquire, SymplecticState, resource=_resource)
    release = operation(release, SymplecticState, resource=_resource)
    would_be_admissible = operation(would_be_admissible, resource=_resource)
    net_holding = operation(net_holding, resource=_resource)
    hamiltonian_energy = reading(hamiltonian_energy)
    boundary_distance = reading(boundary_distance)
    state = reading(state_code, SymplecticState)
    violation_count = reading(violation_count)
    baseline_ready = reading(baseline_ready)
    summary = operation(summary, named(SymplecticSummary, state=SymplecticState))
