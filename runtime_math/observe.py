"""One outcome, fed to every monitor in the order of the specification. Everything here is jitted.

Three groups of monitors follow one another: those that decisions read directly, the probes that
the latest plan selected, and those that always run, the last of which are fed with the codes of
all the others.
"""

import math

import numpy as np

from runtime_math.decide import FAST_PATH_EXIT, FULL_CHECK_EXIT, HARDENED, NO_EXIT, PPM
from runtime_math.monitors import (
    admm_budget,
    atiyah_bott,
    bandit,
    changepoint,
    check_oracle,
    clifford,
    commitment_audit,
    conformal,
    control,
    coupling,
    covering_array,
    cvar,
    derived_tstructure,
    design,
    eprocess,
    equivariant,
    fusion,
    grobner_normalizer,
    grothendieck_glue,
    higher_topos,
    hji_reachability,
    ktheory,
    large_deviations,
    loss_minimizer,
    mean_field_game,
    microlocal,
    obstruction_detector,
    operator_norm,
    padic_valuation,
    pareto,
    persistence,
    pomdp_repair,
    provenance_info,
    quarantine_controller,
    risk,
    rough_path,
    schrodinger_bridge,
    serre_spectral,
    sos_invariant,
    sparse,
    spectral_monitor,
    symplectic_reduction,
    tropical_latency,
)
from runtime_math.numerics.compilation import jitted
from runtime_math.signals import Signal, publish
from runtime_math.types import ApiFamily, Probe
