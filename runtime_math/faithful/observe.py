"""One outcome, fed to every monitor in the order of the specification. Everything here is jitted.

Three groups of monitors follow one another: those that decisions read directly, the probes that
the latest plan selected, and those that always run, the last of which are fed with the codes of
all the others.
"""

import numpy as np

from runtime_math.faithful.decide import (
    ALLOCATOR,
    FAST_EXIT,
    FAST_PATH_EXIT,
    FULL_CHECK_EXIT,
    FULL_PATH,
    HARDENED,
)
from runtime_math.faithful.signals import Signal, publish
from runtime_math.monitors import (
    admm_budget,
    atiyah_bott,
    bandit,
    changepoint,
    check_oracle,
    clifford,
    commitment_audit,
    conformal,
    control,
    coupling,
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
    loss_minimizer,
    mean_field_game,
    microlocal,
    obstruction_detector,
    operator_norm,
    padic_valuation,
    pareto,
    persistence,
    pomdp_repair,
    provenance_info,
    quarantine_controller,
    risk,
    rough_path,
    schrodinger_bridge,
    serre_spectral,
    sos_invariant,
    sparse,
    spectral_monitor,
    symplectic_reduction,
    tropical_latency,
)
from runtime_math.monitors.check_oracle import NO_EXIT
from runtime_math.numerics.compilation import jitted
from runtime_math.numerics.logarithm import log1p_of_count
from runtime_math.numerics.running_deviation import track
from runtime_math.types import PPM, ApiFamily, Probe

POINTER_VALIDATION = int(ApiFamily.POINTER_VALIDATION)

SPECTRAL = int(Signal.SPECTRAL)
SIGNATURE = int(Signal.SIGNATURE)
TOPOLOGICAL = int(Signal.TOPOLOGICAL)
ANYTIME = int(Signal.ANYTIME)
CVAR = int(Signal.CVAR)
BRIDGE = int(Signal.BRIDGE)
LARGE_DEVIATIONS = int(Signal.LARGE_DEVIATIONS)
HJI = int(Signal.HJI)
MEAN_FIELD = int(Signal.MEAN_FIELD)
PADIC = int(Signal.PADIC)
SYMPLECTIC = int(Signal.SYMPLECTIC)
SPARSE = int(Signal.SPARSE)
EQUIVARIANT = int(Signal.EQUIVARIANT)
HIGHER_TOPOS = int(Signal.HIGHER_TOPOS)
COMMITMENT_AUDIT = int(Signal.COMMITMENT_AUDIT)
CHANGEPOINT = int(Signal.CHANGEPOINT)
CONFORMAL = int(Signal.CONFORMAL)
LOSS_MINIMIZER = int(Signal.LOSS_MINIMIZER)
COUPLING = int(Signal.COUPLING)
MICROLOCAL = int(Signal.MICROLOCAL)
SERRE = int(Signal.SERRE)
CLIFFORD = int(Signal.CLIFFORD)
KTHEORY = int(Signal.KTHEORY)
COVERING = int(Signal.COVERING)
TSTRUCTURE = int(Signal.TSTRUCTURE)
ATIYAH_BOTT = int(Signal.ATIYAH_BOTT)
POMDP = int(Signal.POMDP)
SOS = int(Signal.SOS)
ADMM = int(Signal.ADMM)
OBSTRUCTION = int(Signal.OBSTRUCTION)
OPERATOR_NORM = int(Signal.OPERATOR_NORM)
PROVENANCE = int(Signal.PROVENANCE)
GROBNER = int(Signal.GROBNER)
GROTHENDIECK = int(Signal.GROTHENDIECK)

# Bits of the probes in the plan's mask.
SPECTRAL_BIT = 1 << Probe.SPECTRAL
ROUGH_PATH_BIT = 1 << Probe.ROUGH_PATH
PERSISTENCE_BIT = 1 << Probe.PERSISTENCE
VECTOR_BITS = SPECTRAL_BIT | ROUGH_PATH_BIT | PERSISTENCE_BIT
ANYTIME_BIT = 1 << Probe.ANYTIME
CVAR_BIT = 1 << Probe.CVAR
BRIDGE_BIT = 1 << Probe.BRIDGE
LARGE_DEVIATIONS_BIT = 1 << Probe.LARGE_DEVIATIONS
HJI_BIT = 1 << Probe.HJI
MEAN_FIELD_BIT = 1 << Probe.MEAN_FIELD
PADIC_BIT = 1 << Probe.PADIC
SYMPLECTIC_BIT = 1 << Probe.SYMPLECTIC
HIGHER_TOPOS_BIT = 1 << Probe.HIGHER_TOPOS
COMMITMENT_AUDIT_BIT = 1 << Probe.COMMITMENT_AUDIT
CHANGEPOINT_BIT = 1 << Probe.CHANGEPOINT
CONFORMAL_BIT = 1 << Probe.CONFORMAL
LOSS_MINIMIZER_BIT = 1 << Probe.LOSS_MINIMIZER
COUPLING_BIT = 1 << Probe.COUPLING

# What each API family counts as for the monitors that have classes of their own.
RESOURCE = np.array([3, 1, 3, 3, 0, 2, 3, 3, 3], np.int64)
STRATUM = np.array([0, 0, 0, 0, 1, 1, 0, 0, 0], np.int64)
ADVERSE_STRATUM = np.array([0, 0, 2, 0, 1, 1, 0, 0, 0], np.int64)
LAYER_PAIR = np.array([1, 0, 0, 1, 2, 2, 1, 1, 1], np.int64)
INVARIANT_CLASS = np.array([3, 2, 0, 3, 1, 3, 3, 3, 3], np.int64)
STAGE = np.array([0, 1, 2, 3, 4, 5, 6, 7, 7], np.int64)
QUERY_FAMILY = np.array([1, 1, 4, 1, 2, 0, 5, 1, 3], np.int64)
FIRST_SOURCE = np.array([0, 0, 6, 0, 4, 0, 5, 0, 5], np.int64)
SECOND_SOURCE = np.array([4, 4, 7, 4, 0, 1, 6, 4, 7], np.int64)
STACK_CHECK = np.array([0, 0, 1, 0, 0, 0, 1, 0, 1], np.bool_)

# Codes that the normaliser is fed after the risk level; its entry 4 also takes padic's maximum.
GROBNER_SIGNALS = np.array(
    [
        BRIDGE,
        CHANGEPOINT,
        HJI,
        ANYTIME,
        CVAR,
        COUPLING,
        MEAN_FIELD,
        EQUIVARIANT,
        MICROLOCAL,
        KTHEORY,
        SERRE,
        TSTRUCTURE,
        CLIFFORD,
        HIGHER_TOPOS,
        COMMITMENT_AUDIT,
    ],
    np.int64,
)

SCOPE_FACTOR = np.uint64(0x9E37_79B9_7F4A_7C15)
RESULT_FACTOR = np.uint64(0x517C_C1B7_2722_0A95)
HASH_FACTOR = np.uint64(0x6C62_272E_07BB_0142)
LOW_BYTE = np.uint64(0xFF)
LARGEST_CONTENTION = np.uint64(65535)
COST_SCALE_NS = 200.0
SLOW_COST_NS = np.uint64(100)
QUICK_COST_NS = np.uint64(16)
SAFE_RISK_PPM = 200_000


@jitted
def _anomaly(code, first, last, bit):
    """The probe's bit when its code lies in first..last, otherwise nothing."""
    return bit if first <= code <= last else 0


@jitted
def _risk_level(risk_ppm):
    if risk_ppm >= 500_000:
        return 3
    if risk_ppm >= 200_000:
        return 2
    return 1 if risk_ppm >= 50_000 else 0


@jitted
def feed_decision_inputs(state, family, profile, cost_ns, adverse):
    """Feed what decisions read directly; returns the base risk bound of the family."""
    risk.observe(state.risk, family, adverse)
    bandit.observe(state.bandit, family, profile, cost_ns, adverse)
    control.observe(state.control, cost_ns, adverse)
    risk_ppm = risk.upper_bound_ppm(state.risk, family)
    pareto.observe(state.pareto, state.mode, family, profile, cost_ns, adverse, risk_ppm)
    latencies = state.tropical_latency
    tropical_latency.observe_path(latencies, FULL_PATH if profile == 1 else FAST_EXIT, cost_ns)
    if tropical_latency.publication_due(latencies):
        tropical_latency.publish(latencies)
    return risk_ppm


@jitted
def feed_vector_probes(state, mask, family, log_cost, adverse, risk_ppm):
    """Feed the three probes of the 4-vector; returns the mask of anomalous ones."""
    anomalies = 0
    risk_level = risk_ppm / PPM
    bias = state.oracle_bias[family] / 2.0
    adversity = 1.0 if adverse else 0.0
    if mask & SPECTRAL_BIT:
        code = spectral_monitor.observe(
            state.spectral_monitor, risk_level, log_cost, bias, adversity
        )
        publish(state, SPECTRAL, code)
        anomalies |= _anomaly(code, 1, 2, SPECTRAL_BIT)
    if mask & ROUGH_PATH_BIT:
        code = rough_path.observe(state.rough_path, risk_level, log_cost, bias, adversity)
        publish(state, SIGNATURE, code)
        anomalies |= _anomaly(code, 2, 2, ROUGH_PATH_BIT)
    if mask & PERSISTENCE_BIT:
        code = persistence.observe(state.persistence, risk_level, log_cost, bias, adversity)
        publish(state, TOPOLOGICAL, code)
        anomalies |= _anomaly(code, 2, 2, PERSISTENCE_BIT)
    return anomalies


@jitted
def feed_family_probes(state, mask, family, profile, cost_ns, adverse):
    """Feed the probes with one code per family; returns the mask of anomalous ones."""
    anomalies = 0
    if mask & ANYTIME_BIT:
        code = eprocess.observe(state.eprocess, family, adverse)
        state.anytime_codes[family] = code
        anomalies |= _anomaly(code, 2, 3, ANYTIME_BIT)
    if mask & CVAR_BIT:
        cvar.observe(state.cvar, family, profile, cost_ns)
        code = cvar.family_state(state.cvar, state.mode, family)
        state.cvar_codes[family] = code
        anomalies |= _anomaly(code, 2, 3, CVAR_BIT)
    if mask & LARGE_DEVIATIONS_BIT:
        code = large_deviations.observe(state.large_deviations, family, adverse)
        state.large_deviations_codes[family] = code
        anomalies |= _anomaly(code, 2, 3, LARGE_DEVIATIONS_BIT)
    state.codes[ANYTIME] = state.anytime_codes[family]
    state.codes[CVAR] = state.cvar_codes[family]
    state.codes[LARGE_DEVIATIONS] = state.large_deviations_codes[family]
    return anomalies


@jitted
def feed_risk_probes(state, mask, cost_ns, log_cost, adverse, risk_ppm):
    """Feed the probes of risk, cost and outcome; returns the mask of anomalous ones."""
    anomalies = 0
    if mask & HJI_BIT:
        code = hji_reachability.observe_logarithm(
            state.hji_reachability, risk_ppm, log_cost, adverse
        )
        publish(state, HJI, code)
        anomalies |= _anomaly(code, 2, 3, HJI_BIT)
    if mask & MEAN_FIELD_BIT:
        contention = int(min(cost_ns, LARGEST_CONTENTION))
        code = mean_field_game.observe(state.mean_field_game, contention)
        publish(state, MEAN_FIELD, code)
        anomalies |= _anomaly(code, 2, 3, MEAN_FIELD_BIT)
    if mask & PADIC_BIT:
        code = padic_valuation.observe_f64(state.padic_valuation, float(risk_ppm))
        publish(state, PADIC, code)
        anomalies |= _anomaly(code, 2, 3, PADIC_BIT)
    if mask & CHANGEPOINT_BIT:
        code = changepoint.observe(state.changepoint, adverse)
        publish(state, CHANGEPOINT, code)
        anomalies |= _anomaly(code, 2, 3, CHANGEPOINT_BIT)
    if mask & CONFORMAL_BIT:
        code = conformal.observe(state.conformal, risk_ppm / PPM)
        publish(state, CONFORMAL, code)
        anomalies |= _anomaly(code, 2, 3, CONFORMAL_BIT)
    if mask & COUPLING_BIT:
        risky = risk_ppm >= 500_000
        strict_action = 3 if risky else (1 if risk_ppm >= 200_000 else 0)
        hardened_action = 2 if risky else (1 if risk_ppm >= 150_000 else 0)
        code = coupling.observe(state.coupling, strict_action, hardened_action, adverse)
        publish(state, COUPLING, code)
        anomalies |= _anomaly(code, 3, 4, COUPLING_BIT)
    return anomalies


@jitted
def feed_structure_probes(state, mask, family, profile, cost_ns, adverse, risk_ppm):
    """Feed the probes of actions, resources and hashes; returns the mask of anomalous ones."""
    anomalies = 0
    action = profile if not adverse else (2 if state.mode == HARDENED else 3)
    if mask & BRIDGE_BIT:
        code = schrodinger_bridge.observe_action(state.schrodinger_bridge, action)
        publish(state, BRIDGE, code)
        anomalies |= _anomaly(code, 2, 2, BRIDGE_BIT)
    if mask & SYMPLECTIC_BIT:
        if adverse:
            code = symplectic_reduction.acquire(state.symplectic_reduction, RESOURCE[family])
        else:
            code = symplectic_reduction.release(state.symplectic_reduction, RESOURCE[family])
        publish(state, SYMPLECTIC, code)
        anomalies |= _anomaly(code, 2, 3, SYMPLECTIC_BIT)
    if mask & HIGHER_TOPOS_BIT:
        scope = (np.uint64(family) * SCOPE_FACTOR) ^ cost_ns
        result = np.uint64(risk_ppm) * RESULT_FACTOR
        code = higher_topos.observe(state.higher_topos, scope, result, 2 * profile)
        publish(state, HIGHER_TOPOS, code)
        anomalies |= _anomaly(code, 2, 3, HIGHER_TOPOS_BIT)
    if mask & COMMITMENT_AUDIT_BIT:
        transition = np.uint64(risk_ppm) ^ (cost_ns * HASH_FACTOR)
        code = commitment_audit.observe_transition(
            state.commitment_audit, family, family * 3 + profile, transition
        )
        publish(state, COMMITMENT_AUDIT, code)
        anomalies |= _anomaly(code, 2, 3, COMMITMENT_AUDIT_BIT)
    if mask & LOSS_MINIMIZER_BIT:
        code = loss_minimizer.observe(state.loss_minimizer, action, adverse, cost_ns)
        publish(state, LOSS_MINIMIZER, code)
        anomalies |= _anomaly(code, 3, 4, LOSS_MINIMIZER_BIT)
    return anomalies


@jitted
def feed_layer_monitors(state, family, profile, cost_ns, adverse, risk_ppm):
    """Feed the monitors of layers, bundles and schedules, which run on every observation."""
    stratum = ADVERSE_STRATUM[family] if adverse else STRATUM[family]
    publish(
        state,
        MICROLOCAL,
        microlocal.observe_and_update(state.microlocal, 0, stratum, adverse),
    )
    publish(
        state,
        SERRE,
        serre_spectral.observe_and_update(
            state.serre_spectral, LAYER_PAIR[family], INVARIANT_CLASS[family], not adverse
        ),
    )
    cost = min(float(cost_ns), COST_SCALE_NS) / COST_SCALE_NS
    publish(
        state,
        CLIFFORD,
        clifford.observe_and_update(
            state.clifford,
            clifford.classify(cost_ns & LOW_BYTE),
            clifford.classify(np.uint64(risk_ppm) & LOW_BYTE),
            0.5 if adverse else 0.0,
            cost,
        ),
    )
    publish(
        state,
        KTHEORY,
        ktheory.observe_and_update(
            state.ktheory,
            family,
            cost,
            1.0 if adverse else 0.0,
            1.0 if profile == 1 else 0.0,
            risk_ppm / PPM,
        ),
    )
    pattern = (
        (family >= 4)
        | (state.mode == HARDENED) << 1
        | (profile == 1) << 2
        | adverse << 3
        | (cost_ns > SLOW_COST_NS) << 4
        | (cost_ns <= QUICK_COST_NS and not adverse) << 5
    )
    publish(state, COVERING, covering_array.observe_and_update(state.covering_array, pattern))
    complete = not adverse and risk_ppm < SAFE_RISK_PPM
    publish(
        state,
        TSTRUCTURE,
        derived_tstructure.observe_and_update(state.derived_tstructure, STAGE[family], complete),
    )


@jitted
def feed_allocation_monitors(state, profile, cost_ns, adverse, risk_ppm):
    """Feed the monitors of repair policy and budget allocation."""
    heals = state.mode == HARDENED
    action = 0
    if risk_ppm >= 500_000:
        action = 2 if heals else 3
    elif profile == 1 or risk_ppm >= 200_000:
        action = 1
    elif heals and risk_ppm >= 100_000:
        action = 2
    publish(
        state,
        POMDP,
        pomdp_repair.observe(state.pomdp_repair, risk_ppm, action, adverse),
    )
    publish(
        state,
        ADMM,
        admm_budget.observe_and_update(
            state.admm_budget,
            min(risk_ppm / PPM, 1.0),
            min(float(cost_ns) / COST_SCALE_NS, 1.0),
            0.1 if profile == 1 else 0.4,
        ),
    )


@jitted
def feed_code_monitors(state, family, profile, cost_ns, adverse, risk_ppm, mask, anomalies):
    """Feed the monitors that look at the other monitors' codes or at the call as a whole."""
    publish(state, SPARSE, sparse.observe(state.sparse, mask, anomalies, adverse))
    publish(
        state,
        EQUIVARIANT,
        equivariant.observe(
            state.equivariant, family, state.mode, profile, cost_ns, adverse, risk_ppm
        ),
    )
    word = np.uint64(risk_ppm) ^ cost_ns ^ np.uint64(family * 0x9E ^ profile * 0x6D)
    publish(
        state,
        PROVENANCE,
        provenance_info.observe_byte(state.provenance_info, int(word & LOW_BYTE)),
    )
    publish(
        state,
        GROTHENDIECK,
        grothendieck_glue.observe_cocycle(
            state.grothendieck_glue,
            QUERY_FAMILY[family],
            FIRST_SOURCE[family],
            SECOND_SOURCE[family],
            not adverse,
            STACK_CHECK[family],
        ),
    )


@jitted
def feed_normalizer(state, risk_ppm):
    """Feed the normaliser with the risk level and the codes as they stand now."""
    vector = state.grobner_input
    codes = state.codes
    vector[0] = _risk_level(risk_ppm)
    for place in range(GROBNER_SIGNALS.shape[0]):
        vector[place + 1] = min(codes[GROBNER_SIGNALS[place]], 3)
    vector[4] = min(max(codes[ANYTIME], codes[PADIC]), 3)
    publish(state, GROBNER, grobner_normalizer.check_state_vector(state.grobner_normalizer, vector))


@jitted
def feed_severity_monitors(state, adverse):
    """Feed the monitors of the severity vector, which is the head of the codes."""
    codes = state.codes
    publish(state, ATIYAH_BOTT, atiyah_bott.observe(state.atiyah_bott, codes))
    publish(state, SOS, sos_invariant.observe(state.sos_invariant, codes))
    # Both monitors follow the same deviation, so it is computed once.
    sum_of_squares, projection = track(state.obstruction_detector.tracker, codes)
    publish(
        state,
        OBSTRUCTION,
        obstruction_detector.observe_deviation(state.obstruction_detector, sum_of_squares),
    )
    publish(
        state,
        OPERATOR_NORM,
        operator_norm.observe_deviation(state.operator_norm, sum_of_squares, projection),
    )
    fusion.observe(state.fusion, codes, adverse, state.mode)


@jitted
def feed_planners(state, family, profile, cost_ns, adverse, mask, anomalies):
    """Record what the probes found, the free of an allocator call, and the stage outcome."""
    design.record_probes(state.design, mask, anomalies)
    if family == ALLOCATOR:
        frees = state.quarantine_controller
        if quarantine_controller.record_free(frees, cost_ns, adverse):
            quarantine_controller.publish(frees)
    if family != POINTER_VALIDATION:
        aligned = cost_ns <= QUICK_COST_NS and not adverse
        recent_page = not adverse
        exit_position = NO_EXIT
        if adverse:
            exit_position = FULL_CHECK_EXIT
        elif profile == 0:
            exit_position = FAST_PATH_EXIT
        ordering = check_oracle.get_ordering(state.check_oracle, family, aligned, recent_page)
        check_oracle.report_outcome(
            state.check_oracle, family, aligned, recent_page, ordering, exit_position
        )


@jitted
def observe_validation_result(state, family, profile, cost_ns, adverse):
    """Feed the outcome of a validation to every monitor.

    Parameters
    ----------
    state : record of dtype `KERNEL_STATE`
    family, profile : int
        Codes of `ApiFamily` and `ValidationProfile`.
    cost_ns : uint64
    adverse : bool
    """
    mask = state.probe_mask
    risk_ppm = feed_decision_inputs(state, family, profile, cost_ns, adverse)
    anomalies = feed_family_probes(state, mask, family, profile, cost_ns, adverse)
    log_cost = log1p_of_count(cost_ns)
    if mask & VECTOR_BITS:
        anomalies |= feed_vector_probes(state, mask, family, log_cost, adverse, risk_ppm)
    anomalies |= feed_risk_probes(state, mask, cost_ns, log_cost, adverse, risk_ppm)
    anomalies |= feed_structure_probes(state, mask, family, profile, cost_ns, adverse, risk_ppm)
    feed_layer_monitors(state, family, profile, cost_ns, adverse, risk_ppm)
    feed_allocation_monitors(state, profile, cost_ns, adverse, risk_ppm)
    feed_code_monitors(state, family, profile, cost_ns, adverse, risk_ppm, mask, anomalies)
    feed_normalizer(state, risk_ppm)
    feed_severity_monitors(state, adverse)
    feed_planners(state, family, profile, cost_ns, adverse, mask, anomalies)
