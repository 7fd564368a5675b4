"""`CalibratedKernel`: the Python face of a kernel with the calibrated policy."""

import os
from typing import Any, Self

import numpy as np

from runtime_math import validation
from runtime_math.calibrated.policy_state import (
    DEFAULT_ADVERSE_CEILING,
    DEFAULT_ALPHA_ALARM,
    DEFAULT_LATENCY_SHARE,
    GLOBAL,
)
from runtime_math.calibrated.recording import CalibratedTraceWriter
from runtime_math.calibrated.state import FULL_STATE, LEAN_STATE, new_state
from runtime_math.calibrated.status import CalibratedExplanation, Status, status_of
from runtime_math.calibrated.status import explain as explain_decision
from runtime_math.calibrated.streams import LATENCY_ONLY
from runtime_math.faithful.snapshot import KernelSnapshot, take_snapshot
from runtime_math.kernel import RuntimeMathKernel
from runtime_math.records import Records
from runtime_math.types import (
    ApiFamily,
    MembraneAction,
    RuntimeContext,
    RuntimeDecision,
    SafetyLevel,
    ValidationProfile,
)

_FAMILY = validation.member(ApiFamily)
_MODE = validation.member(SafetyLevel)
_MONITORS = ("all", "none")


def _share(name: str, value: Any, low: float, high: float) -> float:
    number = validation.finite(name, value)
    if not low <= number <= high:
        raise ValueError(f"{name} must be from {low} to {high}, got {number}")
    return number


def checked_settings(
    alpha_alarm: float, adverse_ceiling: float, latency_share: float, monitors: str
) -> dict[str, Any]:
    """Validate the settings of the policy; returns them as keyword arguments."""
    if not isinstance(monitors, str) or monitors not in _MONITORS:
        raise ValueError(f"monitors must be 'all' or 'none', got {monitors!r}")
    return {
        "alpha_alarm": _share("alpha_alarm", alpha_alarm, 1e-6, 0.5),
        "adverse_ceiling": _share("adverse_ceiling", adverse_ceiling, 0.001, 0.9),
        "latency_share": _share("latency_share", latency_share, 0.0, 1.0),
        "monitors": monitors,
    }


class CalibratedKernel(RuntimeMathKernel):
    """Kernel that is quiet on clean traffic, fast on real trouble, and recovers.

    Made by ``RuntimeMathKernel(mode, policy="calibrated", ...)``.

    Parameters
    ----------
    mode : SafetyLevel or int, optional
        Configured mode. By default the mode of the environment variable ``GLIBC_RUST_MODE``.
    policy : {"calibrated"}
        Named for symmetry with `RuntimeMathKernel`.
    alpha_alarm : float from 1e-6 to 0.5, default 0.01
        Largest long-run share of clean calls that may be spent in false alarms (strict mode).
        More finds trouble sooner.
    adverse_ceiling : float from 0.001 to 0.9, default 0.05
        Largest adverse rate that may be learnt as normal: a process born under an attack above
        it stays in alarm.
    latency_share : float from 0 to 1, default 0.125
        Share of the calls that is fully validated in an alarm that tells of slowness alone.
    monitors : {"all", "none"}, default "all"
        Whether the 46 monitors keep running, for `snapshot`.

    Examples
    --------
    >>> kernel = RuntimeMathKernel(SafetyLevel.STRICT, policy="calibrated", monitors="none")
    >>> context = RuntimeContext.pointer_validation(0x7F12_3456_7000)
    >>> for call in range(700):
    ...     decision = kernel.decide(kernel.mode, context)
    ...     kernel.observe_validation_result(0, decision.profile, 12, call >= 600)
    >>> decision.action
    <MembraneAction.FULL_VALIDATE: 1>
    >>> alarm, = kernel.status().alarms
    >>> alarm.family, alarm.cause
    (<ApiFamily.POINTER_VALIDATION: 0>, <Stream.FAMILY_ADVERSE: 13>)
    """

    _dtypes = (LEAN_STATE, FULL_STATE)

    def __init__(
        self,
        mode: SafetyLevel | int | None = None,
        policy: str = "calibrated",
        *,
        alpha_alarm: float = DEFAULT_ALPHA_ALARM,
        adverse_ceiling: float = DEFAULT_ADVERSE_CEILING,
        latency_share: float = DEFAULT_LATENCY_SHARE,
        monitors: str = "all",
    ) -> None:
        if policy != "calibrated":
            raise ValueError(f"policy must be 'calibrated', got {policy!r}")
        mode = self._configured(mode)
        settings = checked_settings(alpha_alarm, adverse_ceiling, latency_share, monitors)
        self._attach(new_state(mode, **settings))

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        return object.__new__(cls)

    def _newborn(self) -> Records:
        return new_state(self.mode, **self.settings)

    @property
    def settings(self) -> dict[str, Any]:
        """The policy's settings by name."""
        policy = self.states["policy"][0]
        return {
            "alpha_alarm": float(policy["alpha_alarm"]),
            "adverse_ceiling": float(policy["adverse_ceiling"]),
            "latency_share": float(policy["latency_share"]),
            "monitors": "none" if self.states.dtype == LEAN_STATE else "all",
        }

    # --- the operator -------------------------------------------------------------------------

    def acknowledge(self, family: ApiFamily | int | None = None, learn: bool = True) -> None:
        """Accept a lasting change as normal, or merely reset an alarm.

        Parameters
        ----------
        family : ApiFamily or int, optional
            Whose alarm; all of them, and everything learnt, when omitted.
        learn : bool, default True
            Whether the present behaviour becomes the new normal: recent adverse rates (a higher
            ceiling included) and costs at once, the rest within the next few hundred calls, for
            which no alarm is raised. False ends alarms and learns nothing.
        """
        code = -1 if family is None else _FAMILY("family", family)
        accept = validation.flag("learn", learn)
        self._call(self._calls.acknowledge if accept else self._calls.reset_alarms, code)

    # --- reading ------------------------------------------------------------------------------

    def status(self) -> Status:
        """Evidence, alarms, learnt baselines and tokens; changes nothing.

        Returns
        -------
        Status
            ``print`` shows it as a table.
        """
        return status_of(self._copied_states()["policy"][0])

    def snapshot(self, mode: SafetyLevel | int | None = None) -> KernelSnapshot:
        """Read-only record of the 46 monitors' figures; see `RuntimeMathKernel.snapshot`.

        Raises
        ------
        RuntimeError
            The kernel runs without monitors; `status` tells about the policy.
        """
        if self.states.dtype == LEAN_STATE:
            raise RuntimeError("this kernel runs with monitors='none'; status() tells about it")
        code = int(self.mode) if mode is None else _MODE("mode", mode)
        return take_snapshot(np.ascontiguousarray(self._copied_states()["monitors"]), code)

    def explain(  # type: ignore[override]
        self,
        mode: SafetyLevel | int,
        context: RuntimeContext,
    ) -> CalibratedExplanation:
        """Break down the decision that `decide` would return now; changes nothing.

        Parameters
        ----------
        mode : SafetyLevel or int
        context : RuntimeContext

        Returns
        -------
        CalibratedExplanation
            ``print`` shows the evidence by stream and the reason.
        """
        if context.__class__ is not RuntimeContext:
            raise TypeError(f"context must be a RuntimeContext, got {context!r}")
        code = _MODE("mode", mode)
        after = self._copied_states()
        before = after["policy"][0].copy()
        packed = self._calls.decide.address_call(after.ctypes.data, code, *context)
        decision = RuntimeDecision.unpack(packed)
        slot = _governing_slot(before, int(context.family))
        reason = _reason(before, after["policy"][0], decision, slot)
        return explain_decision(before, after["policy"][0], context, decision, slot, reason)

    def _trace_writer(self, path: str | os.PathLike[str], scenario: str) -> CalibratedTraceWriter:
        return CalibratedTraceWriter(path, self, scenario)

    def __repr__(self) -> str:
        decisions = int(self.states["decisions"][0])
        return f"<CalibratedKernel {self.mode.name.lower()}, {decisions} decisions>"


def _governing_slot(policy: np.void, family: int) -> int:
    common, own = policy["alarms"][GLOBAL], policy["alarms"][family]
    if common["active"] and not (own["active"] and LATENCY_ONLY[common["cause"]]):
        return GLOBAL
    return family if own["active"] else -1


def _reason(before: np.void, after: np.void, decision: RuntimeDecision, slot: int) -> str:
    if decision.action in (MembraneAction.DENY, MembraneAction.REPAIR):
        return "the request exceeds the byte limit of the mode"
    if slot >= 0:
        if decision.profile is ValidationProfile.FULL:
            return "an alarm applies to it"
        return "an alarm tells of slowness alone, and this call is not in the share escalated"
    if after["explorations"] > before["explorations"]:
        return "exploration keeps the knowledge of full validation alive"
    if after["bucket"]["spent"] > before["bucket"]["spent"]:
        return "the call itself is unusual, and a token was left"
    return "evidence is below the threshold"
