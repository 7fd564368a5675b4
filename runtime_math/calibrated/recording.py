"""Traces of calibrated kernels: the calls and what they returned, and the policy's settings.

The format is that of `runtime_math.trace`. In place of the monitors' codes there is one row
``HP`` after the header: policy, alpha_alarm, adverse_ceiling, latency_share, monitors.
"""

import gzip
import os
from pathlib import Path
from typing import Any

from runtime_math.trace import MODE_WORDS, TraceError, TraceWriter, header_of, read_rows

POLICY_ROW = "HP"


class CalibratedTraceWriter(TraceWriter):
    """Write the calls of one calibrated kernel to a trace file, row by row.

    Parameters
    ----------
    path : path-like
        File to write; until `close` it has the suffix ``.part``.
    kernel : CalibratedKernel
        The kernel that is recorded.
    scenario : str
        Name in the header.
    """

    def __init__(self, path: str | os.PathLike[str], kernel: Any, scenario: str) -> None:
        self._path = Path(path)
        self._part = self._path.with_name(self._path.name + ".part")
        self._stream = gzip.open(self._part, "wt", encoding="ascii", newline="")  # noqa: SIM115
        word = next(word for word, mode in MODE_WORDS.items() if mode == kernel.mode)
        self._row("H", scenario, word, "0")
        self._row(POLICY_ROW, "calibrated", *map(str, kernel.settings.values()))

    def _call(self, kind: str, *fields: str) -> None:
        self._row(kind, *fields)


def kernel_arguments(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Mode, policy and settings of the kernel that a trace was recorded from.

    Parameters
    ----------
    path : path-like
        Trace file of any policy.

    Returns
    -------
    dict
        Keyword arguments for `RuntimeMathKernel`.

    Raises
    ------
    TraceError, OSError
        When the file is not a trace.
    """
    rows = read_rows(path)
    try:
        first = next(rows, None)
        if first is None:
            raise TraceError(f"{path}: empty trace")
        arguments: dict[str, Any] = {"mode": header_of(first, path).mode}
        second = next(rows, None)
        if second is None or second.kind != POLICY_ROW:
            return arguments
        try:
            policy, alpha_alarm, adverse_ceiling, latency_share, monitors = second.fields
            arguments.update(
                policy=policy,
                alpha_alarm=float(alpha_alarm),
                adverse_ceiling=float(adverse_ceiling),
                latency_share=float(latency_share),
                monitors=monitors,
            )
        except ValueError:
            raise TraceError(f"{path}:{second.line}: malformed policy row") from None
        return arguments
    finally:
        rows.close()
