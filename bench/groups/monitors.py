"""``monitor/<name>``: each controller's feeding operation alone, in a jitted loop.

Arguments are random but plausible, made per parameter name; what a name means differently from
one monitor to another is in `SPECIAL`.
"""

import importlib
import inspect

import numpy as np
from numba import njit

from bench import inputs
from bench.benchmark import Benchmark, timed_loop
from bench.used import used
from runtime_math import CheckStage, MembraneAction, SafetyLevel
from runtime_math.faithful.ordering import pack_ordering
from runtime_math.faithful.signals import SIGNAL_COUNT
from runtime_math.monitors import (
    MONITOR_NAMES,
    clifford,
    grothendieck_glue,
    microlocal,
    risk_engine,
    serre_spectral,
    symplectic_reduction,
    tropical_latency,
)
from runtime_math.monitors.base import Monitor
from runtime_math.numerics.compilation import jitted
from runtime_math.types import FAMILY_COUNT, PROBE_COUNT

_ROWS = 1024


@jitted
def acquire_or_release(state, resource, adverse):
    """Feed the symplectic monitor as the kernel does."""
    if adverse:
        return symplectic_reduction.acquire(state, resource)
    return symplectic_reduction.release(state, resource)


# The operation that feeds a monitor, where it is not called `observe`.
_OPERATIONS = {
    "admm_budget": "observe_and_update",
    "barrier": "admissible",
    "check_oracle": "report_outcome",
    "clifford": "observe_and_update",
    "cohomology": "note_overlap",
    "commitment_audit": "observe_transition",
    "covering_array": "observe_and_update",
    "derived_tstructure": "observe_and_update",
    "design": "choose_plan",
    "grobner_normalizer": "check_state_vector",
    "grothendieck_glue": "observe_cocycle",
    "ktheory": "observe_and_update",
    "microlocal": "observe_and_update",
    "padic_valuation": "observe_f64",
    "provenance_info": "observe_byte",
    "quarantine_controller": "record_free",
    "risk_engine": "evaluate",
    "schrodinger_bridge": "observe_action",
    "serre_spectral": "observe_and_update",
    "symplectic_reduction": acquire_or_release,
    "tropical_latency": "observe_path",
}


def _integers(low, high):
    return lambda random: random.integers(low, high, _ROWS)


def _words(low, high):
    return lambda random: random.integers(low, high, _ROWS, dtype=np.uint64)


def _reals(low, high):
    return lambda random: random.uniform(low, high, _ROWS)


def _flags(rate):
    return lambda random: random.random(_ROWS) < rate


def _vectors(length):
    return lambda random: random.integers(0, 4, (_ROWS, length)).astype(np.uint8)


def _members(enumeration):
    return _integers(0, len(enumeration))


def _constant(value):
    return lambda random: np.full(_ROWS, value)


_COST_NS = _words(inputs.FAST_COSTS_NS[0], inputs.FULL_COSTS_NS[1])
_RISK_PPM = _integers(20_000, 200_000)
_ACTION = _integers(0, len(MembraneAction))
_ADDRESS = _words(1, 1 << 47)
_CODE = _integers(0, 2)

# How to make an argument, by the name of the parameter.
GENERATORS = {
    "action": _ACTION,
    "action_code": _ACTION,
    "action_taken": _ACTION,
    "actual_ns": _COST_NS,
    "addr_hint": _ADDRESS,
    "address": _ADDRESS,
    "adverse": _flags(inputs.ADVERSE_RATE),
    "adverse_hint": _flags(inputs.ADVERSE_RATE),
    "adverse_share": _reals(0.0, 0.02),
    "aligned": _flags(0.9),
    "anomaly_mask": _constant(0),
    "bloom_negative": _flags(inputs.BLOOM_NEGATIVE_RATE),
    "byte": _integers(0, 256),
    "chosen": _CODE,
    "codes": _vectors(16),
    "compatible": _flags(0.99),
    "contention": _reals(0.0, 1.0),
    "contention_hint": _integers(0, inputs.LARGEST_CONTENTION),
    "cost_ns": _COST_NS,
    "coverage_gap": _reals(0.1, 0.4),
    "destination_alignment": _members(clifford.AlignmentRegime),
    "estimated_cost_ns": _COST_NS,
    "exit_stage": _integers(-1, 7),
    "fallback_depth": _integers(0, 3),
    "family": _integers(0, FAMILY_COUNT),
    "family_index": _integers(0, FAMILY_COUNT),
    "fast_over_budget": _flags(0.1),
    "from_state": _integers(0, FAMILY_COUNT),
    "from_stratum": _members(microlocal.Stratum),
    "full_validation_trigger_ppm": _constant(220_000),
    "hardened_action": _ACTION,
    "hit": _flags(inputs.ADVERSE_RATE),
    "hit_rate": _reals(0.0, 0.02),
    "invariant_class": _members(serre_spectral.InvariantClass),
    "is_stack_check": _flags(0.2),
    "is_write": _flags(inputs.WRITE_RATE),
    "latency": _reals(0.0, 1.0),
    "latency_fraction": _reals(0.0, 1.0),
    "latency_ns": _COST_NS,
    "layer_pair": _members(serre_spectral.LayerPair),
    "left_shard": _words(0, 16),
    "length_regime": _reals(0.0, 1.0),
    "lifted_ok": _flags(0.99),
    "mask": _constant((1 << PROBE_COUNT) - 1),
    "max_request_bytes": _constant(np.uint64(1 << 30)),
    "mode": _constant(int(SafetyLevel.STRICT)),
    "ordering_used": _constant(pack_ordering(list(CheckStage))),
    "overlap_fraction": _reals(0.0, 0.5),
    "params": _integers(0, 64),
    "path": _members(tropical_latency.LatencyPath),
    "predecessors_complete": _flags(0.99),
    "profile": _CODE,
    "profile_depth": _reals(0.0, 1.0),
    "recent_page": _flags(0.9),
    "repair_trigger_ppm": _constant(980_000),
    "requested_bytes": _words(0, inputs.LARGEST_REQUEST),
    "resource": _integers(0, 4),
    "result_hash": _words(0, 1 << 63),
    "right_shard": _words(0, 16),
    "risk": _reals(0.02, 0.2),
    "risk_bound_ppm": _RISK_PPM,
    "risk_cost": _reals(0.02, 0.2),
    "risk_ppm": _RISK_PPM,
    "risk_score": _reals(0.02, 0.2),
    "scope_hash": _words(0, 64),
    "score": _reals(0.02, 0.2),
    "severity": _vectors(SIGNAL_COUNT),
    "size": _words(1, inputs.LARGEST_REQUEST),
    "source_alignment": _members(clifford.AlignmentRegime),
    "source_i": _members(grothendieck_glue.DataSource),
    "source_j": _members(grothendieck_glue.DataSource),
    "stage_index": _integers(0, 8),
    "strict_action": _ACTION,
    "to_state": _integers(0, 3 * FAMILY_COUNT),
    "to_stratum": _members(microlocal.Stratum),
    "transition_hash": _words(0, 1 << 63),
    "value": _reals(20_000.0, 200_000.0),
    "witness_hash": _constant(np.uint64(0)),
}
SPECIAL = {
    ("atiyah_bott", "severity"): _vectors(25),
    ("grobner_normalizer", "codes"): _vectors(16),
    ("grothendieck_glue", "family"): _members(grothendieck_glue.QueryFamily),
    ("risk_engine", "family"): _members(risk_engine.CallFamily),
}


def operation(name):
    """Return the jitted function that feeds a monitor."""
    found = _OPERATIONS.get(name, "observe")
    if isinstance(found, str):
        found = getattr(importlib.import_module(f"runtime_math.monitors.{name}"), found)
    return found


def parameters(name):
    """Return the names of a monitor's arguments, its state left out."""
    return list(inspect.signature(operation(name).py_func).parameters)[1:]


def newborn(name):
    """Return the state of a new monitor of this name: an array of one record."""
    module = importlib.import_module(f"runtime_math.monitors.{name}")
    monitor = next(
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Monitor) and each.__dict__.get("STATE")
    )
    return np.array(monitor().record).reshape(1)


def _loop(name):
    """Compile a loop over columns of arguments; its text depends on their number."""
    columns = [f"column_{place}" for place in range(len(parameters(name)))]
    call = f"feed(state, {', '.join(f'{column}[row]' for column in columns)})"
    source = (
        f"def {name}_loop(states, {', '.join(columns)}, loops):\n"
        f"    state, row, total = states[0], 0, 0\n"
        f"    for _ in range(loops):\n"
        f"        total += used({call})\n"
        f"        row = (row + 1) & {_ROWS - 1}\n"
        f"    return total\n"
    )
    namespace = {"feed": operation(name), "used": used}
    exec(compile(source, f"<loop over {name}>", "exec"), namespace)
    return njit(error_model="numpy")(namespace[f"{name}_loop"])


def _prepare(name):
    random = np.random.default_rng(inputs.TRAFFIC_SEED)
    columns = [
        SPECIAL.get((name, parameter), GENERATORS[parameter])(random)
        for parameter in parameters(name)
    ]
    return timed_loop(_loop(name), newborn(name), *columns)


def benchmarks():
    """Return the benchmarks of this group."""
    return [
        Benchmark(f"monitor/{name}", lambda name=name: _prepare(name)) for name in MONITOR_NAMES
    ]
