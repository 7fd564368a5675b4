"""Writing pictures to files, and the self-contained HTML report of an evaluation."""

import base64
import html
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime_math.evaluation import plots, timeline
from runtime_math.evaluation.acceptance import checks
from runtime_math.evaluation.run import CLEAN, Policy, Rows
from runtime_math.evaluation.tables import CLEAN_COLUMNS, INCIDENT_COLUMNS, formatted
from runtime_math.evaluation.timeline import Timeline
from runtime_math.scenarios import generate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".html")
DOTS_PER_INCH = 150
SHOWN_INCIDENTS = ("adv20", "onefam", "lat2")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem;
       color: #111; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
figure { margin: 1rem 0; } img { max-width: 100%; } figcaption { color: #444; }
.unmet { font-weight: bold; } code { background: #f3f3f3; padding: 0 .25rem; }
@media print { h2, figure, table { break-inside: avoid; } }
"""


def image_bytes(figure: "Figure", suffix: str) -> bytes:
    """A figure as the bytes of a PNG or SVG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format=suffix.lstrip("."), dpi=DOTS_PER_INCH)
    return stream.getvalue()


def page(title: str, body: str) -> str:
    """A whole HTML page that needs nothing from elsewhere."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>"
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head>\n'
        f"<body><h1>{html.escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def embedded(figure: "Figure", caption: str) -> str:
    """A figure as HTML, its image inside."""
    data = base64.b64encode(image_bytes(figure, ".png")).decode()
    text = html.escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def write_figures(
    path: str | os.PathLike[str], figures: Sequence[tuple["Figure", str]], title: str
) -> list[Path]:
    """Write figures to a file by its suffix.

    Parameters
    ----------
    path : path-like
        ``.html`` takes all figures; ``.png`` and ``.svg`` take one, further ones get a number.
    figures : list of (matplotlib.figure.Figure, str)
        With captions.
    title : str

    Returns
    -------
    list of pathlib.Path
        The files written.
    """
    path = Path(path)
    if path.suffix == ".html":
        body = "\n".join(embedded(figure, caption) for figure, caption in figures)
        path.write_text(page(title, body), encoding="utf-8")
        return [path]
    written = []
    for number, (figure, _) in enumerate(figures, 1):
        target = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        target.write_bytes(image_bytes(figure, path.suffix))
        written.append(target)
    return written


def figures_of_timeline(run: Timeline) -> list[tuple["Figure", str]]:
    """The pictures of one run, with captions."""
    found = [(plots.timeline_figure(run), run.title)]
    if run.codes is not None:
        found.append((plots.codes_figure(run), f"Codes of all monitors: {run.title}"))
    return found


def figures_of_results(results: dict[str, Any]) -> list[tuple["Figure", str]]:
    """The pictures of an evaluation's results, with captions."""
    found = []
    summary = results["summary"]
    for mode in dict.fromkeys(row["mode"] for row in summary):
        found.append((plots.summary_figure(summary, mode), f"All scenarios, {mode}"))
        if len(plots.alphas_in(summary)) > 1:
            figure = plots.alpha_figure(summary, mode)
            found.append((figure, f"What a larger alpha_alarm buys, {mode}"))
    return found


def _table(columns: Sequence[tuple[str, str, str]], rows: Rows) -> str:
    heads = "".join(f"<th>{html.escape(name)}</th>" for name, _, _ in columns)
    lines = [f"<table><thead><tr><th>scenario</th><th>policy</th>{heads}</tr></thead><tbody>"]
    for row in rows:
        cells = "".join(f"<td>{formatted(row[key], form)}</td>" for _, key, form in columns)
        names = f"<td>{html.escape(row['scenario'])}</td><td>{html.escape(row['policy'])}</td>"
        lines.append(f"<tr>{names}{cells}</tr>")
    return "\n".join([*lines, "</tbody></table>"])


def _acceptance(summary: Rows) -> str:
    found = checks(summary)
    if not found:
        return ""
    lines = ["<h2>The calibrated policy beside its bars</h2><table><thead><tr>"]
    lines.append("<th>figure</th><th></th><th>measured</th><th>bar</th></tr></thead><tbody>")
    for check in found:
        style, verdict = ("", "met") if check.met else (' class="unmet"', "not met")
        sign = "&le;" if check.at_most else "&ge;"
        measured = formatted(check.measured, "{:.2f}")
        lines.append(
            f"<tr{style}><td>{html.escape(check.figure)}</td><td>{verdict}</td>"
            f"<td>{measured}</td><td>{sign} {check.bar:g}</td></tr>"
        )
    return "\n".join([*lines, "</tbody></table>"])


def _timelines(results: dict[str, Any]) -> str:
    """Timelines of some of the evaluated incidents, run again with the first seed."""
    runs = results["runs"]
    shown = []
    for name in SHOWN_INCIDENTS:
        found = [run for run in runs if run["scenario"] == name]
        policies = list(dict.fromkeys(run["policy"] for run in found))
        if not found or "calibrated" not in policies:
            continue
        scenario = generate(found[0]["base"], incident=name, seed=found[0]["seed"])
        mode = found[0]["mode"]
        lines = timeline.of_scenario(Policy("calibrated"), mode, scenario)
        shown.append(embedded(plots.timeline_figure(lines), f"One run of {lines.title}"))
        if "faithful" in policies and len(shown) == 1:
            other = timeline.of_scenario(Policy("faithful"), mode, scenario)
            figure = plots.comparison_figure((other, lines))
            shown.append(embedded(figure, "Both policies on the same traffic"))
    return "<h2>Runs</h2>\n" + "\n".join(shown) if shown else ""


def report(results: dict[str, Any]) -> str:
    """The report of an evaluation as one HTML page.

    Parameters
    ----------
    results : dict
        As `results.document` makes it.

    Returns
    -------
    str
    """
    summary = results["summary"]
    parts = []
    if results.get("command"):
        parts.append(f"<p><code>{html.escape(results['command'])}</code></p>")
    versions = ", ".join(f"{name} {value}" for name, value in results["software"].items())
    parts.append(f"<p>{html.escape(versions)}; {len(results['runs'])} runs.</p>")
    for figure, caption in figures_of_results(results):
        parts.append(f"<h2>{html.escape(caption)}</h2>{embedded(figure, caption)}")
    for mode in dict.fromkeys(row["mode"] for row in summary):
        rows = [row for row in summary if row["mode"] == mode]
        clean = [row for row in rows if row["kind"] == CLEAN]
        troubled = [row for row in rows if row["kind"] != CLEAN]
        if clean:
            parts.append(f"<h2>Clean traffic, {mode}</h2>{_table(CLEAN_COLUMNS, clean)}")
        if troubled:
            parts.append(f"<h2>Incidents, {mode}</h2>{_table(INCIDENT_COLUMNS, troubled)}")
    parts += [_acceptance(summary), _timelines(results)]
    return page("Policies on labelled scenarios", "\n".join(parts))
