"""The online monitors: one controller per file, all of one shape (see `base`)."""

import importlib

MONITOR_NAMES = (
    "risk",
    "bandit",
    "control",
    "pareto",
    "barrier",
    "cohomology",
    "design",
    "check_oracle",
    "risk_engine",
    "tropical_latency",
    "quarantine_controller",
    "spectral_monitor",
    "rough_path",
    "persistence",
    "eprocess",
    "cvar",
    "schrodinger_bridge",
    "large_deviations",
    "hji_reachability",
    "mean_field_game",
    "padic_valuation",
    "symplectic_reduction",
    "higher_topos",
    "commitment_audit",
    "changepoint",
    "conformal",
    "loss_minimizer",
    "coupling",
    "microlocal",
    "serre_spectral",
    "clifford",
    "ktheory",
    "covering_array",
    "derived_tstructure",
    "pomdp_repair",
    "admm_budget",
    "sparse",
    "equivariant",
    "provenance_info",
    "grothendieck_glue",
    "grobner_normalizer",
    "atiyah_bott",
    "sos_invariant",
    "obstruction_detector",
    "operator_norm",
    "fusion",
)


def __getattr__(name):
    if name in MONITOR_NAMES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
