"""Traces: every call of a kernel and what it returned, one CSV row each, gzip-compressed.

The first field of a row tells its kind: ``H`` header, ``HC`` and ``HS`` column names, ``D`` decide,
``O`` observe, ``V`` note_overlap, ``Q`` check_ordering, ``N`` note_check_order_outcome, ``C`` the
cached codes after a call, ``S`` the snapshot after a call. Both directions stream: neither a
recording nor a reading holds more than a row.
"""

import csv
import gzip
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from runtime_math.faithful.ordering import pack_ordering
from runtime_math.faithful.signals import Signal
from runtime_math.faithful.snapshot import SNAPSHOT
from runtime_math.monitors import cohomology, equivariant, fusion, risk
from runtime_math.monitors.tropical_latency import LatencyPath
from runtime_math.records import EVENT, RESULT, EventKind
from runtime_math.types import ApiFamily, SafetyLevel

CACHE_PERIOD = 10
SNAPSHOT_PERIOD = 250
MODE_WORDS = {
    "Strict": SafetyLevel.STRICT,
    "Hardened": SafetyLevel.HARDENED,
    "Off": SafetyLevel.OFF,
}
CALL_KINDS = {
    "D": EventKind.DECIDE,
    "O": EventKind.OBSERVE,
    "V": EventKind.OVERLAP,
    "Q": EventKind.CHECK_ORDERING,
    "N": EventKind.NOTE_CHECK_ORDER,
}
FIELD_COUNTS = {"D": 12, "O": 4, "V": 4, "Q": 4, "N": 5}

_CODE_COLUMNS = (
    ("spectral_phase", Signal.SPECTRAL),
    ("signature_state", Signal.SIGNATURE),
    ("topological_state", Signal.TOPOLOGICAL),
    ("bridge_state", Signal.BRIDGE),
    ("hji_state", Signal.HJI),
    ("mfg_state", Signal.MEAN_FIELD),
    ("padic_state", Signal.PADIC),
    ("symplectic_state", Signal.SYMPLECTIC),
    ("sparse_state", Signal.SPARSE),
    ("equivariant_state", Signal.EQUIVARIANT),
    ("topos_state", Signal.HIGHER_TOPOS),
    ("audit_state", Signal.COMMITMENT_AUDIT),
    ("changepoint_state", Signal.CHANGEPOINT),
    ("conformal_state", Signal.CONFORMAL),
    ("loss_minimizer_state", Signal.LOSS_MINIMIZER),
    ("coupling_state", Signal.COUPLING),
    ("microlocal_state", Signal.MICROLOCAL),
    ("serre_state", Signal.SERRE),
    ("clifford_state", Signal.CLIFFORD),
    ("ktheory_state", Signal.KTHEORY),
    ("covering_state", Signal.COVERING),
    ("tstructure_state", Signal.TSTRUCTURE),
    ("admm_state", Signal.ADMM),
    ("atiyah_bott_state", Signal.ATIYAH_BOTT),
    ("obstruction_state", Signal.OBSTRUCTION),
    ("operator_norm_state", Signal.OPERATOR_NORM),
    ("pomdp_state", Signal.POMDP),
    ("sos_state", Signal.SOS),
    ("provenance_state", Signal.PROVENANCE),
    ("grobner_state", Signal.GROBNER),
    ("grothendieck_state", Signal.GROTHENDIECK),
)
CACHE_COLUMNS = (
    "risk_bonus_ppm",
    *(name for name, _ in _CODE_COLUMNS[:8]),
    "probe_mask",
    "design_ident_ppm",
    "design_budget_ns",
    "design_expected_ns",
    "design_selected",
    "sparse_state",
    "equivariant_state",
    "equivariant_alignment_ppm",
    "equivariant_orbit",
    *(name for name, _ in _CODE_COLUMNS[10:16]),
    "fusion_bonus_ppm",
    "fusion_entropy_milli",
    "fusion_drift_ppm",
    "fusion_dominant_signal",
    *(name for name, _ in _CODE_COLUMNS[16:]),
    "decisions",
    *(
        f"{column}[{int(family)}]"
        for column in ("oracle_bias", "anytime_state", "cvar_state", "ld_state", "base_risk_ppm")
        for family in ApiFamily
    ),
    "fast_wcl_ns",
    "full_wcl_ns",
    "quarantine_depth",
    "consistency_faults",
)


class TraceError(ValueError):
    """A trace file cannot be read: not gzip, truncated, or a row that makes no sense."""


def cached_columns(states):
    """Values of a C row for a kernel's state.

    Parameters
    ----------
    states : numpy.ndarray of shape (1,) and dtype `KERNEL_STATE`

    Returns
    -------
    dict of str to int
        In the order of `CACHE_COLUMNS`.
    """
    record = states[0]
    fused = fusion.summary(record["fusion"])
    symmetry = equivariant.summary(record["equivariant"])
    observed = record["equivariant"]["observations"] > 0
    values = {
        "risk_bonus_ppm": record["sampled_bonus_ppm"],
        "probe_mask": record["probe_mask"],
        "design_ident_ppm": record["design_identifiability_ppm"],
        "design_budget_ns": record["design"]["budget_ns"],
        "design_expected_ns": record["design"]["expected_cost_ns"],
        "design_selected": record["design_selected_count"],
        "equivariant_alignment_ppm": symmetry.alignment_ppm if observed else 0,
        "equivariant_orbit": symmetry.dominant_orbit if observed else 0,
        "fusion_bonus_ppm": fused.bonus_ppm,
        "fusion_entropy_milli": fused.entropy_milli,
        "fusion_drift_ppm": fused.drift_ppm,
        "fusion_dominant_signal": fused.dominant_signal,
        "decisions": record["decisions"],
        "fast_wcl_ns": record["tropical_latency"]["published_ns"][LatencyPath.FAST_EXIT],
        "full_wcl_ns": record["tropical_latency"]["published_ns"][LatencyPath.FULL],
        "quarantine_depth": record["quarantine_controller"]["published_depth"],
        "consistency_faults": cohomology.fault_count(record["cohomology"]),
    }
    values.update((name, record["codes"][signal]) for name, signal in _CODE_COLUMNS)
    for family in map(int, ApiFamily):
        values[f"oracle_bias[{family}]"] = record["oracle_bias"][family]
        values[f"anytime_state[{family}]"] = record["anytime_codes"][family]
        values[f"cvar_state[{family}]"] = record["cvar_codes"][family]
        values[f"ld_state[{family}]"] = record["large_deviations_codes"][family]
        values[f"base_risk_ppm[{family}]"] = risk.upper_bound_ppm(record["risk"], family)
    return {name: int(values[name]) for name in CACHE_COLUMNS}


def _text(value):
    """A value as it stands in a trace: bools as 0 and 1, floats with all their digits."""
    return repr(value) if isinstance(value, float) else str(int(value))


class TraceWriter:
    """Write the calls of one kernel to a trace file, row by row.

    Parameters
    ----------
    path : path-like
        File to write (gzip). The trace is complete only after `close`; until then it has the
        suffix ``.part``, so that an interrupted recording is not taken for a whole one.
    states : numpy.ndarray of shape (1,)
        State of the kernel that is recorded.
    snapshot : callable
        Gives the kernel's snapshot in its configured mode.
    scenario : str
        Name in the header.
    """

    def __init__(self, path, states, snapshot, scenario):
        self._path = Path(path)
        self._part = self._path.with_name(self._path.name + ".part")
        self._states = states
        self._snapshot = snapshot
        self._calls = 0
        self._stream = gzip.open(self._part, "wt", encoding="ascii", newline="")  # noqa: SIM115
        word = next(word for word, mode in MODE_WORDS.items() if mode == states["mode"][0])
        self._row("H", scenario, word, "0")
        self._row("HC", *CACHE_COLUMNS)
        self._row("HS", *SNAPSHOT.names)

    def _row(self, *fields):
        self._stream.write(",".join(fields) + "\n")

    def _call(self, kind, *fields):
        self._row(kind, *fields)
        number = str(self._calls)
        self._calls += 1
        if self._calls % CACHE_PERIOD == 0:
            self._row("C", number, *map(str, cached_columns(self._states).values()))
        if self._calls % SNAPSHOT_PERIOD == 0:
            self._row("S", number, *map(_text, self._snapshot()))

    def decide(self, mode, context, decision):
        """Record a decision."""
        results = (
            decision.profile,
            decision.action,
            decision.healing,
            decision.policy_id,
            decision.risk_upper_bound_ppm,
        )
        self._call("D", *map(_text, (mode, *context, *results)))

    def observe(self, family, profile, cost_ns, adverse):
        """Record an observation."""
        self._call("O", *map(_text, (family, profile, cost_ns, adverse)))

    def overlap(self, left_shard, right_shard, witness, consistent):
        """Record an overlap check."""
        self._call("V", *map(_text, (left_shard, right_shard, witness, consistent)))

    def check_ordering(self, family, aligned, recent_page, stages):
        """Record a reading of the stage ordering."""
        self._call("Q", *map(_text, (family, aligned, recent_page)), _digits(stages))

    def note_check_order(self, family, aligned, recent_page, stages, exit_stage):
        """Record a report of where a validation ended."""
        context = map(_text, (family, aligned, recent_page))
        self._call("N", *context, _digits(stages), str(exit_stage))

    def close(self):
        """Finish the file and give it its name."""
        self._stream.close()
        os.replace(self._part, self._path)

    def abandon(self):
        """Close the file without giving it its name; the calls stay in the ``.part`` file."""
        self._stream.close()


def _digits(stages):
    return "".join(str(int(stage)) for stage in stages)


class TraceHeader(NamedTuple):
    """First row of a trace."""

    scenario: str
    mode: SafetyLevel
    seed: str


class TraceRow(NamedTuple):
    """One row: line number in the file, kind, and the fields after the kind as text."""

    line: int
    kind: str
    fields: list


def read_rows(path):
    """Stream the rows of a trace.

    Parameters
    ----------
    path : path-like
        Trace file.

    Yields
    ------
    TraceRow

    Raises
    ------
    TraceError
        Naming the file and line where it stops making sense.
    OSError
        When the file cannot be opened.
    """
    line = 0
    try:
        with gzip.open(path, "rt", encoding="ascii", newline="") as stream:
            for line, (kind, *fields) in enumerate(csv.reader(stream), 1):
                if len(fields) != FIELD_COUNTS.get(kind, len(fields)):
                    raise TraceError(f"{path}:{line}: a {kind} row with {len(fields)} fields")
                yield TraceRow(line, kind, fields)
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError, zlib.error, csv.Error) as error:
        raise TraceError(f"{path}: unreadable after line {line}: {error}") from None
    except ValueError as error:
        if isinstance(error, TraceError):
            raise
        raise TraceError(f"{path}: unreadable after line {line}: {error}") from None


def header_of(row, path):
    """Header from the first row of a trace."""
    if row.kind != "H" or len(row.fields) != 3 or row.fields[1] not in MODE_WORDS:
        raise TraceError(f"{path}:{row.line}: the first row is not a trace header")
    scenario, word, seed = row.fields
    return TraceHeader(scenario, MODE_WORDS[word], seed)


def _store_event(row, event, result):
    kind, values = row.kind, row.fields
    event["kind"] = result["kind"] = CALL_KINDS[kind]
    if kind == "D":
        names = ("mode", "family", "addr_hint", "requested_bytes", "is_write", "contention_hint")
        for name, text in zip((*names, "bloom_negative"), values, strict=False):
            event[name] = int(text)
        names = ("profile", "action", "healing", "policy_id", "risk_upper_bound_ppm")
        for name, text in zip(names, values[7:], strict=True):
            result[name] = int(text)
    elif kind == "O":
        for name, text in zip(("family", "profile", "cost_ns", "adverse"), values, strict=True):
            event[name] = int(text)
    elif kind == "V":
        for name, text in zip(("left_shard", "right_shard", "witness"), values, strict=False):
            event[name] = int(text)
        result["consistent"] = int(values[3])
    else:
        for name, text in zip(("family", "aligned", "recent_page"), values, strict=False):
            event[name] = int(text)
        target = result if kind == "Q" else event
        target["ordering"] = pack_ordering(map(int, values[3]))
        if kind == "N":
            event["exit_stage"] = int(values[4])


def read_events(path, chunk_rows=65536):
    """Stream the calls of a trace as arrays for `RuntimeMathKernel.replay`.

    Parameters
    ----------
    path : path-like
        Trace file.
    chunk_rows : int, default 65536
        Calls per pair of arrays; the last pair may be shorter.

    Yields
    ------
    events : numpy.ndarray of dtype `EVENT`
    results : numpy.ndarray of dtype `RESULT`
        What the calls returned when they were recorded.

    Raises
    ------
    TraceError, OSError
        As `read_rows`.
    """
    events, results = np.zeros(chunk_rows, EVENT), np.zeros(chunk_rows, RESULT)
    filled = 0
    for row in read_rows(path):
        if row.kind not in CALL_KINDS:
            continue
        try:
            _store_event(row, events[filled], results[filled])
        except (ValueError, OverflowError) as error:
            raise TraceError(f"{path}:{row.line}: {error}") from None
        filled += 1
        if filled == chunk_rows:
            yield events, results
            events, results = np.zeros(chunk_rows, EVENT), np.zeros(chunk_rows, RESULT)
            filled = 0
    if filled:
        yield events[:filled], results[:filled]
