"""Has the adverse rate just changed?

The controller keeps the posterior of the run length: how many observations ago the present regime
began. Every run carries a Beta-Bernoulli model of its own adverse rate; each observation lets all
runs grow or, with hazard 1/(r + 200), start anew, and re-weights them by how well they predicted
it. Much mass on runs shorter than 16 means that the rate has just changed. Runs longer than 255
are forgotten.

A run keeps its place in a buffer for life (the window over the buffer moves instead), its counts
follow from the adverse count at its birth, and the masses are kept unnormalised, with their total
beside them. One observation is then one element-wise product and two sums. The masses cannot
underflow: against the total, a run never falls below 1e-83 (a reset receives at least 1/455 of
the mass, and 255 predictions of a Beta-Bernoulli run have a product above 1e-79), and the total
is lifted by a power of two, exactly, before it gets small.

References
----------
.. [1] R. P. Adams, D. J. C. MacKay, "Bayesian Online Changepoint Detection", arXiv:0710.3742, 2007.
.. [2] P. Fearnhead, Z. Liu, "On-line inference for multiple changepoint problems", J. R. Statist.
       Soc. B 69(4), 2007.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, flag, named, operation, reading
from runtime_math.numerics.bits import float64_bits
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.lanes import sum_and_weighted_sum

WARMUP_OBSERVATIONS = 32
HAZARD_OFFSET = 200.0
SHORT_RUN_LENGTHS = 16
DRIFT_MASS = 0.30
CHANGE_POINT_MASS = 0.60
RUN_LENGTHS = 256
LONGEST_RUN = RUN_LENGTHS - 1
EWMA_WEIGHT = 0.03
# Observations between two moves of the window back to the end of its buffer.
SLACK = 64
SMALL_TOTAL = 2.0**-256
LIFT = 2.0**256

_ONE = np.uint64(1)
_RUN_LENGTHS = np.uint64(RUN_LENGTHS)
_LONGEST_RUN = np.uint64(LONGEST_RUN)
_SLACK = np.uint64(SLACK)
_SHORT_RUN_LENGTHS = np.uint64(SHORT_RUN_LENGTHS)

# A run of length r that survives has counted r + 1 observations, its prior two more.
PREDICTIVE_TOTAL = np.array([r + 3.0 for r in range(RUN_LENGTHS)])
SURVIVAL_OVER_TOTAL = np.array(
    [(1.0 - 1.0 / (r + HAZARD_OFFSET)) / (r + 3.0) for r in range(RUN_LENGTHS)]
)
# Odds of a reset against survival, h / (1 - h) with h = 1 / (r + 200).
RESET_ODDS = np.array([1.0 / (r + HAZARD_OFFSET - 1.0) for r in range(RUN_LENGTHS)])


class ChangepointState(IntEnum):
    """How probable a recent change of the adverse rate is."""

    CALIBRATING = 0
    STABLE = 1
    DRIFT = 2
    CHANGE_POINT = 3


STATE = np.dtype(
    [
        # Slot `start + r` of both buffers belongs to run length r.
        ("mass", np.float64, (RUN_LENGTHS + SLACK,)),
        ("adverse_before", np.float64, (RUN_LENGTHS + SLACK,)),
        ("total_mass", np.float64),
        ("short_mass", np.float64),
        ("ewma_adverse_rate", np.float64),
        ("start", np.uint64),
        ("longest", np.int64),
        ("adverse_count", np.int64),
        ("total_observations", np.int64),
        ("change_point_count", np.int64),
        ("max_run_length", np.int64),
        ("state", np.uint8),
    ],
    align=True,
)


class ChangepointSummary(NamedTuple):
    """Present state and life-time figures."""

    state: int
    posterior_short_mass: float
    change_point_count: int
    max_run_length: int
    total_observations: int
    ewma_adverse_rate: float


@jitted
def init(state):
    """Start with a single run of length 0 and no observations."""
    for slot in range(RUN_LENGTHS + SLACK):
        state.mass[slot] = 0.0
        state.adverse_before[slot] = 0.0
    state.mass[SLACK] = 1.0
    state.total_mass = 1.0
    state.short_mass = 1.0
    state.ewma_adverse_rate = 0.0
    state.start = _SLACK
    state.longest = 0
    state.adverse_count = 0
    state.total_observations = 0
    state.change_point_count = 0
    state.max_run_length = 0
    state.state = 0


@jitted
def _move_window(state):
    """Copy the window to the end of the buffer; every 64 observations."""
    for run in range(_RUN_LENGTHS):
        slot = _LONGEST_RUN - run
        state.mass[slot + _SLACK] = state.mass[slot]
        state.adverse_before[slot + _SLACK] = state.adverse_before[slot]
    state.start = _SLACK


@jitted
def _grow_runs(state, adverse):
    """Weight every run by its prediction and its survival; returns the reset mass and the total."""
    start = state.start
    longest = np.uint64(state.longest)
    # Beta prior included; less the adverse count at its birth, this is a run's own count.
    adverse_and_prior = 1.0 + state.adverse_count
    # The longest run is set apart: the founding run has seen one observation less than its length
    # tells, and growth beyond the window is dropped while its reset mass is kept.
    oldest = start + longest
    total = state.longest + (2.0 if state.total_observations <= RUN_LENGTHS else 3.0)
    count = adverse_and_prior - state.adverse_before[oldest]
    survival = 1.0 - 1.0 / (state.longest + HAZARD_OFFSET)
    grown = state.mass[oldest] * ((count if adverse else total - count) / total) * survival
    state.mass[oldest] = 0.0
    # Slots beyond the longest run hold zeros, so both loops have constant bounds.
    if adverse:
        for run in range(_RUN_LENGTHS):
            count = adverse_and_prior - state.adverse_before[start + run]
            state.mass[start + run] *= count * SURVIVAL_OVER_TOTAL[run]
    else:
        for run in range(_RUN_LENGTHS):
            count = (PREDICTIVE_TOTAL[run] - adverse_and_prior) + state.adverse_before[start + run]
            state.mass[start + run] *= count * SURVIVAL_OVER_TOTAL[run]
    total_grown, reset = sum_and_weighted_sum(state.mass, start, RESET_ODDS)
    reset += grown * RESET_ODDS[longest]
    if longest < _LONGEST_RUN:
        state.mass[oldest] = grown
        total_grown += grown
        state.longest += 1
    return reset, reset + total_grown


@jitted
def _raise_max_run_length(state):
    """Compare the runs beyond the record with those below it; the shorter run wins a tie."""
    record = np.uint64(state.max_run_length)
    longest = np.uint64(state.longest)
    # Masses are positive, so their bit patterns order alike, and integer maxima vectorise.
    best = np.uint64(0)
    for run in range(record + _ONE):
        best = max(best, float64_bits(state.mass[state.start + run]))
    beyond = best
    for run in range(record + _ONE, longest + _ONE):
        beyond = max(beyond, float64_bits(state.mass[state.start + run]))
    if beyond > best:
        for run in range(record + _ONE, longest + _ONE):
            if float64_bits(state.mass[state.start + run]) == beyond:
                state.max_run_length = np.int64(run)
                break


@jitted
def _classify(observations, short_mass):
    if observations < WARMUP_OBSERVATIONS:
        return 0
    if short_mass >= CHANGE_POINT_MASS:
        return 3
    return 2 if short_mass >= DRIFT_MASS else 1


@jitted
def observe(state, adverse):
    """Add one outcome; returns the state code."""
    if state.start == np.uint64(0):
        _move_window(state)
    state.total_observations += 1
    reset, total = _grow_runs(state, adverse)
    start = state.start - _ONE
    state.start = start
    state.mass[start] = reset
    state.adverse_before[start] = state.adverse_count
    outcome = 0.0
    if adverse:
        state.adverse_count += 1
        outcome = 1.0
    state.ewma_adverse_rate = (EWMA_WEIGHT * outcome) + (
        (1.0 - EWMA_WEIGHT) * state.ewma_adverse_rate
    )
    if total < SMALL_TOTAL:
        for run in range(_RUN_LENGTHS):
            state.mass[start + run] *= LIFT
        total *= LIFT
    state.total_mass = total
    short = 0.0
    for run in range(_SHORT_RUN_LENGTHS):
        short += state.mass[start + run]
    state.short_mass = short / total
    if state.max_run_length < state.longest:
        _raise_max_run_length(state)
    code = _classify(state.total_observations, state.short_mass)
    if code == 3 and state.state != 3:
        state.change_point_count += 1
    state.state = code
    return code


@jitted
def current_state(state):
    """Return the state code."""
    return np.int64(state.state)


@jitted
def summary(state):
    """Return the state, the mass of short runs and the life-time figures."""
    return ChangepointSummary(
        np.int64(state.state),
        state.short_mass,
        state.change_point_count,
        state.max_run_length,
        state.total_observations,
        state.ewma_adverse_rate,
    )


class Changepoint(Monitor):
    """Bayesian online change-point detection on a stream of adverse / clean outcomes.

    Examples
    --------
    >>> monitor = Changepoint()
    >>> for _ in range(100):
    ...     state = monitor.observe(False)
    >>> state
    <ChangepointState.STABLE: 1>
    >>> for _ in range(4):
    ...     state = monitor.observe(True)
    >>> state
    <ChangepointState.CHANGE_POINT: 3>
    >>> monitor.summary().change_point_count
    1
    """

    STATE = STATE
    initialise = init
    observe = operation(observe, ChangepointState, adverse=flag)
    state = reading(current_state, ChangepointState)
    summary = operation(summary, named(ChangepointSummary, state=ChangepointState))

    def run_length_posterior(self):
        """Return the probabilities of the run lengths 0 to 255.

        Returns
        -------
        numpy.ndarray
            256 floats; they sum to one.
        """
        start = int(self.record["start"])
        return self.record["mass"][start : start + RUN_LENGTHS] / self.record["total_mass"]

    def run_counts(self):
        """Return, for every run length that is possible by now, what its run has seen.

        Returns
        -------
        adverse, observations : numpy.ndarray
            Counts, from run length 0 to the longest.
        """
        start, longest = int(self.record["start"]), int(self.record["longest"])
        before = self.record["adverse_before"][start : start + longest + 1].astype(np.int64)
        lengths = np.arange(1, longest + 2)
        observed = np.minimum(lengths, self.record["total_observations"])
        return self.record["adverse_count"] - before, observed
