"""Has a Bernoulli rate risen above the bound learnt from its own past?

A Shiryaev-Roberts e-detector. After every outcome x, for each of four alternatives q,

    R <- (1 + R) * (q^x (1-q)^(1-x)) / (p0^x (1-p0)^(1-x)),

and the value is a weighted mean of the four R. While the true rate is at most p0 each factor has
conditional mean at most one, so R - t is a supermartingale and, for any stopping time T,
E[R_T] <= E[T]: alarming at R >= A gives a mean time to a false alarm of at least A, whatever the
dependence between the outcomes. The mean of several such R is another one.

The ratios live in a record of their own, so one table can serve a detector per family and the
detector of the pooled stream, in which every call is judged by its own family's bound.

References
----------
.. [1] S. W. Roberts, "A comparison of some control chart procedures", Technometrics 8, 1966.
.. [2] M. Pollak, "Optimal detection of a change in distribution", Ann. Statist. 13(1), 1985.
.. [3] J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
       change detection", New England J. Statist. Data Sci. 2(2), 2023.
.. [4] V. Vovk, R. Wang, "E-values: calibration, combination and applications", Ann. Statist.
       49(3), 2021.
"""

from enum import IntEnum

import numpy as np

from runtime_math.monitors.base import Monitor, flag, member, operation, reading, real
from runtime_math.numerics.compilation import jitted

ALTERNATIVE_COUNT = 4
EVIDENCE_CAP = 1e12
SMALLEST_NULL = 1e-6
LARGEST_NULL = 0.9


class Kind(IntEnum):
    """Which alternatives a stream is tested against, and with which shares.

    SINGLE expects a rate of one source to jump, RARE and FAULT watch events that hardly ever
    happen, POOLED is SINGLE with more weight on slight but general rises.
    """

    SINGLE = 0
    RARE = 1
    FAULT = 2
    POOLED = 3


# q = max(factor * p0, floor), at most half-way from p0 to one; one row for each kind. The shares
# of the alternatives add to one: what matters most in a stream waits least.
_MANIFOLD = [2.5, 8.0, 1.5, 1.5]
_SLIGHT = [1.5, 1.5, 1.5, 1.5]
FACTORS = np.array([_MANIFOLD, _SLIGHT, _SLIGHT, _MANIFOLD])
FLOORS = np.array(
    [[0.0, 0.0, 0.25, 0.5], [0.05, 0.05, 0.3, 0.3], [0.2, 0.2, 0.5, 0.5], [0.0, 0.0, 0.25, 0.5]]
)
SHARES = np.array(
    [
        [0.10, 0.25, 0.50, 0.15],
        [0.40, 0.40, 0.10, 0.10],
        [0.25, 0.25, 0.25, 0.25],
        [0.25, 0.50, 0.20, 0.05],
    ]
)

RATIOS = np.dtype(
    [
        ("null_rate", np.float64),
        ("hit", np.float64, (ALTERNATIVE_COUNT,)),
        ("miss", np.float64, (ALTERNATIVE_COUNT,)),
    ],
    align=True,
)
EVIDENCE = np.dtype([("levels", np.float64, (ALTERNATIVE_COUNT,))], align=True)
STATE = np.dtype([("ratios", RATIOS), ("evidence", EVIDENCE), ("kind", np.int64)], align=True)


@jitted
def set_ratios(ratios, null_rate, kind):
    """Compute the likelihood ratios of all alternatives against a null rate."""
    p0 = min(max(null_rate, SMALLEST_NULL), LARGEST_NULL)
    ratios.null_rate = p0
    for index in range(ALTERNATIVE_COUNT):
        q = min(max(FACTORS[kind, index] * p0, FLOORS[kind, index]), 0.5 + 0.5 * p0)
        ratios.hit[index] = q / p0
        ratios.miss[index] = (1.0 - q) / (1.0 - p0)


@jitted
def step(evidence, ratios, hit, kind):
    """Add one outcome, judged by the given ratios; returns the detector's value."""
    total = 0.0
    if hit:
        for index in range(ALTERNATIVE_COUNT):
            level = min((1.0 + evidence.levels[index]) * ratios.hit[index], EVIDENCE_CAP)
            evidence.levels[index] = level
            total += SHARES[kind, index] * level
    else:
        for index in range(ALTERNATIVE_COUNT):
            level = min((1.0 + evidence.levels[index]) * ratios.miss[index], EVIDENCE_CAP)
            evidence.levels[index] = level
            total += SHARES[kind, index] * level
    return total


@jitted
def strongest(evidence):
    """Return the alternative with most evidence."""
    best = 0
    for index in range(1, ALTERNATIVE_COUNT):
        if evidence.levels[index] > evidence.levels[best]:
            best = index
    return best


@jitted
def restart(evidence):
    """Forget all evidence."""
    for index in range(ALTERNATIVE_COUNT):
        evidence.levels[index] = 0.0


@jitted
def init(state, null_rate, kind):
    """Start without evidence against the null rate."""
    state.kind = kind
    set_ratios(state.ratios, null_rate, kind)
    restart(state.evidence)


@jitted
def observe(state, hit):
    """Add one outcome; returns the detector's value."""
    return step(state.evidence, state.ratios, hit, state.kind)


@jitted
def set_null(state, null_rate):
    """Move the null rate; the evidence so far stays."""
    set_ratios(state.ratios, null_rate, state.kind)


@jitted
def forget(state):
    """Forget all evidence."""
    restart(state.evidence)


@jitted
def value(state):
    """Weighted mean of the alternatives; its mean grows by at most one per null outcome."""
    total = 0.0
    for index in range(ALTERNATIVE_COUNT):
        total += SHARES[state.kind, index] * state.evidence.levels[index]
    return total


def rate(name, value):
    """Validate a probability strictly between 0 and 1."""
    number = real(name, value)
    if not 0.0 < number < 1.0:
        raise ValueError(f"{name} must be between 0 and 1, both excluded, got {number}")
    return number


class RateDetector(Monitor):
    """Shiryaev-Roberts e-detector of a raised Bernoulli rate.

    Parameters
    ----------
    null_rate : float in (0, 1), default 0.01
        Largest rate that is still normal (kept within 1e-6 and 0.9).
    kind : Kind, default SINGLE
        Which alternatives to test against.

    Examples
    --------
    >>> detector = RateDetector(null_rate=0.01)
    >>> max(detector.observe(False) for _ in range(1000)) < 100
    True
    >>> detector.observe(True) < detector.observe(True) < detector.observe(True)
    True
    >>> detector.observe(True) > 10_000
    True
    """

    STATE = STATE
    PARAMETERS = {"null_rate": (rate, 0.01), "kind": (member(Kind), Kind.SINGLE)}
    initialise = init
    observe = operation(observe, hit=flag)
    set_null = operation(set_null, null_rate=rate)
    forget = operation(forget)
    value = reading(value)
