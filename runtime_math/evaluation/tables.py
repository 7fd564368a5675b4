"""Tables of an evaluation for the terminal: policies side by side, then the acceptance bars."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime_math.evaluation.acceptance import checks
from runtime_math.evaluation.run import CLEAN, Rows

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 100

CLEAN_COLUMNS = (
    ("clean %", "clean_percent", "{:.2f}"),
    ("cost ns", "cost_ns", "{:.1f}"),
    ("flips", "flips", "{:.1f}"),
    ("false alarms", "false_alarms", "{:d}"),
)
INCIDENT_COLUMNS = (
    ("delay", "delay_median", "{:.0f}"),
    ("90 %", "delay_90", "{:.0f}"),
    ("miss %", "missed_percent", "{:.0f}"),
    ("pre %", "pre_alarmed_percent", "{:.0f}"),
    ("inside %", "inside_percent", "{:.0f}"),
    ("covered %", "covered_percent", "{:.0f}"),
    ("recovery", "recovery_median", "{:.0f}"),
)


def formatted(value: float | None, pattern: str) -> str:
    """A figure as text; a dash where there is none."""
    return "-" if value is None else pattern.format(value)


def _table(title: str, columns: Sequence[tuple[str, str, str]], rows: Rows) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("scenario")
    table.add_column("policy")
    for name, _, _ in columns:
        table.add_column(name, justify="right")
    previous = None
    for row in rows:
        name = row["scenario"] if row["scenario"] != previous else ""
        previous = row["scenario"]
        cells = (formatted(row[key], pattern) for _, key, pattern in columns)
        table.add_row(name, row["policy"], *cells)
    return table


def acceptance_table(summary: Rows) -> "Table | None":
    """Rich table of the bars, or None when the calibrated policy was not run."""
    from rich import box
    from rich.table import Table

    found = checks(summary)
    if not found:
        return None
    table = Table(title="calibrated policy beside its bars", title_justify="left")
    table.box = box.SIMPLE_HEAD
    table.add_column("figure")
    table.add_column("measured", justify="right")
    table.add_column("bar", justify="right")
    table.add_column("")
    for check in found:
        sign = "<=" if check.at_most else ">="
        verdict = "met" if check.met else "NOT MET"
        measured = formatted(check.measured, "{:.2f}")
        table.add_row(check.figure, measured, f"{sign} {check.bar:g}", verdict)
    return table


def render(summary: Rows) -> str:
    """All tables of a summary as text.

    Parameters
    ----------
    summary : list of dict
        As `results.summarise` returns it.
    """
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=WIDTH, color_system=None)
    for mode in dict.fromkeys(row["mode"] for row in summary):
        rows = [row for row in summary if row["mode"] == mode]
        clean = [row for row in rows if row["kind"] == CLEAN]
        troubled = [row for row in rows if row["kind"] != CLEAN]
        if clean:
            console.print(_table(f"clean traffic, {mode}", CLEAN_COLUMNS, clean))
        if troubled:
            console.print(_table(f"incidents, {mode}", INCIDENT_COLUMNS, troubled))
    bars = acceptance_table(summary)
    if bars is not None:
        console.print(bars)
    return text.getvalue().rstrip()
