"""Traces: every call of a kernel and what it returned, one CSV row each, gzip-compressed.

The first field of a row tells its kind: ``H`` header, ``HC`` and ``HS`` column names, ``D`` decide,
``O`` observe, ``V`` note_overlap, ``Q`` check_ordering, ``N`` note_check_order_outcome, ``C`` the
cached codes after a call, ``S`` the snapshot after a call. Both directions stream: neither a
recording nor a reading holds more than a row.
"""

import csv
import functools
import gzip
import operator
import os
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from runtime_math.faithful.ordering import pack_ordering
from runtime_math.faithful.signals import Signal
from runtime_math.faithful.snapshot import SNAPSHOT
from runtime_math.monitors import cohomology, equivariant, fusion, risk
from runtime_math.monitors.tropical_latency import LatencyPath
from runtime_math.records import EVENT, RESULT, EventKind, Records
from runtime_math.types import ApiFamily, RuntimeContext, RuntimeDecision, SafetyLevel

Reader: TypeAlias = Callable[[np.void], Any]

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


def _at(*path: str | int) -> Reader:
    """Reader of an element of a kernel's record."""
    keys = [key if isinstance(key, str) else int(key) for key in path]  # an enum indexes slowly
    return lambda record: functools.reduce(operator.getitem, keys, record)


def _fused(figure: str) -> Reader:
    return lambda record: getattr(fusion.summary(record["fusion"]), figure)


def _symmetry(figure: str) -> Reader:
    def read(record: np.void) -> Any:
        observed = record["equivariant"]["observations"] > 0
        return getattr(equivariant.summary(record["equivariant"]), figure) if observed else 0

    return read


def _base_risk(family: int) -> Reader:
    return lambda record: risk.upper_bound_ppm(record["risk"], family)


def _of_families(column: str, reader: Callable[[int], Reader]) -> dict[str, Reader]:
    return {f"{column}[{family}]": reader(family) for family in map(int, ApiFamily)}


# Columns of a C row, and how they are read from the record of a kernel.
CACHE_COLUMNS = {
    "risk_bonus_ppm": _at("sampled_bonus_ppm"),
    "spectral_phase": _at("codes", Signal.SPECTRAL),
    "signature_state": _at("codes", Signal.SIGNATURE),
    "topological_state": _at("codes", Signal.TOPOLOGICAL),
    "bridge_state": _at("codes", Signal.BRIDGE),
    "hji_state": _at("codes", Signal.HJI),
    "mfg_state": _at("codes", Signal.MEAN_FIELD),
    "padic_state": _at("codes", Signal.PADIC),
    "symplectic_state": _at("codes", Signal.SYMPLECTIC),
    "probe_mask": _at("probe_mask"),
    "design_ident_ppm": _at("design_identifiability_ppm"),
    "design_budget_ns": _at("design", "budget_ns"),
    "design_expected_ns": _at("design", "expected_cost_ns"),
    "design_selected": _at("design_selected_count"),
    "sparse_state": _at("codes", Signal.SPARSE),
    "equivariant_state": _at("codes", Signal.EQUIVARIANT),
    "equivariant_alignment_ppm": _symmetry("alignment_ppm"),
    "equivariant_orbit": _symmetry("dominant_orbit"),
    "topos_state": _at("codes", Signal.HIGHER_TOPOS),
    "audit_state": _at("codes", Signal.COMMITMENT_AUDIT),
    "changepoint_state": _at("codes", Signal.CHANGEPOINT),
    "conformal_state": _at("codes", Signal.CONFORMAL),
    "loss_minimizer_state": _at("codes", Signal.LOSS_MINIMIZER),
    "coupling_state": _at("codes", Signal.COUPLING),
    "fusion_bonus_ppm": _fused("bonus_ppm"),
    "fusion_entropy_milli": _fused("entropy_milli"),
    "fusion_drift_ppm": _fused("drift_ppm"),
    "fusion_dominant_signal": _fused("dominant_signal"),
    "microlocal_state": _at("codes", Signal.MICROLOCAL),
    "serre_state": _at("codes", Signal.SERRE),
    "clifford_state": _at("codes", Signal.CLIFFORD),
    "ktheory_state": _at("codes", Signal.KTHEORY),
    "covering_state": _at("codes", Signal.COVERING),
    "tstructure_state": _at("codes", Signal.TSTRUCTURE),
    "admm_state": _at("codes", Signal.ADMM),
    "atiyah_bott_state": _at("codes", Signal.ATIYAH_BOTT),
    "obstruction_state": _at("codes", Signal.OBSTRUCTION),
    "operator_norm_state": _at("codes", Signal.OPERATOR_NORM),
    "pomdp_state": _at("codes", Signal.POMDP),
    "sos_state": _at("codes", Signal.SOS),
    "provenance_state": _at("codes", Signal.PROVENANCE),
    "grobner_state": _at("codes", Signal.GROBNER),
    "grothendieck_state": _at("codes", Signal.GROTHENDIECK),
    "decisions": _at("decisions"),
    **_of_families("oracle_bias", lambda family: _at("oracle_bias", family)),
    **_of_families("anytime_state", lambda family: _at("anytime_codes", family)),
    **_of_families("cvar_state", lambda family: _at("cvar_codes", family)),
    **_of_families("ld_state", lambda family: _at("large_deviations_codes", family)),
    **_of_families("base_risk_ppm", _base_risk),
    "fast_wcl_ns": _at("tropical_latency", "published_ns", LatencyPath.FAST_EXIT),
    "full_wcl_ns": _at("tropical_latency", "published_ns", LatencyPath.FULL),
    "quarantine_depth": _at("quarantine_controller", "published_depth"),
    "consistency_faults": lambda record: cohomology.fault_count(record["cohomology"]),
}


class TraceError(ValueError):
    """A trace file cannot be read: not gzip, truncated, or a row that makes no sense."""


def cached_columns(states: Records) -> dict[str, int]:
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
    return {name: int(read(record)) for name, read in CACHE_COLUMNS.items()}


def _text(value: Any) -> str:
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

    def __init__(
        self,
        path: str | os.PathLike[str],
        states: Records,
        snapshot: Callable[[], Iterable[Any]],
        scenario: str,
    ) -> None:
        self._path = Path(path)
        self._part = self._path.with_name(self._path.name + ".part")
        self._states = states
        self._snapshot = snapshot
        self._calls = 0
        self._stream = gzip.open(self._part, "wt", encoding="ascii", newline="")  # noqa: SIM115
        word = next(word for word, mode in MODE_WORDS.items() if mode == states["mode"][0])
        self._row("H", scenario, word, "0")
        self._row("HC", *CACHE_COLUMNS)
        self._row("HS", *(SNAPSHOT.names or ()))

    def _row(self, *fields: str) -> None:
        self._stream.write(",".join(fields) + "\n")

    def _call(self, kind: str, *fields: str) -> None:
        self._row(kind, *fields)
        number = str(self._calls)
        self._calls += 1
        if self._calls % CACHE_PERIOD == 0:
            self._row("C", number, *map(str, cached_columns(self._states).values()))
        if self._calls % SNAPSHOT_PERIOD == 0:
            self._row("S", number, *[_text(figure) for figure in self._snapshot()])

    def decide(self, mode: int, context: RuntimeContext, decision: RuntimeDecision) -> None:
        """Record a decision."""
        results = (
            decision.profile,
            decision.action,
            decision.healing,
            decision.policy_id,
            decision.risk_upper_bound_ppm,
        )
        self._call("D", *map(_text, (mode, *context, *results)))

    def observe(self, family: int, profile: int, cost_ns: int, adverse: bool) -> None:
        """Record an observation."""
        self._call("O", *map(_text, (family, profile, cost_ns, adverse)))

    def overlap(self, left_shard: int, right_shard: int, witness: int, consistent: bool) -> None:
        """Record an overlap check."""
        self._call("V", *map(_text, (left_shard, right_shard, witness, consistent)))

    def check_ordering(
        self, family: int, aligned: bool, recent_page: bool, stages: Iterable[int]
    ) -> None:
        """Record a reading of the stage ordering."""
        self._call("Q", *map(_text, (family, aligned, recent_page)), _digits(stages))

    def note_check_order(
        self, family: int, aligned: bool, recent_page: bool, stages: Iterable[int], exit_stage: int
    ) -> None:
        """Record a report of where a validation ended."""
        context = map(_text, (family, aligned, recent_page))
        self._call("N", *context, _digits(stages), str(exit_stage))

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._stream.close()
        os.replace(self._part, self._path)

    def abandon(self) -> None:
        """Close the file without giving it its name; the calls stay in the ``.part`` file."""
        self._stream.close()


def _digits(stages: Iterable[int]) -> str:
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
    fields: list[str]


def read_rows(path: str | os.PathLike[str]) -> Generator[TraceRow, None, None]:
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


def header_of(row: TraceRow, path: str | os.PathLike[str]) -> TraceHeader:
    """Header from the first row of a trace."""
    if row.kind != "H" or len(row.fields) != 3 or row.fields[1] not in MODE_WORDS:
        raise TraceError(f"{path}:{row.line}: the first row is not a trace header")
    scenario, word, seed = row.fields
    return TraceHeader(scenario, MODE_WORDS[word], seed)


def _store_event(row: TraceRow, event: np.void, result: np.void) -> None:
    kind, values = row.kind, row.fields
    event["kind"] = result["kind"] = CALL_KINDS[kind]
    if kind == "D":
        for name, text in zip(("mode", *RuntimeContext._fields), values, strict=False):
            event[name] = int(text)
        results = ("profile", "action", "healing", "policy_id", "risk_upper_bound_ppm")
        for name, text in zip(results, values[7:], strict=True):
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


def read_events(
    path: str | os.PathLike[str], chunk_rows: int = 65536
) -> Iterator[tuple[Records, Records]]:
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
