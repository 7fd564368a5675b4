"""Runtime math kernel: microsecond decisions about how deeply to check a call."""

import importlib
from typing import TYPE_CHECKING, Any

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

# For type checkers, which take "as" for an offer to others; at run time they are loaded lazily.
if TYPE_CHECKING:
    from runtime_math.batches import replay_ensemble as replay_ensemble
    from runtime_math.config import configured_mode as configured_mode
    from runtime_math.config import parse_mode as parse_mode
    from runtime_math.explanation import Explanation as Explanation
    from runtime_math.faithful.snapshot import KernelSnapshot as KernelSnapshot
    from runtime_math.faithful.state import KERNEL_STATE as KERNEL_STATE
    from runtime_math.faithful.state import new_state as new_state
    from runtime_math.kernel import RuntimeMathKernel as RuntimeMathKernel
    from runtime_math.records import CONTEXT as CONTEXT
    from runtime_math.records import DECISION as DECISION
    from runtime_math.records import EVENT as EVENT
    from runtime_math.records import OUTCOME as OUTCOME
    from runtime_math.records import RESULT as RESULT
    from runtime_math.records import EventKind as EventKind
    from runtime_math.statefile import StateFileError as StateFileError
    from runtime_math.trace import TraceError as TraceError
    from runtime_math.trace import read_events as read_events
    from runtime_math.trace import read_rows as read_rows
    from runtime_math.types import ApiFamily as ApiFamily
    from runtime_math.types import CheckStage as CheckStage
    from runtime_math.types import HealingAction as HealingAction
    from runtime_math.types import MembraneAction as MembraneAction
    from runtime_math.types import Probe as Probe
    from runtime_math.types import RuntimeContext as RuntimeContext
    from runtime_math.types import RuntimeDecision as RuntimeDecision
    from runtime_math.types import SafetyLevel as SafetyLevel
    from runtime_math.types import ValidationProfile as ValidationProfile


def __getattr__(name: str) -> Any:
    # Loaded on first use: importing one name does not pay for compiling tools and formats.
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
