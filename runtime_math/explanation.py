"""The breakdown of one decision: risk terms, probe plan, limits, the rules that fired."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runtime_math.faithful.calls import FAITHFUL
from runtime_math.faithful.decide import PROFILE_RULES
from runtime_math.faithful.signals import BONUS_PPM, FAMILY_SIGNALS, Signal
from runtime_math.records import Records
from runtime_math.types import (
    Probe,
    RuntimeContext,
    RuntimeDecision,
    SafetyLevel,
    ValidationProfile,
)

TABLE_WIDTH = 100


@dataclass(frozen=True)
class Explanation:
    """Why a call would be decided as it would be now.

    Attributes
    ----------
    mode : SafetyLevel
        Mode of the decision.
    context : RuntimeContext
        The call.
    decision : RuntimeDecision
        What `decide` would return.
    terms : dict of str to int
        Every risk term by name, in ppm; monitors whose code adds nothing are left out.
    codes : dict of str to int
        The cached code of every monitor that adds risk.
    probes : tuple of Probe
        The probe plan.
    plan_budget_ns, plan_cost_ns, identifiability_ppm : int
        Budget and expected cost of the plan, and how well it identifies the latent factors.
    full_trigger_ppm, repair_trigger_ppm : int
        The limits.
    bandit_profile, pareto_profile : ValidationProfile
        What the two controllers propose.
    budget_exhausted : bool
        Whether the family's regret budget is used up.
    rules : tuple of str
        The profile rules that fired, in order.
    admissible : bool
        Whether the call is within the certified region.

    Examples
    --------
    >>> from runtime_math.kernel import RuntimeMathKernel
    >>> kernel = RuntimeMathKernel(SafetyLevel.STRICT)
    >>> why = kernel.explain(SafetyLevel.STRICT, RuntimeContext.pointer_validation(64))
    >>> why.terms
    {'base rate bound': 20000, 'poor identifiability': 95000}
    """

    mode: SafetyLevel
    context: RuntimeContext
    decision: RuntimeDecision
    terms: dict[str, int]
    codes: dict[str, int]
    probes: tuple[Probe, ...]
    plan_budget_ns: int
    plan_cost_ns: int
    identifiability_ppm: int
    full_trigger_ppm: int
    repair_trigger_ppm: int
    bandit_profile: ValidationProfile
    pareto_profile: ValidationProfile
    budget_exhausted: bool
    rules: tuple[str, ...]
    admissible: bool

    def __str__(self) -> str:
        from rich import box
        from rich.console import Console
        from rich.table import Table

        risk, action = Table(box=box.SIMPLE_HEAD), Table(box=box.SIMPLE_HEAD, show_header=False)
        for heading in ("risk term", "code", "ppm"):
            risk.add_column(heading, justify="left" if heading == "risk term" else "right")
        for name, ppm in self.terms.items():
            risk.add_row(name, str(self.codes.get(name, "")), f"{ppm:,}")
        total = self.decision.risk_upper_bound_ppm
        note = " (at most 1,000,000)" if sum(self.terms.values()) > total else ""
        risk.add_row(f"risk upper bound{note}", "", f"{total:,}", style="bold")
        for name, value in self._facts():
            action.add_row(name, value)
        text = io.StringIO()
        console = Console(file=text, width=TABLE_WIDTH, color_system=None)
        console.print(risk, action)
        lines = text.getvalue().splitlines()
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def _facts(self) -> Iterator[tuple[str, str]]:
        names = ", ".join(probe.name.lower() for probe in self.probes)
        share = f"{self.plan_cost_ns} of {self.plan_budget_ns} ns"
        decision = self.decision
        healing = f" ({decision.healing.name.lower()})" if decision.healing else ""
        yield "mode", self.mode.name.lower()
        yield "family", self.context.family.name.lower()
        yield f"probes ({share})", names
        yield "identifiability", f"{self.identifiability_ppm:,} ppm"
        yield "full validation from", f"{self.full_trigger_ppm:,} ppm"
        yield "repair from", f"{self.repair_trigger_ppm:,} ppm"
        yield "bandit proposes", self.bandit_profile.name.lower()
        yield "pareto proposes", self.pareto_profile.name.lower()
        yield "regret budget exhausted", "yes" if self.budget_exhausted else "no"
        for rule in self.rules:
            yield "rule", rule
        yield "admissible", "yes" if self.admissible else "no"
        yield "profile", decision.profile.name.lower()
        yield "action", decision.action.name.lower() + healing


def _monitor_terms(state: np.void, family: int) -> dict[str, tuple[int, int]]:
    """Code and bonus of every monitor that adds risk, by the signal's name."""
    codes = {signal: int(state["codes"][signal]) for signal in Signal}
    caches = ("anytime_codes", "cvar_codes", "large_deviations_codes")
    for signal, cache in zip(FAMILY_SIGNALS, caches, strict=True):
        codes[signal] = int(state[cache][family])
    return {
        signal.name.lower().replace("_", " "): (code, int(BONUS_PPM[signal, code]))
        for signal, code in codes.items()
        if BONUS_PPM[signal, code]
    }


def explain(states: Records, mode: int, context: RuntimeContext) -> Explanation:
    """Explain the decision that a state would take; the state is used up.

    Parameters
    ----------
    states : numpy.ndarray of shape (1,) and dtype `KERNEL_STATE`
        A copy, since deciding changes it.
    mode : int
    context : RuntimeContext

    Returns
    -------
    Explanation
    """
    # Deciding changes no monitor's code, so the codes can be read afterwards.
    detail = FAITHFUL.explain.address_call(states.ctypes.data, mode, *context)
    state = states[0]
    monitors = _monitor_terms(state, context.family)
    terms = {
        "base rate bound": detail.base_risk_ppm,
        "sampled risk": detail.sampled_bonus_ppm,
        "consistency faults": detail.consistency_ppm,
        "latency over budget": detail.tropical_ppm,
        "fusion": detail.fusion_bonus_ppm,
        **{name: ppm for name, (_, ppm) in monitors.items()},
        "poor identifiability": detail.design_bonus_ppm,
    }
    mask = int(state["probe_mask"])
    return Explanation(
        mode=SafetyLevel(mode),
        context=context,
        decision=RuntimeDecision.unpack(detail.packed),
        terms={name: int(ppm) for name, ppm in terms.items() if ppm},
        codes={name: code for name, (code, _) in monitors.items()},
        probes=tuple(probe for probe in Probe if mask >> probe & 1),
        plan_budget_ns=int(state["design"]["budget_ns"]),
        plan_cost_ns=int(state["design"]["expected_cost_ns"]),
        identifiability_ppm=int(state["design_identifiability_ppm"]),
        full_trigger_ppm=detail.full_trigger_ppm,
        repair_trigger_ppm=detail.repair_trigger_ppm,
        bandit_profile=ValidationProfile(detail.bandit_profile),
        pareto_profile=ValidationProfile(detail.pareto_profile),
        budget_exhausted=bool(detail.budget_exhausted),
        rules=tuple(rule for bit, rule in enumerate(PROFILE_RULES) if detail.rules >> bit & 1),
        admissible=bool(detail.admissible),
    )
