"""In which mode does the membrane run?

Strict only reports, hardened reports and heals, off lets everything pass. The words of the
environment variable and of the programming interface differ in one point: off can be asked for by
a program, never by the environment. A pipeline reads its mode once, at construction.
"""

from runtime_math.config import configured_mode, parse_mode
from runtime_math.types import SafetyLevel

OFF_WORDS = frozenset(("off", "none", "disabled"))

__all__ = [
    "configured_mode",
    "heals_enabled",
    "parse_env",
    "parse_loose",
    "validation_enabled",
]


def parse_env(text):
    """Mode that a value of ``GLIBC_RUST_MODE`` stands for; never OFF.

    Parameters
    ----------
    text : str or None
        None: the variable is not set.

    Returns
    -------
    SafetyLevel

    Examples
    --------
    >>> parse_env("REPAIR"), parse_env("off")
    (<SafetyLevel.HARDENED: 1>, <SafetyLevel.STRICT: 0>)
    """
    return parse_mode(text)


def parse_loose(text):
    """Mode that a word given by a program stands for; unlike the environment it can say off.

    Parameters
    ----------
    text : str
        Compared in any case, blanks included.

    Returns
    -------
    SafetyLevel

    Examples
    --------
    >>> parse_loose("Disabled"), parse_loose(" off")
    (<SafetyLevel.OFF: 2>, <SafetyLevel.STRICT: 0>)
    """
    return SafetyLevel.OFF if text.lower() in OFF_WORDS else parse_mode(text)


def heals_enabled(mode):
    """Whether a mode repairs unsafe calls."""
    return mode == SafetyLevel.HARDENED


def validation_enabled(mode):
    """Whether a mode looks at pointers at all."""
    return mode != SafetyLevel.OFF
