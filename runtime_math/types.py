"""Enumerations shared by the kernel, its monitors and the membrane.

The integer values are part of the interface: traces, snapshots and jitted code
carry them as plain numbers.
"""

from enum import IntEnum


class SafetyLevel(IntEnum):
    """Operating mode: how much the caller wants to pay for safety."""

    STRICT = 0
    HARDENED = 1
    OFF = 2


class ApiFamily(IntEnum):
    """Family of the intercepted call; every per-family statistic has one slot for each."""

    POINTER_VALIDATION = 0
    ALLOCATOR = 1
    STRING_MEMORY = 2
    STDIO = 3
    THREADING = 4
    RESOLVER = 5
    MATH_FENV = 6
    LOADER = 7
    STDLIB = 8


class ValidationProfile(IntEnum):
    """Depth of validation that a call receives."""

    FAST = 0
    FULL = 1


class MembraneAction(IntEnum):
    """What the membrane does with a call."""

    ALLOW = 0
    FULL_VALIDATE = 1
    REPAIR = 2
    DENY = 3


class HealingAction(IntEnum):
    """Repair that accompanies `MembraneAction.REPAIR` (`NONE` with every other action)."""

    NONE = 0
    RETURN_SAFE_DEFAULT = 1
    UPGRADE_TO_SAFE_VARIANT = 2


class CheckStage(IntEnum):
    """Stages of pointer validation, in the membrane's default order."""

    NULL = 0
    TLS_CACHE = 1
    BLOOM = 2
    ARENA = 3
    FINGERPRINT = 4
    CANARY = 5
    BOUNDS = 6


class Probe(IntEnum):
    """Monitors that the design controller may switch off; the value is the bit in a mask."""

    SPECTRAL = 0
    ROUGH_PATH = 1
    PERSISTENCE = 2
    ANYTIME = 3
    CVAR = 4
    BRIDGE = 5
    LARGE_DEVIATIONS = 6
    HJI = 7
    MEAN_FIELD = 8
    PADIC = 9
    SYMPLECTIC = 10
    HIGHER_TOPOS = 11
    COMMITMENT_AUDIT = 12
    CHANGEPOINT = 13
    CONFORMAL = 14
    LOSS_MINIMIZER = 15
    COUPLING = 16


FAMILY_COUNT = len(ApiFamily)
PROFILE_COUNT = len(ValidationProfile)
PROBE_COUNT = len(Probe)
