"""Runtime math kernel: microsecond decisions about how deeply to check a call."""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_EXPORTS = {
    "kernel": ("RuntimeMathKernel",),
    "explanation": ("Explanation",),
    "faithful.snapshot": ("KernelSnapshot",),
    "batches": ("replay_ensemble",),
    "statefile": ("StateFileError",),
    "trace": ("TraceError", "read_events", "read_rows"),
    "config": ("configured_mode", "parse_mode"),
    "records": ("CONTEXT", "DECISION", "EVENT", "OUTCOME", "RESULT", "EventKind"),
    "faithful.state": ("KERNEL_STATE", "new_state"),
    "types": (
        "ApiFamily",
        "CheckStage",
        "HealingAction",
        "MembraneAction",
        "Probe",
        "RuntimeContext",
        "RuntimeDecision",
        "SafetyLevel",
        "ValidationProfile",
    ),
}
_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = [*_MODULE_OF, "__version__"]

if TYPE_CHECKING:
    from runtime_math.batches import replay_ensemble
    from runtime_math.config import configured_mode, parse_mode
    from runtime_math.explanation import Explanation
    from runtime_math.faithful.snapshot import KernelSnapshot
    from runtime_math.faithful.state import KERNEL_STATE, new_state
    from runtime_math.kernel import RuntimeMathKernel
    from runtime_math.records import CONTEXT, DECISION, EVENT, OUTCOME, RESULT, EventKind
    from runtime_math.statefile import StateFileError
    from runtime_math.trace import TraceError, read_events, read_rows
    from runtime_math.types import (
        ApiFamily,
        CheckStage,
        HealingAction,
        MembraneAction,
        Probe,
        RuntimeContext,
        RuntimeDecision,
        SafetyLevel,
        ValidationProfile,
    )


def __getattr__(name):
    # Loaded on first use: importing one name does not pay for compiling tools and formats.
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
