"""The monitors' codes as the kernel caches them: their order, and the risk each code adds.

The first 31 signals are, in this order, the severity vector of the fusion controller; the first
25 are the one that the severity-driven monitors are fed. Three of them have one code per family.
"""

from enum import IntEnum

import numpy as np

from runtime_math.numerics.compilation import jitted


class Signal(IntEnum):
    """Index of a monitor's cached code."""

    SPECTRAL = 0
    SIGNATURE = 1
    TOPOLOGICAL = 2
    ANYTIME = 3
    CVAR = 4
    BRIDGE = 5
    LARGE_DEVIATIONS = 6
    HJI = 7
    MEAN_FIELD = 8
    PADIC = 9
    SYMPLECTIC = 10
    SPARSE = 11
    EQUIVARIANT = 12
    HIGHER_TOPOS = 13
    COMMITMENT_AUDIT = 14
    CHANGEPOINT = 15
    CONFORMAL = 16
    LOSS_MINIMIZER = 17
    COUPLING = 18
    MICROLOCAL = 19
    SERRE = 20
    CLIFFORD = 21
    KTHEORY = 22
    COVERING = 23
    TSTRUCTURE = 24
    ATIYAH_BOTT = 25
    POMDP = 26
    SOS = 27
    ADMM = 28
    OBSTRUCTION = 29
    OPERATOR_NORM = 30
    PROVENANCE = 31
    GROBNER = 32
    GROTHENDIECK = 33


SIGNAL_COUNT = len(Signal)
CODE_COUNT = 5

# Signals with one code per API family; their slot in the vectors holds the observed family's.
FAMILY_SIGNALS = (Signal.ANYTIME, Signal.CVAR, Signal.LARGE_DEVIATIONS)

# Risk in ppm that each code adds to a decision; code 0 adds nothing anywhere.
_BONUS_OF_CODES = {
    Signal.SPECTRAL: (50_000, 100_000, 0, 0),
    Signal.SIGNATURE: (0, 75_000, 0, 0),
    Signal.TOPOLOGICAL: (0, 80_000, 0, 0),
    Signal.ANYTIME: (0, 60_000, 150_000, 0),
    Signal.CVAR: (0, 45_000, 130_000, 0),
    Signal.BRIDGE: (0, 90_000, 0, 0),
    Signal.LARGE_DEVIATIONS: (0, 55_000, 140_000, 0),
    Signal.HJI: (0, 70_000, 200_000, 0),
    Signal.MEAN_FIELD: (0, 40_000, 100_000, 0),
    Signal.PADIC: (0, 45_000, 110_000, 0),
    Signal.SYMPLECTIC: (0, 50_000, 120_000, 0),
    Signal.SPARSE: (0, 40_000, 70_000, 150_000),
    Signal.EQUIVARIANT: (0, 60_000, 160_000, 0),
    Signal.HIGHER_TOPOS: (0, 45_000, 110_000, 0),
    Signal.COMMITMENT_AUDIT: (0, 55_000, 130_000, 0),
    Signal.CHANGEPOINT: (0, 50_000, 140_000, 0),
    Signal.CONFORMAL: (0, 45_000, 120_000, 0),
    Signal.LOSS_MINIMIZER: (0, 35_000, 50_000, 160_000),
    Signal.COUPLING: (0, 30_000, 65_000, 170_000),
    Signal.MICROLOCAL: (0, 55_000, 130_000, 0),
    Signal.SERRE: (0, 50_000, 140_000, 0),
    Signal.CLIFFORD: (0, 45_000, 120_000, 0),
    Signal.KTHEORY: (0, 50_000, 130_000, 0),
    Signal.COVERING: (0, 40_000, 100_000, 0),
    Signal.TSTRUCTURE: (0, 55_000, 140_000, 0),
    Signal.ATIYAH_BOTT: (0, 45_000, 150_000, 0),
    Signal.POMDP: (0, 50_000, 120_000, 0),
    Signal.SOS: (0, 60_000, 180_000, 0),
    Signal.ADMM: (0, 45_000, 130_000, 0),
    Signal.OBSTRUCTION: (0, 50_000, 160_000, 0),
    Signal.OPERATOR_NORM: (0, 55_000, 170_000, 0),
    Signal.PROVENANCE: (0, 55_000, 160_000, 0),
    Signal.GROBNER: (0, 50_000, 170_000, 0),
    Signal.GROTHENDIECK: (0, 55_000, 140_000, 0),
}

BONUS_PPM = np.zeros((SIGNAL_COUNT, CODE_COUNT), np.int64)
for _signal, _bonuses in _BONUS_OF_CODES.items():
    BONUS_PPM[_signal, 1:] = _bonuses


@jitted
def publish(state, signal, code):
    """Cache a monitor's code and keep the sum of all monitors' bonuses up to date."""
    previous = state.codes[signal]
    if code != previous:
        state.monitor_bonus_ppm += BONUS_PPM[signal, code] - BONUS_PPM[signal, previous]
        state.codes[signal] = code
