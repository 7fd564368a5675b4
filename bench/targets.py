"""The benchmarks that every optimisation is judged by.

``python -m profiling record --all`` records them, and the page of measured performance shows where
their time goes.
"""

from bench.benchmark import MODES

TARGETS = tuple(
    f"{name}/{mode}"
    for name in (
        "runtime_math/decide",
        "runtime_math/observe_fast",
        "runtime_math/decide_observe",
        "validate_known",
    )
    for mode in MODES
)
