"""What a validation can find."""

from enum import IntEnum
from typing import NamedTuple


class Outcome(IntEnum):
    """What an address is. The codes from 6 on appear under the repaired rules only."""

    NULL = 0
    CACHED_VALID = 1
    VALIDATED = 2
    FOREIGN = 3
    TEMPORAL_VIOLATION = 4
    BYPASSED = 5
    ONE_PAST_END = 6
    OUT_OF_BOUNDS = 7
    RELEASED = 8
    CORRUPTED = 9
    WILD = 10


# The codes as plain numbers, for jitted code.
(
    NULL,
    CACHED_VALID,
    VALIDATED,
    FOREIGN,
    TEMPORAL_VIOLATION,
    BYPASSED,
    ONE_PAST_END,
    OUT_OF_BOUNDS,
    RELEASED,
    CORRUPTED,
    WILD,
) = map(int, Outcome)

# Nothing is known about a block.
WITHOUT_BLOCK = (NULL, FOREIGN, BYPASSED, WILD)
# What must not be used, and is reported to the kernel so; one past the end may at least be named.
ADVERSE = (TEMPORAL_VIOLATION, OUT_OF_BOUNDS, RELEASED, CORRUPTED, WILD)


class Validation(NamedTuple):
    """Result of a validation as plain numbers.

    `base`, `remaining` and `generation` mean something for outcomes that are not `WITHOUT_BLOCK`.
    """

    outcome: int
    address: int
    state: int
    base: int
    remaining: int
    generation: int
