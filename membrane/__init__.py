"""Pointer validation over real memory: what a memory layer puts in front of every pointer use."""

from membrane.blocks.arena import FreeResult
from membrane.blocks.lattice import SafetyState
from membrane.blocks.lookup import Place
from membrane.blocks.memory_source import MemorySource, RegionSource
from membrane.calls.default_pipeline import default_pipeline
from membrane.calls.foreign_guard import guard
from membrane.calls.guard_base import Guard
from membrane.calls.guarded_call import Call
from membrane.calls.guarded_functions import GuardedFunctions, guard_library, unreleased
from membrane.declarations.sizes import argument, pointee, terminated
from membrane.errors import (
    CorruptionError,
    DeniedError,
    DoubleFreeError,
    ForeignFreeError,
    InvalidFreeError,
    MembraneError,
    NullPointerError,
    OutOfBoundsError,
    OverlapError,
    SizeOverflowError,
    UnsafePointerError,
    UnterminatedStringError,
    UseAfterFreeError,
    WildPointerError,
    WrongKindError,
)
from membrane.pipeline.handle import Handle
from membrane.pipeline.outcome import ValidationOutcome
from membrane.pipeline.validation_pipeline import ValidationPipeline
from membrane.stages.heal import Healing, HealingPlan
from membrane.stages.outcomes import Outcome

__all__ = [
    "Call",
    "CorruptionError",
    "DeniedError",
    "DoubleFreeError",
    "ForeignFreeError",
    "FreeResult",
    "Guard",
    "GuardedFunctions",
    "Handle",
    "Healing",
    "HealingPlan",
    "InvalidFreeError",
    "MembraneError",
    "MemorySource",
    "NullPointerError",
    "OutOfBoundsError",
    "Outcome",
    "OverlapError",
    "Place",
    "RegionSource",
    "SafetyState",
    "SizeOverflowError",
    "UnsafePointerError",
    "UnterminatedStringError",
    "UseAfterFreeError",
    "ValidationOutcome",
    "ValidationPipeline",
    "WildPointerError",
    "WrongKindError",
    "argument",
    "default_pipeline",
    "guard",
    "guard_library",
    "pointee",
    "terminated",
    "unreleased",
]
