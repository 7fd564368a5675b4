"""The read-only record of a kernel's figures: 90 fields, live unless said to be cached."""

from collections import namedtuple

import numpy as np

from runtime_math.monitors import (
    admm_budget,
    atiyah_bott,
    changepoint,
    clifford,
    cohomology,
    commitment_audit,
    conformal,
    control,
    covering_array,
    cvar,
    derived_tstructure,
    design,
    eprocess,
    equivariant,
    fusion,
    grobner_normalizer,
    grothendieck_glue,
    higher_topos,
    hji_reachability,
    ktheory,
    large_deviations,
    mean_field_game,
    microlocal,
    obstruction_detector,
    operator_norm,
    padic_valuation,
    pareto,
    persistence,
    pomdp_repair,
    provenance_info,
    rough_path,
    schrodinger_bridge,
    serre_spectral,
    sos_invariant,
    sparse,
    spectral_monitor,
    symplectic_reduction,
    tropical_latency,
)
from runtime_math.numerics.c_function import CompileProgress
from runtime_math.numerics.compilation import entry_jitted, jitted
from runtime_math.records import Records

SNAPSHOT = np.dtype(
    [
        ("decisions", np.uint64),
        ("consistency_faults", np.uint64),
        ("full_validation_trigger_ppm", np.uint32),
        ("repair_trigger_ppm", np.uint32),
        ("sampled_risk_bonus_ppm", np.uint32),
        ("pareto_cumulative_regret_milli", np.uint64),
        ("pareto_cap_enforcements", np.uint64),
        ("pareto_exhausted_families", np.uint32),
        ("quarantine_depth", np.uint64),
        ("tropical_full_wcl_ns", np.uint64),
        ("spectral_edge_ratio", np.float64),
        ("spectral_phase_transition", np.bool_),
        ("signature_anomaly_score", np.float64),
        ("signature_anomaly_count", np.uint64),
        ("persistence_entropy", np.float64),
        ("topo_anomaly_count", np.uint64),
        ("anytime_max_e_value", np.float64),
        ("anytime_alarmed_families", np.uint32),
        ("cvar_max_robust_ns", np.uint64),
        ("cvar_alarmed_families", np.uint32),
        ("bridge_transport_distance", np.float64),
        ("bridge_transitioning", np.bool_),
        ("ld_elevated_families", np.uint32),
        ("ld_max_anomaly_count", np.uint64),
        ("hji_safety_value", np.float64),
        ("hji_breached", np.bool_),
        ("mfg_mean_contention", np.float64),
        ("mfg_congestion_count", np.uint64),
        ("padic_ultrametric_distance", np.float64),
        ("padic_drift_count", np.uint64),
        ("symplectic_energy", np.float64),
        ("symplectic_violation_count", np.uint64),
        ("topos_violation_rate", np.float64),
        ("topos_violation_count", np.uint64),
        ("audit_martingale_value", np.float64),
        ("audit_replay_count", np.uint64),
        ("changepoint_posterior_short_mass", np.float64),
        ("changepoint_count", np.uint64),
        ("conformal_empirical_coverage", np.float64),
        ("conformal_violation_count", np.uint64),
        ("design_identifiability_ppm", np.uint32),
        ("design_selected_probes", np.uint8),
        ("design_budget_ns", np.uint64),
        ("design_expected_cost_ns", np.uint64),
        ("sparse_support_size", np.uint8),
        ("sparse_l1_energy", np.float64),
        ("sparse_residual_ewma", np.float64),
        ("sparse_critical_count", np.uint64),
        ("equivariant_alignment_ppm", np.uint32),
        ("equivariant_drift_count", np.uint64),
        ("equivariant_fractured_count", np.uint64),
        ("equivariant_dominant_orbit", np.uint8),
        ("fusion_bonus_ppm", np.uint32),
        ("fusion_entropy_milli", np.uint32),
        ("fusion_drift_ppm", np.uint32),
        ("fusion_dominant_signal", np.uint8),
        ("microlocal_active_strata", np.uint8),
        ("microlocal_failure_rate", np.float64),
        ("microlocal_fault_count", np.uint64),
        ("serre_max_differential", np.float64),
        ("serre_nontrivial_cells", np.uint8),
        ("serre_lifting_count", np.uint64),
        ("clifford_grade2_energy", np.float64),
        ("clifford_parity_imbalance", np.float64),
        ("clifford_violation_count", np.uint64),
        ("ktheory_max_transport_distance", np.float64),
        ("ktheory_fracture_count", np.uint64),
        ("covering_coverage_fraction", np.float64),
        ("covering_gap_count", np.uint64),
        ("tstructure_max_violation_rate", np.float64),
        ("tstructure_violation_count", np.uint64),
        ("atiyah_bott_euler_weight", np.float64),
        ("atiyah_bott_concentration_count", np.uint64),
        ("pomdp_optimality_gap", np.float64),
        ("pomdp_divergence_count", np.uint64),
        ("sos_max_stress", np.float64),
        ("sos_violation_count", np.uint64),
        ("admm_primal_dual_gap", np.float64),
        ("admm_violation_count", np.uint64),
        ("obstruction_norm", np.float64),
        ("obstruction_critical_count", np.uint64),
        ("operator_norm_spectral_radius", np.float64),
        ("operator_norm_instability_count", np.uint64),
        ("provenance_shannon_entropy", np.float64),
        ("provenance_renyi_h2", np.float64),
        ("provenance_collision_count", np.uint64),
        ("grobner_violation_rate", np.float64),
        ("grobner_fault_count", np.uint64),
        ("grothendieck_violation_rate", np.float64),
        ("grothendieck_stack_fault_count", np.uint64),
    ],
    align=True,
)

BREACHED = 3
TRANSITIONING = 2


class KernelSnapshot(namedtuple("KernelSnapshot", SNAPSHOT.names)):  # type: ignore[misc]
    """Figures of a kernel at one moment, by name; ``print`` shows them as a table.

    Counters ending in ``_count`` count events (mostly entries into a code), rates and energies
    are floats, ``*_ppm`` are parts per million and ``*_ns`` nanoseconds.
    """

    __slots__ = ()

    def __str__(self) -> str:
        figures: dict[str, int | float] = self._asdict()
        width = max(map(len, figures))
        return "\n".join(f"{name:{width}}  {value}" for name, value in figures.items())


@jitted
def fill_decision_fields(state, mode, out):
    """Figures of what decisions read directly."""
    out.decisions = state.decisions
    out.consistency_faults = cohomology.fault_count(state.cohomology)
    full_trigger, repair_trigger, _ = control.limits(state.control, mode)
    out.full_validation_trigger_ppm = full_trigger
    out.repair_trigger_ppm = repair_trigger
    out.sampled_risk_bonus_ppm = state.sampled_bonus_ppm
    ledger = pareto.summary(state.pareto, mode)
    out.pareto_cumulative_regret_milli = ledger.cumulative_regret_milli
    out.pareto_cap_enforcements = ledger.cap_enforcement_count
    out.pareto_exhausted_families = ledger.exhausted_family_count
    out.quarantine_depth = state.quarantine_controller.published_depth
    out.tropical_full_wcl_ns = tropical_latency.summary(state.tropical_latency).full_worst_case_ns
    plan = design.summary(state.design)
    out.design_identifiability_ppm = plan.identifiability_ppm
    out.design_selected_probes = plan.selected_count
    out.design_budget_ns = plan.budget_ns
    out.design_expected_cost_ns = plan.expected_cost_ns
    fused = fusion.summary(state.fusion)
    out.fusion_bonus_ppm = fused.bonus_ppm
    out.fusion_entropy_milli = fused.entropy_milli
    out.fusion_drift_ppm = fused.drift_ppm
    out.fusion_dominant_signal = fused.dominant_signal


@jitted
def fill_vector_fields(state, mode, out):
    """Figures of the probes of the 4-vector and of those with one code per family."""
    spectrum = spectral_monitor.signature(state.spectral_monitor)
    out.spectral_edge_ratio = spectrum.edge_ratio
    out.spectral_phase_transition = spectrum.phase != 0
    signature = rough_path.summary(state.rough_path)
    out.signature_anomaly_score = signature.anomaly_score
    out.signature_anomaly_count = signature.anomaly_count
    topology = persistence.summary(state.persistence)
    out.persistence_entropy = topology.persistence_entropy
    out.topo_anomaly_count = persistence.anomaly_count(state.persistence)
    out.anytime_max_e_value = eprocess.max_e_value(state.eprocess)
    out.anytime_alarmed_families = eprocess.alarmed_family_count(state.eprocess)
    tails = cvar.summary(state.cvar, mode)
    out.cvar_max_robust_ns = tails.max_family_robust_cvar_ns
    out.cvar_alarmed_families = tails.alarmed_family_count
    out.ld_elevated_families = large_deviations.elevated_family_count(state.large_deviations)
    out.ld_max_anomaly_count = large_deviations.max_anomaly_count(state.large_deviations)


@jitted
def fill_probe_fields(state, out):
    """Figures of the other probes."""
    bridge = schrodinger_bridge.summary(state.schrodinger_bridge)
    out.bridge_transport_distance = bridge.transport_distance
    out.bridge_transitioning = bridge.state == TRANSITIONING
    reach = hji_reachability.summary(state.hji_reachability)
    out.hji_safety_value = reach.value
    out.hji_breached = reach.state == BREACHED
    game = mean_field_game.summary(state.mean_field_game)
    out.mfg_mean_contention = game.mean_contention
    out.mfg_congestion_count = game.congestion_count
    valuation = padic_valuation.summary(state.padic_valuation)
    out.padic_ultrametric_distance = valuation.ultrametric_distance
    out.padic_drift_count = valuation.drift_count
    phase_space = symplectic_reduction.summary(state.symplectic_reduction)
    out.symplectic_energy = phase_space.hamiltonian_energy
    out.symplectic_violation_count = phase_space.violation_count
    topos = higher_topos.summary(state.higher_topos)
    out.topos_violation_rate = topos.violation_rate
    out.topos_violation_count = topos.violation_count
    audit = commitment_audit.summary(state.commitment_audit)
    out.audit_martingale_value = audit.martingale_value
    out.audit_replay_count = audit.replay_count
    regimes = changepoint.summary(state.changepoint)
    out.changepoint_posterior_short_mass = regimes.posterior_short_mass
    out.changepoint_count = regimes.change_point_count
    coverage = conformal.summary(state.conformal)
    out.conformal_empirical_coverage = coverage.empirical_coverage
    out.conformal_violation_count = coverage.violation_count


@jitted
def fill_layer_fields(state, out):
    """Figures of the monitors of layers, bundles, schedules, repair and budgets."""
    wavefront = microlocal.summary(state.microlocal)
    out.microlocal_active_strata = wavefront.active_strata
    out.microlocal_failure_rate = wavefront.propagation_failure_rate
    out.microlocal_fault_count = wavefront.fault_boundary_count
    pages = serre_spectral.summary(state.serre_spectral)
    out.serre_max_differential = pages.max_differential
    out.serre_nontrivial_cells = pages.nontrivial_cells
    out.serre_lifting_count = pages.lifting_failure_count
    algebra = clifford.summary(state.clifford)
    out.clifford_grade2_energy = algebra.grade2_energy
    out.clifford_parity_imbalance = algebra.parity_imbalance
    out.clifford_violation_count = algebra.overlap_violation_count
    bundles = ktheory.summary(state.ktheory)
    out.ktheory_max_transport_distance = bundles.max_transport_distance
    out.ktheory_fracture_count = bundles.fracture_count
    array = covering_array.summary(state.covering_array)
    out.covering_coverage_fraction = array.coverage_fraction
    out.covering_gap_count = array.gap_count
    stages = derived_tstructure.summary(state.derived_tstructure)
    out.tstructure_max_violation_rate = stages.max_violation_rate
    out.tstructure_violation_count = stages.orthogonality_violation_count
    repair = pomdp_repair.summary(state.pomdp_repair)
    out.pomdp_optimality_gap = repair.optimality_gap
    out.pomdp_divergence_count = repair.divergence_count
    budget = admm_budget.summary(state.admm_budget)
    out.admm_primal_dual_gap = budget.primal_dual_gap
    out.admm_violation_count = budget.violation_count


@jitted
def fill_code_fields(state, out):
    """Figures of the monitors that look at codes, bytes and cocycles."""
    support = sparse.summary(state.sparse)
    out.sparse_support_size = support.support_size
    out.sparse_l1_energy = support.l1_energy
    out.sparse_residual_ewma = support.residual_ewma
    out.sparse_critical_count = support.critical_count
    symmetry = equivariant.summary(state.equivariant)
    out.equivariant_alignment_ppm = symmetry.alignment_ppm
    out.equivariant_drift_count = symmetry.drift_count
    out.equivariant_fractured_count = symmetry.fractured_count
    out.equivariant_dominant_orbit = (
        symmetry.dominant_orbit if state.equivariant.observations else 0
    )
    localization = atiyah_bott.summary(state.atiyah_bott)
    out.atiyah_bott_euler_weight = localization.euler_weight
    out.atiyah_bott_concentration_count = localization.concentration_count
    squares = sos_invariant.summary(state.sos_invariant)
    out.sos_max_stress = squares.max_stress_fraction
    out.sos_violation_count = squares.violation_event_count
    pairs = obstruction_detector.summary(state.obstruction_detector)
    out.obstruction_norm = pairs.obstruction_norm
    out.obstruction_critical_count = pairs.critical_count
    operator = operator_norm.summary(state.operator_norm)
    out.operator_norm_spectral_radius = operator.spectral_radius
    out.operator_norm_instability_count = operator.instability_count
    bytes_seen = provenance_info.summary(state.provenance_info)
    out.provenance_shannon_entropy = bytes_seen.shannon_entropy
    out.provenance_renyi_h2 = bytes_seen.renyi_h2
    out.provenance_collision_count = bytes_seen.collision_risk_count
    basis = grobner_normalizer.summary(state.grobner_normalizer)
    out.grobner_violation_rate = basis.violation_rate
    out.grobner_fault_count = basis.fault_count
    glue = grothendieck_glue.summary(state.grothendieck_glue)
    out.grothendieck_violation_rate = glue.global_violation_rate
    out.grothendieck_stack_fault_count = glue.stack_fault_count


@entry_jitted
def fill_snapshot(states, mode, snapshots):
    """Write the snapshot of the first state into the first record of `snapshots`."""
    state, out = states[0], snapshots[0]
    fill_decision_fields(state, mode, out)
    fill_vector_fields(state, mode, out)
    fill_probe_fields(state, out)
    fill_layer_fields(state, out)
    fill_code_fields(state, out)


def take_snapshot(states: Records, mode: int) -> KernelSnapshot:
    """Snapshot of a state.

    Parameters
    ----------
    states : numpy.ndarray of shape (1,) and dtype `KERNEL_STATE`
    mode : int

    Returns
    -------
    KernelSnapshot
    """
    snapshots = np.zeros(1, SNAPSHOT)
    with CompileProgress():
        fill_snapshot(states, mode, snapshots)
    return KernelSnapshot(*snapshots[0].item())
