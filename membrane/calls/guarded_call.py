"""How a guarded call ends: by running, by running repaired, or by an exception.

Strict mode raises the fault. Hardened mode makes the repair, counts it in the pipeline's healing
policy and metrics, logs it, and returns it with the result.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

from membrane.errors import DeniedError, UnsafePointerError
from membrane.pipeline.validation_pipeline import ValidationPipeline
from membrane.stages.heal import NO_HEALING, Healing, HealingPlan
from membrane.stages.metrics import Counter
from runtime_math.types import (
    ApiFamily,
    HealingAction,
    MembraneAction,
    RuntimeContext,
    RuntimeDecision,
    SafetyLevel,
    ValidationProfile,
)

Value = TypeVar("Value")
logger = logging.getLogger("membrane")

_METRICS = {
    Healing.CLAMP_SIZE: Counter.SIZE_CLAMPS,
    Healing.TRUNCATE_WITH_NULL: Counter.SIZE_CLAMPS,
    Healing.IGNORE_DOUBLE_FREE: Counter.DOUBLE_FREES_HEALED,
    Healing.IGNORE_FOREIGN_FREE: Counter.FOREIGN_FREES_HEALED,
}
CALL_COST_NS = 10
LARGEST_WORD = 2**64 - 1


class Call(NamedTuple, Generic[Value]):
    """Result of a guarded call.

    Attributes
    ----------
    value : object
        Of a guard: what the function returned, None where it was not called. Of the functions of
        `membrane.libc`: what each documents (the bytes copied, where C returns its first argument).
    healing : HealingPlan
        The repair that was made, of kind NONE if none was needed.
    """

    value: Value
    healing: HealingPlan = NO_HEALING


class CallSession:
    """One guarded call: its faults, its repair, and what the kernel hears of it.

    Parameters
    ----------
    pipeline : ValidationPipeline
    function : str
        Name for messages.
    family : ApiFamily
    """

    def __init__(self, pipeline: ValidationPipeline, function: str, family: ApiFamily) -> None:
        self.pipeline = pipeline
        self.function = function
        self.family = family
        self.healing = NO_HEALING
        self.adverse = False
        self.profile = ValidationProfile.FAST

    @property
    def heals(self) -> bool:
        """Whether faults are repaired, not raised."""
        return self.pipeline.mode == SafetyLevel.HARDENED

    def decide(self, address: int, size: int, is_write: bool) -> RuntimeDecision | None:
        """Ask the kernel about the call; None where the pipeline has none."""
        kernel = self.pipeline.kernel
        if kernel is None:
            return None
        context = RuntimeContext(self.family, address, min(size, LARGEST_WORD), is_write)
        decision: RuntimeDecision = kernel.decide(self.pipeline.mode, context)
        self.profile = decision.profile
        return decision

    def may_allocate(self, size: int) -> bool:
        """Ask the kernel about a request for memory.

        Returns
        -------
        bool
            False when it must not be served (hardened).

        Raises
        ------
        DeniedError
            It must not be served (strict).
        """
        decision = self.decide(0, size, True)
        if decision is None:
            return True
        if decision.action == MembraneAction.DENY:
            self.adverse = True
            raise DeniedError(f"{self.function}: the kernel refused a request of {size} bytes")
        if decision.healing == HealingAction.RETURN_SAFE_DEFAULT:
            self.repair(Healing.RETURN_SAFE_DEFAULT, size, 0, "the kernel refused the request")
            return False
        return True

    def fail(
        self,
        error: UnsafePointerError,
        kind: Healing = Healing.RETURN_SAFE_DEFAULT,
        requested: int = 0,
        applied: int = 0,
    ) -> None:
        """Raise a fault in strict mode; in hardened mode make its repair."""
        self.adverse = True
        if not self.heals:
            error.args = (f"{self.function}: {error}",)
            raise error
        self.repair(kind, requested, applied, str(error))

    def repair(self, kind: Healing, requested: int, applied: int, reason: str) -> None:
        """Note a repair: in the result, the counters and the log."""
        self.adverse = True
        self.healing = HealingPlan(kind, requested, applied)
        self.pipeline.note_healing(kind, _METRICS.get(kind))
        logger.warning(
            "%s: %s -> %s (%d -> %d)", self.function, reason, kind.name.lower(), requested, applied
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.pipeline.kernel is not None:
            self.pipeline.kernel.observe_validation_result(
                self.family, self.profile, CALL_COST_NS, self.adverse
            )

    def result(self, value: Value) -> Call[Value]:
        """Build the result of the call."""
        return Call(value, self.healing)
