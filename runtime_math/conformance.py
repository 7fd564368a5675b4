"""Replay of recorded traces against new kernels, comparing everything that was recorded."""

import itertools
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from runtime_math.calibrated.recording import kernel_arguments
from runtime_math.faithful.ordering import STAGE_COUNT
from runtime_math.kernel import RuntimeMathKernel
from runtime_math.trace import (
    CALL_KINDS,
    TraceError,
    TraceRow,
    cached_columns,
    read_rows,
)
from runtime_math.types import CheckStage, RuntimeContext, RuntimeDecision

RELATIVE_TOLERANCE = 1e-9
DIVERGENCES_KEPT = 10
DECISION_COLUMNS = ("profile", "action", "healing", "policy_id", "risk_upper_bound_ppm")


class Divergence(NamedTuple):
    """One value that differs from the recorded one."""

    call: int
    column: str
    expected: str
    actual: str


class Conformance(NamedTuple):
    """Result of replaying one trace."""

    name: str
    calls: int
    mismatches: int
    divergences: list[Divergence]


def value_agrees(expected: str, actual: Any) -> bool:
    """Whether a value equals its recorded text: integers exactly, floats to 1e-9 relative.

    Examples
    --------
    >>> value_agrees("0.5", 0.5 + 1e-12), value_agrees("7", 8), value_agrees("1", True)
    (True, False, True)
    """
    if isinstance(actual, float):
        recorded = float(expected)
        if math.isnan(recorded):
            return math.isnan(actual)
        return math.isclose(recorded, actual, rel_tol=RELATIVE_TOLERANCE, abs_tol=0.0)
    return int(expected) == int(actual)


class _Replay:
    """A new kernel that follows a trace row by row."""

    def __init__(self, kernel: RuntimeMathKernel, path: Path) -> None:
        self.kernel = kernel
        self.path = path
        self.calls = 0
        self.mismatches = 0
        self.divergences: list[Divergence] = []
        self.columns: dict[str, list[str]] = {}

    def follow(self, row: TraceRow) -> None:
        """Make the call of a row, or compare the state with it."""
        if row.kind in ("HC", "HS"):
            self.columns[row.kind[1]] = row.fields
        elif row.kind in CALL_KINDS:
            getattr(self, f"_{CALL_KINDS[row.kind].name.lower()}")(row.fields)
            self.calls += 1
        elif row.kind in ("C", "S"):
            self._compare_state(row)
        else:
            raise TraceError(f"{self.path}:{row.line}: unknown kind of row {row.kind!r}")

    def _compare(
        self, call: int, columns: Sequence[str], expected: Iterable[str], actual: Iterable[Any]
    ) -> None:
        for column, text, value in zip(columns, expected, actual, strict=True):
            if not value_agrees(text, value):
                self.mismatches += 1
                if len(self.divergences) < DIVERGENCES_KEPT:
                    self.divergences.append(Divergence(call, column, text, str(value)))

    def _compare_state(self, row: TraceRow) -> None:
        names = self.columns.get(row.kind)
        number, *expected = row.fields
        if names is None or len(names) != len(expected):
            raise TraceError(f"{self.path}:{row.line}: a {row.kind} row without matching columns")
        if row.kind == "C":
            values = cached_columns(self.kernel.states)
        else:
            values = self.kernel.snapshot()._asdict()
        unknown = [name for name in names if name not in values]
        if unknown:
            raise TraceError(f"{self.path}: unknown column {unknown[0]!r}")
        self._compare(int(number), names, expected, [values[name] for name in names])

    def _decide(self, fields: list[str]) -> None:
        mode, family, address, size, is_write, contention, bloom_negative = map(int, fields[:7])
        context = RuntimeContext(
            family, address, size, bool(is_write), contention, bool(bloom_negative)
        )
        decision = self.kernel.decide(mode, context)
        self._compare(self.calls, DECISION_COLUMNS, fields[7:], _in_column_order(decision))

    def _observe(self, fields: list[str]) -> None:
        family, profile, cost_ns, adverse = map(int, fields)
        self.kernel.observe_validation_result(family, profile, cost_ns, bool(adverse))

    def _overlap(self, fields: list[str]) -> None:
        left, right, witness, _ = map(int, fields)
        consistent = self.kernel.note_overlap(left, right, witness)
        self._compare(self.calls, ("consistent",), fields[3:], (consistent,))

    def _check_ordering(self, fields: list[str]) -> None:
        family, aligned, recent_page = int(fields[0]), fields[1] == "1", fields[2] == "1"
        stages = self.kernel.check_ordering(family, aligned, recent_page)
        columns = [f"stage[{place}]" for place in range(STAGE_COUNT)]
        self._compare(self.calls, columns, fields[3], stages)

    def _note_check_order(self, fields: list[str]) -> None:
        family, aligned, recent_page = int(fields[0]), fields[1] == "1", fields[2] == "1"
        stages = [CheckStage(int(digit)) for digit in fields[3]]
        exit_stage = None if int(fields[4]) < 0 else int(fields[4])
        self.kernel.note_check_order_outcome(family, aligned, recent_page, stages, exit_stage)


def _in_column_order(decision: RuntimeDecision) -> list[int]:
    return [getattr(decision, column) for column in DECISION_COLUMNS]


def check_trace(path: str | os.PathLike[str]) -> Conformance:
    """Replay a trace against a new kernel of the kind it was recorded from.

    Parameters
    ----------
    path : path-like
        Trace file.

    Returns
    -------
    Conformance

    Raises
    ------
    TraceError, OSError
        The file cannot be read, or its rows make no sense.
    """
    path = Path(path)
    try:
        arguments = kernel_arguments(path)
        kernel = RuntimeMathKernel(**arguments)
    except (ValueError, TypeError) as error:
        raise error if isinstance(error, TraceError) else TraceError(f"{path}: {error}") from None
    replay = _Replay(kernel, path)
    head = 2 if "policy" in arguments else 1
    for row in itertools.islice(read_rows(path), head, None):
        try:
            replay.follow(row)
        except (ValueError, TypeError) as error:
            if isinstance(error, TraceError):
                raise
            raise TraceError(f"{path}:{row.line}: {error}") from None
    name = path.name.removesuffix(".csv.gz")
    return Conformance(name, replay.calls, replay.mismatches, replay.divergences)


def outcome(path: str | os.PathLike[str]) -> Conformance | str:
    """`check_trace` for many traces, of which an unreadable one stops none.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Conformance or str
        A sentence where the trace cannot be read.
    """
    try:
        return check_trace(path)
    except (TraceError, OSError) as error:
        return str(error)
