"""The configured mode, read from the environment variable ``GLIBC_RUST_MODE``."""

import os

from runtime_math.types import SafetyLevel

MODE_VARIABLE = "GLIBC_RUST_MODE"

_SPELLINGS = {
    "strict": SafetyLevel.STRICT,
    "default": SafetyLevel.STRICT,
    "abi": SafetyLevel.STRICT,
    "hardened": SafetyLevel.HARDENED,
    "repair": SafetyLevel.HARDENED,
    "tsm": SafetyLevel.HARDENED,
    "full": SafetyLevel.HARDENED,
}


def parse_mode(text: str | None) -> SafetyLevel:
    """Mode that a value of ``GLIBC_RUST_MODE`` stands for.

    Parameters
    ----------
    text : str or None
        ``strict``, ``default`` or ``abi``; ``hardened``, ``repair``, ``tsm`` or ``full``, in any
        case. Blanks are not trimmed.

    Returns
    -------
    SafetyLevel
        STRICT for anything else, unset included; OFF cannot be reached from the environment.

    Examples
    --------
    >>> parse_mode("Hardened")
    <SafetyLevel.HARDENED: 1>
    >>> parse_mode("off")
    <SafetyLevel.STRICT: 0>
    """
    return _SPELLINGS.get((text or "").lower(), SafetyLevel.STRICT)


_configured: SafetyLevel | None = None


def configured_mode() -> SafetyLevel:
    """Mode of this process: read from the environment once, then kept.

    Returns
    -------
    SafetyLevel
    """
    global _configured
    if _configured is None:
        _configured = parse_mode(os.environ.get(MODE_VARIABLE))
    return _configured
