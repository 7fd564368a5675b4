"""Enumerations and value types shared by the kernel, its monitors and the membrane.

The integer values are part of the interface: traces, snapshots and jitted code
carry them as plain numbers.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple, Self, SupportsIndex

from runtime_math import validation
from runtime_math.decision import pack_decision, unpack_decision  # noqa: F401 - offered here too


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

# A whole in parts per million. A plain integer: jitted code divides by it in 64-bit floats.
PPM = 1_000_000


class RuntimeContext(
    NamedTuple(
        "RuntimeContext",
        [
            ("family", ApiFamily),
            ("addr_hint", int),
            ("requested_bytes", int),
            ("is_write", bool),
            ("contention_hint", int),
            ("bloom_negative", bool),
        ],
    )
):
    """What is known about a call before it is decided how deeply to check it.

    An immutable tuple, validated once when it is made, so that deciding on it costs no checks.

    Parameters
    ----------
    family : ApiFamily or int
        Family of the call.
    addr_hint : int
        Address the call is about, 0 to 2^64 - 1.
    requested_bytes : int
        Size of the request in bytes, 0 to 2^64 - 1.
    is_write : bool
        Whether the call writes to the address.
    contention_hint : int
        Number of threads competing, 0 to 65535.
    bloom_negative : bool
        Whether the ownership filter has ruled the address out.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, its value and the range allowed.

    Examples
    --------
    >>> RuntimeContext(ApiFamily.ALLOCATOR, 0x7F00_0000_1000, 64, True).requested_bytes
    64
    >>> RuntimeContext(ApiFamily.ALLOCATOR, -1, 64, True)
    Traceback (most recent call last):
        ...
    ValueError: addr_hint must be an integer from 0 to 18446744073709551615, got -1
    """

    __slots__ = ()

    def __new__(
        cls,
        family: ApiFamily | int,
        addr_hint: SupportsIndex,
        requested_bytes: SupportsIndex = 0,
        is_write: bool = False,
        contention_hint: SupportsIndex = 0,
        bloom_negative: bool = False,
    ) -> Self:
        return super().__new__(
            cls,
            ApiFamily(_FAMILY("family", family)),
            _ADDRESS("addr_hint", addr_hint),
            _ADDRESS("requested_bytes", requested_bytes),
            validation.flag("is_write", is_write),
            validation.uint16("contention_hint", contention_hint),
            validation.flag("bloom_negative", bloom_negative),
        )

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:  # type: ignore[override]
        return cls(*iterable)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)

    @classmethod
    def pointer_validation(cls, addr_hint: SupportsIndex, bloom_negative: bool = False) -> Self:
        """Context of validating one pointer: its address and the ownership filter's answer."""
        return cls(ApiFamily.POINTER_VALIDATION, addr_hint, 0, False, 0, bloom_negative)


class RuntimeDecision(NamedTuple):
    """How deeply a call is checked, and what is done with it.

    Attributes
    ----------
    profile : ValidationProfile
        Depth of validation.
    action : MembraneAction
        What the membrane does.
    healing : HealingAction
        The repair that accompanies `MembraneAction.REPAIR`, otherwise NONE.
    policy_id : int
        Mode, family, profile and action in one number:
        ``mode_tag << 28 | family << 16 | profile_tag << 8 | action_tag``, tags counted from 1.
    risk_upper_bound_ppm : int
        Upper bound of the risk, in parts per million, 0 to 1 000 000.

    Examples
    --------
    >>> decision = RuntimeDecision.unpack(pack_decision(0, 1, 0, 1, 0, 20_000))
    >>> decision.action.name, hex(decision.policy_id), decision.requires_full_validation
    ('FULL_VALIDATE', '0x10010102', True)
    """

    profile: ValidationProfile
    action: MembraneAction
    healing: HealingAction
    policy_id: int
    risk_upper_bound_ppm: int

    @property
    def requires_full_validation(self) -> bool:
        """Whether the profile is full, or the action is full-validate or repair."""
        return self.profile == ValidationProfile.FULL or self.action in (
            MembraneAction.FULL_VALIDATE,
            MembraneAction.REPAIR,
        )

    @classmethod
    def unpack(cls, packed: int) -> Self:
        """Decision from the integer that jitted code returns (see `runtime_math.decision`)."""
        parts = unpack_decision.py_func(packed)
        return cls(
            ValidationProfile(parts.profile),
            MembraneAction(parts.action),
            HealingAction(parts.healing),
            parts.policy_id,
            parts.risk_upper_bound_ppm,
        )


_FAMILY = validation.member(ApiFamily)
_ADDRESS = validation.integer(0, 2**64 - 1)
