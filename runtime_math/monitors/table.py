"""The table of the monitors: their names, and what each of them means for the risk of a decision.

The first 31 signals are, in this order, the severity vector of the fusion controller; the first
25 are the one that the severity-driven monitors are fed.
"""

from dataclasses import dataclass
from enum import IntEnum


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


@dataclass(frozen=True)
class Codes:
    """The kernel caches the monitor's code, and every code adds to the risk.

    Parameters
    ----------
    signal : Signal
        Under which index the code is cached.
    bonus_ppm : tuple of int
        Risk in ppm that the codes 1 to 4 add to a decision; code 0 adds nothing anywhere.
    """

    signal: Signal
    bonus_ppm: tuple[int, int, int, int]


@dataclass(frozen=True)
class Term:
    """The kernel reads the monitor in another way: a term of the risk, or a part of the rules."""

    what: str


@dataclass(frozen=True)
class Alone:
    """The monitor is used by itself; the kernel, which is its original's, does not feed it."""


# In the order in which the monitors lie in a kernel's record.
TABLE: dict[str, Codes | Term | Alone] = {
    "risk": Term("base rate bound"),
    "bandit": Term("proposes the profile"),
    "control": Term("limits and triggers"),
    "pareto": Term("proposes the profile"),
    "barrier": Term("admissibility"),
    "cohomology": Term("consistency faults"),
    "design": Term("probe plan, poor identifiability"),
    "check_oracle": Term("oracle bias"),
    "risk_engine": Term("sampled risk"),
    "tropical_latency": Term("latency over budget"),
    "quarantine_controller": Term("quarantine depth"),
    "spectral_monitor": Codes(Signal.SPECTRAL, (50_000, 100_000, 0, 0)),
    "rough_path": Codes(Signal.SIGNATURE, (0, 75_000, 0, 0)),
    "persistence": Codes(Signal.TOPOLOGICAL, (0, 80_000, 0, 0)),
    "eprocess": Codes(Signal.ANYTIME, (0, 60_000, 150_000, 0)),
    "cvar": Codes(Signal.CVAR, (0, 45_000, 130_000, 0)),
    "schrodinger_bridge": Codes(Signal.BRIDGE, (0, 90_000, 0, 0)),
    "large_deviations": Codes(Signal.LARGE_DEVIATIONS, (0, 55_000, 140_000, 0)),
    "hji_reachability": Codes(Signal.HJI, (0, 70_000, 200_000, 0)),
    "mean_field_game": Codes(Signal.MEAN_FIELD, (0, 40_000, 100_000, 0)),
    "padic_valuation": Codes(Signal.PADIC, (0, 45_000, 110_000, 0)),
    "symplectic_reduction": Codes(Signal.SYMPLECTIC, (0, 50_000, 120_000, 0)),
    "higher_topos": Codes(Signal.HIGHER_TOPOS, (0, 45_000, 110_000, 0)),
    "commitment_audit": Codes(Signal.COMMITMENT_AUDIT, (0, 55_000, 130_000, 0)),
    "changepoint": Codes(Signal.CHANGEPOINT, (0, 50_000, 140_000, 0)),
    "conformal": Codes(Signal.CONFORMAL, (0, 45_000, 120_000, 0)),
    "loss_minimizer": Codes(Signal.LOSS_MINIMIZER, (0, 35_000, 50_000, 160_000)),
    "coupling": Codes(Signal.COUPLING, (0, 30_000, 65_000, 170_000)),
    "microlocal": Codes(Signal.MICROLOCAL, (0, 55_000, 130_000, 0)),
    "serre_spectral": Codes(Signal.SERRE, (0, 50_000, 140_000, 0)),
    "clifford": Codes(Signal.CLIFFORD, (0, 45_000, 120_000, 0)),
    "ktheory": Codes(Signal.KTHEORY, (0, 50_000, 130_000, 0)),
    "covering_array": Codes(Signal.COVERING, (0, 40_000, 100_000, 0)),
    "derived_tstructure": Codes(Signal.TSTRUCTURE, (0, 55_000, 140_000, 0)),
    "pomdp_repair": Codes(Signal.POMDP, (0, 50_000, 120_000, 0)),
    "admm_budget": Codes(Signal.ADMM, (0, 45_000, 130_000, 0)),
    "sparse": Codes(Signal.SPARSE, (0, 40_000, 70_000, 150_000)),
    "equivariant": Codes(Signal.EQUIVARIANT, (0, 60_000, 160_000, 0)),
    "provenance_info": Codes(Signal.PROVENANCE, (0, 55_000, 160_000, 0)),
    "grothendieck_glue": Codes(Signal.GROTHENDIECK, (0, 55_000, 140_000, 0)),
    "grobner_normalizer": Codes(Signal.GROBNER, (0, 50_000, 170_000, 0)),
    "atiyah_bott": Codes(Signal.ATIYAH_BOTT, (0, 45_000, 150_000, 0)),
    "sos_invariant": Codes(Signal.SOS, (0, 60_000, 180_000, 0)),
    "obstruction_detector": Codes(Signal.OBSTRUCTION, (0, 50_000, 160_000, 0)),
    "operator_norm": Codes(Signal.OPERATOR_NORM, (0, 55_000, 170_000, 0)),
    "fusion": Term("fusion bonus"),
}
