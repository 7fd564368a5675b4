"""What a stream of evidence is made of: one `Detector`, put together by the module it lives in."""

from dataclasses import dataclass
from typing import Any

from runtime_math.calibrated.assembly import Jitted, nothing, written
from runtime_math.calibrated.sights import Moment


@dataclass(frozen=True, kw_only=True)
class Detector:
    """An e-detector at its place in the policy: its part of the record, and what is done to it.

    All functions are jitted and take the policy's record first. Where a stream has no such step,
    its module says so by `nothing`; none may be left out.

    Parameters
    ----------
    moment : Moment
        When it is fed.
    fields : tuple of (str, numpy.dtype) or (str, numpy.dtype, shape)
        Its part of the policy's record: evidence, and baselines that others may read.
    start : jitted function
        ``start(state)``: know only the priors. The evidence is left to `restart`.
    restart : jitted function
        ``restart(state)``, or ``restart(state, family)`` if there is a detector for each family:
        forget all evidence; what was learnt stays.
    step : jitted function
        ``step(state, sight)``: take in what the moment shows; returns the e-detector's value.
    remember : jitted function
        ``remember(state, sight)``: bits to be learnt from later (for an overlap check, with the
        sight of the next outcome).
    bits : int
        Mask of the bits that `remember` may set.
    learn : jitted function
        ``learn(state, family, payload, weights)``: learn from what left the queue.
    lighten : jitted function
        ``lighten(state, factor)``: let new observations weigh so much more than old ones.
    accept : jitted function
        ``accept(state, family, factor)``: take a family's present behaviour for its usual one.
    per_family : bool
        Whether there is one for each family.
    focus : jitted function, optional
        ``focus(state, slot)``: which of its alternatives raised an alarm.
    focused : jitted function, optional
        ``focused(state, slot, focus)``: evidence for that alternative, unweighted. By default the
        stream's evidence.
    """

    moment: Moment
    fields: tuple[tuple[Any, ...], ...]
    start: Jitted
    restart: Jitted
    step: Jitted
    remember: Jitted
    bits: int
    learn: Jitted
    lighten: Jitted
    accept: Jitted
    per_family: bool = False
    focus: Jitted | None = None
    focused: Jitted | None = None

    def __post_init__(self) -> None:
        if (self.remember is nothing) != (self.bits == 0):
            raise ValueError("a detector that remembers has bits, and only such a one")


def _name(verb: str, field: str) -> str:
    return f"{verb}_{field.replace('.', '_')}"


def restarting(field: str, forget: Jitted, per_family: bool = False) -> Jitted:
    """Make the `restart` that forgets the evidence in one field of the policy's record."""
    name = _name("restart", field)
    if per_family:
        return written(f"{name}(state, family)", [f"forget(state.{field}[family])"], forget=forget)
    return written(f"{name}(state)", [f"forget(state.{field})"], forget=forget)


def lightening(field: str) -> Jitted:
    """Make the `lighten` of a baseline that keeps its unit weight in one field."""
    name = _name("lighten", field)
    return written(f"{name}(state, factor)", [f"state.{field}.unit *= factor"])
