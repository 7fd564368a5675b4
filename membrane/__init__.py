"""Pointer validation over real memory: what a memory layer puts in front of every pointer use."""

from membrane.arena import FreeResult
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
)
from membrane.guarding import argument, default_pipeline, guard, pointee, terminated
from membrane.handle import Handle
from membrane.heal import Healing, HealingPlan
from membrane.lattice import SafetyState
from membrane.pipeline import ValidationOutcome, ValidationPipeline
from membrane.ptr_validator import Outcome
from membrane.repairs import Call
from membrane.search import Place
from membrane.source import MemorySource, RegionSource

__all__ = [
    "Call",
    "CorruptionError",
    "DeniedError",
    "DoubleFreeError",
    "ForeignFreeError",
    "FreeResult",
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
    "argument",
    "default_pipeline",
    "guard",
    "pointee",
    "terminated",
]
