"""The history of recordings: one line of JSON each, and a table of how the top-5 changed."""

import json
from pathlib import Path
from typing import Any

from profiling import aggregate
from profiling.faults import ProfilingError
from profiling.recording import Recording
from profiling.resolve import INLINED, JITTED

DEFAULT_FILE = Path("profiles") / "log.jsonl"
HEADINGS = ("date", "recording", "revision", "samples", "top-5 of jitted code (self %)", "change")
_TOP = 5


def append(file: Path, recorded: Recording) -> None:
    """Append a recording's line to the history; one that is there already is not repeated."""
    entry = {
        "date": recorded.meta["date"],
        "recording": recorded.title,
        "lines": recorded.meta["lines"],
        "backend": recorded.meta["backend"],
        "git_revision": recorded.meta["machine"]["git_revision"],
        "cpu": recorded.meta["machine"]["cpu"],
        "samples": recorded.meta["samples"]["run"],
        "top": [
            {"symbol": row.symbol, "place": row.place, "share": round(row.share, 4)}
            for row in aggregate.ranking(recorded.folded, kinds=(JITTED, INLINED))[:_TOP]
        ],
    }
    if file.exists() and entry in read(file):
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "a") as stream:
            stream.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise ProfilingError(f"cannot write {file}: {error.strerror}") from None


def read(file: Path) -> list[dict[str, Any]]:
    """Return the entries of a history, oldest first."""
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return []
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(json.loads(line))
        except ValueError:
            raise ProfilingError(f"{file}, line {number}: not JSON") from None
    return entries


def _change(entry: dict[str, Any], previous: dict[str, Any] | None) -> str:
    if previous is None:
        return "first"
    now = {row["symbol"] for row in entry["top"]}
    before = {row["symbol"] for row in previous["top"]}
    parts = [f"+{name}" for name in sorted(now - before)]
    parts += [f"-{name}" for name in sorted(before - now)]
    return " ".join(parts) or "same set"


def rows(entries: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells of the table; each top-5 is compared with that recording's previous one."""
    previous: dict[tuple[str, str, bool], dict[str, Any]] = {}
    cells: list[tuple[str, ...]] = []
    for entry in entries:
        key = (entry["recording"], entry["backend"], entry["lines"])
        top = ", ".join(f"{row['symbol']} {100 * row['share']:.0f}" for row in entry["top"])
        cells.append(
            (
                entry["date"][:16],
                entry["recording"],
                entry["git_revision"],
                str(entry["samples"]),
                top,
                _change(entry, previous.get(key)),
            )
        )
        previous[key] = entry
    return cells
