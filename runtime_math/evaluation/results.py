"""Results files: data first. Every run with its metrics, and what is needed to repeat it."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from runtime_math.evaluation import metrics
from runtime_math.evaluation.run import CLEAN, Rows

FORMAT = "runtime-math evaluation"
VERSION = 1


class ResultsError(ValueError):
    """A results file cannot be read: not one, damaged, or of another version."""


def document(runs: Rows, command: str | None = None) -> dict[str, Any]:
    """Results as one JSON-able value.

    Parameters
    ----------
    runs : list of dict
        As `run.run_task` returns them.
    command : str, optional
        What was asked for.
    """
    import numba

    from runtime_math import __version__

    return {
        "format": FORMAT,
        "version": VERSION,
        "command": command,
        "software": {
            "runtime-math": __version__,
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            "Numba": numba.__version__,
        },
        "summary": summarise(runs),
        "runs": runs,
    }


def summarise(runs: Rows) -> Rows:
    """Summarise runs over seeds.

    Returns
    -------
    list of dict
        One per mode, scenario and policy, in the order of first appearance: ``mode``, ``kind``,
        ``scenario``, ``policy`` and the summary's figures.
    """
    groups: dict[tuple[str, str, str, str], list[dict[str, Any]]] = {}
    for run in runs:
        key = run["mode"], run["kind"], run["scenario"], run["policy"]
        groups.setdefault(key, []).append(run["metrics"])
    rows = []
    for (mode, kind, scenario, policy), figures in groups.items():
        if kind == CLEAN:
            summary = metrics.summarise_clean([metrics.CleanMetrics(**item) for item in figures])
        else:
            summary = metrics.summarise_incident(
                [metrics.IncidentMetrics(**item) for item in figures]
            )
        rows.append({"mode": mode, "kind": kind, "scenario": scenario, "policy": policy, **summary})
    return rows


def write(path: str | os.PathLike[str], results: dict[str, Any]) -> None:
    """Write a results file."""
    Path(path).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a results file.

    Raises
    ------
    ResultsError
        One sentence on what is wrong.
    OSError
        The file cannot be opened.
    """
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ResultsError(f"{path} is not a results file: it does not hold JSON") from None
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise ResultsError(f"{path} is not a results file of an evaluation")
    if results.get("version") != VERSION:
        raise ResultsError(
            f"{path} has version {results.get('version')!r}; this release reads version {VERSION}"
        )
    if not isinstance(results.get("runs"), list) or not isinstance(results.get("summary"), list):
        raise ResultsError(f"{path} is damaged: its runs are missing")
    return results
