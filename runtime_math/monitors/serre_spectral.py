"""Do behaviours checked in one layer lift to the next, and are the defects getting worse?

In the Serre spectral sequence of a fibration the differentials obstruct the lifting of classes from
base to total space, and the pages converge when they vanish. Here a "differential" is the smoothed
failure rate of one cell, (layer pair) x (invariant class); a "page" turns every 256 observations,
and convergence is the mean drift of the twelve rates since the last turn.

The state only needs to know in which of four bands each rate lies, so the bands are counted. The
drift is kept as a running sum; where that sum is too close to a threshold to be sure of the
rounding, the drift is summed afresh in cell order.

References
----------
.. [1] J.-P. Serre, "Homologie singuliere des espaces fibres", Ann. of Math. 54(3), 1951.
.. [2] J. McCleary, "A User's Guide to Spectral Sequences", Cambridge 2001.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, named, operation, reading
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.subnormals import fused_average, resting_point

CLASS_COUNT = 4
CELL_COUNT = 12
PAGE_OBSERVATIONS = 256
FIRST_PAGE = 2
CALIBRATION_OBSERVATIONS = 64
SMOOTHING = 0.015
RETENTION = 1.0 - SMOOTHING
RESTING = resting_point(RETENTION)
CONVERGED_DENSITY = 0.03
NONTRIVIAL_DENSITY = 0.10
LIFTING_DENSITY = 0.30
WORSENING_TREND = 0.01
# Within a page the running sum strays from the exact one by less than 1e-12.
DRIFT_MARGIN = 1e-9


class SerreState(IntEnum):
    """Whether lifting works across the layers."""

    CALIBRATING = 0
    CONVERGED = 1
    LIFTING_FAILURE = 2
    COLLAPSED = 3


class LayerPair(IntEnum):
    """The two layers that a behaviour is lifted between."""

    ABI_TO_MEMBRANE = 0
    MEMBRANE_TO_CORE = 1
    ABI_TO_CORE = 2


class InvariantClass(IntEnum):
    """What is compared across the layers."""

    RETURN_SEMANTICS = 0
    SIDE_EFFECT_ORDER = 1
    RESOURCE_LIFECYCLE = 2
    ERROR_RECOVERY = 3


STATE = np.dtype(
    [
        ("density", np.float64, (CELL_COUNT,)),
        ("previous_density", np.float64, (CELL_COUNT,)),
        ("cell_observations", np.int64, (CELL_COUNT,)),
        ("cell_failures", np.int64, (CELL_COUNT,)),
        ("drift", np.float64),
        ("cells_above_converged", np.int64),
        ("cells_above_nontrivial", np.int64),
        ("cells_above_lifting", np.int64),
        ("total_observations", np.int64),
        ("current_page", np.int64),
        ("lifting_failure_count", np.int64),
        ("collapse_count", np.int64),
        ("code", np.int64),
    ],
    align=True,
)


class SerreSummary(NamedTuple):
    """Failure rates over the cells, their trend, and event counters."""

    state: int
    max_differential: float
    mean_differential: float
    nontrivial_cells: int
    convergence_trend: float
    lifting_failure_count: int
    collapse_count: int
    total_observations: int


@jitted
def init(state):
    """Start on the second page with no failures."""
    for cell in range(CELL_COUNT):
        state.density[cell] = 0.0
        state.previous_density[cell] = 0.0
        state.cell_observations[cell] = 0
        state.cell_failures[cell] = 0
    state.drift = 0.0
    state.cells_above_converged = 0
    state.cells_above_nontrivial = 0
    state.cells_above_lifting = 0
    state.total_observations = 0
    state.current_page = FIRST_PAGE
    state.lifting_failure_count = 0
    state.collapse_count = 0
    state.code = 0


@jitted
def trend(state):
    """Return the mean drift of the rates since the last page turn (0 on the first page)."""
    if state.current_page <= FIRST_PAGE:
        return 0.0
    drift = 0.0
    for cell in range(CELL_COUNT):
        drift += state.density[cell] - state.previous_density[cell]
    return drift / CELL_COUNT


@jitted
def _trend_exceeds(state, threshold):
    if state.current_page > FIRST_PAGE:
        excess = state.drift - threshold * CELL_COUNT
        if abs(excess) > DRIFT_MARGIN:
            return excess > 0.0
    return trend(state) > threshold


@jitted
def _classify(state):
    if state.total_observations < CALIBRATION_OBSERVATIONS:
        return 0
    if state.cells_above_lifting > 0 and _trend_exceeds(state, WORSENING_TREND):
        return 3
    if state.cells_above_nontrivial > 0:
        return 2
    return 2 if state.cells_above_converged > 0 and _trend_exceeds(state, 0.0) else 1


@jitted
def _count_bands(state, density, change):
    # A clean stream has all rates below the lowest threshold: one comparison is enough there.
    if density >= CONVERGED_DENSITY:
        state.cells_above_converged += change
        if density >= NONTRIVIAL_DENSITY:
            state.cells_above_nontrivial += change
            if density >= LIFTING_DENSITY:
                state.cells_above_lifting += change


@jitted
def _turn_page(state):
    for cell in range(CELL_COUNT):
        state.previous_density[cell] = state.density[cell]
    state.drift = 0.0
    state.current_page += 1


@jitted
def observe(state, layer_pair, invariant_class, lifted_ok):
    """Add one check of a cell, without counting state entries; returns the state code."""
    state.total_observations += 1
    cell = CLASS_COUNT * layer_pair + invariant_class
    state.cell_observations[cell] += 1
    sample = 0.0
    if not lifted_ok:
        sample = SMOOTHING
        state.cell_failures[cell] += 1
    before = state.density[cell]
    after = fused_average(before, RETENTION, sample, RESTING)
    state.density[cell] = after
    state.drift += after - before
    _count_bands(state, before, -1)
    _count_bands(state, after, 1)
    if state.total_observations % PAGE_OBSERVATIONS == 0:
        _turn_page(state)
    state.code = _classify(state)
    return state.code


@jitted
def observe_and_update(state, layer_pair, invariant_class, lifted_ok):
    """Add one check and count an entry into states 2 and 3; returns the state code."""
    previous = state.code
    code = observe(state, layer_pair, invariant_class, lifted_ok)
    if code != previous:
        if code == 2:
            state.lifting_failure_count += 1
        elif code == 3:
            state.collapse_count += 1
    return code


@jitted
def state_code(state):
    """Return the state code."""
    return state.code


@jitted
def current_page(state):
    """Return the page number: 2 at first, one more every 256 observations."""
    return state.current_page


@jitted
def max_density(state):
    """Return the largest failure rate of all cells."""
    largest = 0.0
    for cell in range(CELL_COUNT):
        largest = max(largest, state.density[cell])
    return largest


@jitted
def summary(state):
    """Return the largest and the mean rate, the non-trivial cells, the trend and the counters."""
    total = 0.0
    for cell in range(CELL_COUNT):
        total += state.density[cell]
    return SerreSummary(
        state.code,
        max_density(state),
        total / CELL_COUNT,
        state.cells_above_nontrivial,
        trend(state),
        state.lifting_failure_count,
        state.collapse_count,
        state.total_observations,
    )


class SerreSpectral(Monitor):
    """Lifting defects across layers, by layer pair and invariant class.

    `observe` and `observe_and_update` take ``layer_pair`` (`LayerPair`), ``invariant_class``
    (`InvariantClass`) and ``lifted_ok`` (bool); only the latter counts state entries.

    Notes
    -----
    The trend starts afresh at each page turn, where COLLAPSED therefore drops to LIFTING_FAILURE. A
    defect that has stopped growing reads as LIFTING_FAILURE, however large it is.

    Examples
    --------
    >>> monitor = SerreSpectral()
    >>> for call in range(300):
    ...     state = monitor.observe_and_update(
    ...         LayerPair.ABI_TO_CORE, InvariantClass.ERROR_RECOVERY, call < 256
    ...     )
    >>> state
    <SerreState.COLLAPSED: 3>
    >>> monitor.current_page
    3
    >>> round(monitor.summary.max_differential, 3)
    0.486
    """

    STATE = STATE
    initialise = init
    observe = operation(
        observe,
        SerreState,
        layer_pair=member(LayerPair),
        invariant_class=member(InvariantClass),
        lifted_ok=flag,
    )
    observe_and_update = operation(
        observe_and_update,
        SerreState,
        layer_pair=member(LayerPair),
        invariant_class=member(InvariantClass),
        lifted_ok=flag,
    )
    state = reading(state_code, SerreState)
    trend = reading(trend)
    max_density = reading(max_density)
    current_page = reading(current_page)
    summary = reading(summary, named(SerreSummary, state=SerreState))
