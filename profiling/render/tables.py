"""Tables of self cost and of differences, as text."""

from collections.abc import Iterable, Sequence
from typing import Any

from profiling.aggregate import Change, Row

_LEAST_UNSEEN_SECONDS = 0.3
_KIND_MARKS = {"jitted": "jit", "inlined": "jit, inlined", "python": "python", "native": "native"}


def _percent(share: float) -> str:
    return f"{100 * share:5.1f}"


def row_cells(number: int, row: Row) -> tuple[str, ...]:
    """Return the cells of a row of the top table."""
    return (
        str(number),
        _percent(row.share),
        f"{100 * row.low:.1f} - {100 * row.high:.1f}",
        str(row.samples),
        row.symbol,
        row.place,
        _KIND_MARKS.get(row.kind, row.kind),
    )


TOP_HEADINGS = ("#", "self %", "95 %", "samples", "symbol", "place", "kind")


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Align cells under headings; numbers are expected to be formatted already."""
    grid = [headings, *rows]
    widths = [max(len(line[column]) for line in grid) for column in range(len(headings))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in grid
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def summary_line(meta: dict[str, Any]) -> str:
    """One line that says what a table is about."""
    samples = meta["samples"]
    title = meta["id"] or " ".join(meta["command"])
    return (
        f"{title}: {samples['run']} run-time samples at {meta['rate']} Hz ({meta['backend']}, "
        f"{meta['seconds']:.1f} s); compile {samples['compile']}, import {samples['import']}"
        + (f", lost {samples['lost']}" if samples.get("lost") else "")
    )


def unseen_line(meta: dict[str, Any]) -> str:
    """One line on processor time that no sample stands for; "" where there is none to speak of.

    py-spy sees the threads that Python knows. Numba's own, which run parallel loops, are none.
    """
    unseen = meta["samples"].get("unseen_thread_seconds", 0.0)
    if unseen < _LEAST_UNSEEN_SECONDS:
        return ""
    return (
        f"{unseen:.1f} s of processor time were not seen: they are of threads that Python does not"
        " know, such as Numba's (--backend perf samples them)"
    )


def named_line(meta: dict[str, Any]) -> str:
    """One line on how much of the jitted code has names."""
    jitted = meta["jitted"]
    if not jitted["samples"]:
        return "no sample in jitted code"
    share = 100 * jitted["named_share"]
    return f"{jitted['samples']} samples end in jitted code, {share:.1f} % of them with a name"


def compiled_line(meta: dict[str, Any]) -> str:
    """One line on what compiling took; "" where nothing was compiled."""
    compiled = meta.get("compiled", {"functions": 0})
    if not compiled["functions"]:
        return ""
    most = ", ".join(f"{row['function']} {row['seconds']:.1f} s" for row in compiled["most"][:3])
    count = compiled["functions"]
    functions = "1 function was" if count == 1 else f"{count} functions were"
    return f"{functions} compiled in {compiled['seconds']:.1f} s: {most}"


def heading_lines(meta: dict[str, Any]) -> list[str]:
    """What a table of a recording begins with."""
    lines = (unseen_line(meta), summary_line(meta), named_line(meta), compiled_line(meta))
    return [line for line in lines if line]


def top_text(meta: dict[str, Any], rankings: dict[str, list[Row]]) -> str:
    """Return the text of top.txt: everything, then jitted code alone."""
    parts = ["\n".join(heading_lines(meta)) + "\n"]
    for heading, rows in (("everything", rankings["all"]), ("jitted code", rankings["jitted"])):
        cells = [row_cells(*item) for item in enumerate(rows, 1)]
        parts.append(f"{heading}\n\n{plain_table(TOP_HEADINGS, cells)}\n")
    return "\n".join(parts)


def _rank(number: int | None) -> str:
    return "-" if number is None else str(number)


CHANGE_HEADINGS = ("rank", "old %", "new %", "difference", "95 %", "verdict", "symbol", "place")


def change_cells(change: Change) -> tuple[str, ...]:
    """Return the cells of a row of the comparison."""
    if change.new_rank is not None and change.old_rank is None:
        verdict = "entered"
    elif change.new_rank is None and change.old_rank is not None:
        verdict = "left"
    else:
        verdict = "stayed" if change.old_rank == change.new_rank else "moved"
    certainty = "real" if change.significant else "within noise"
    return (
        f"{_rank(change.old_rank)} -> {_rank(change.new_rank)}",
        _percent(change.old.share if change.old else 0.0),
        _percent(change.new.share if change.new else 0.0),
        f"{100 * change.difference:+5.1f}",
        f"{100 * change.low:+.1f} .. {100 * change.high:+.1f}",
        f"{verdict}, {certainty}",
        change.symbol,
        change.place,
    )
