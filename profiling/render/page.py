"""One self-contained HTML page for a recording, or for the change between two."""

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from profiling import aggregate
from profiling.recording import Recording
from profiling.render import flamegraph, tables

_TOP = 25
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1240px; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: 0.15rem 0.7rem; text-align: left; border-bottom: 1px solid #ddd; }
td { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 12px; }
dt { float: left; clear: left; width: 12rem; color: #666; }
dd { margin-left: 12rem; }
svg { max-width: 100%; height: auto; border: 1px solid #ddd; }
"""


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _flatten(data: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key} ")
        elif value not in ("", None):
            text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{key}".replace("_", " "), text


def _metadata(recorded: Recording) -> str:
    entries = "".join(
        f"<dt>{html.escape(key)}</dt><dd>{html.escape(text)}</dd>"
        for key, text in _flatten(recorded.meta)
    )
    return f"<dl>{entries}</dl>"


def _section(recorded: Recording) -> str:
    rows = aggregate.ranking(recorded.folded)[:_TOP]
    cells = [tables.row_cells(number, row) for number, row in enumerate(rows, 1)]
    return (
        f"<p>{'<br>'.join(map(html.escape, tables.heading_lines(recorded.meta)))}</p>"
        f"{flamegraph.render(recorded.folded, recorded.title)}"
        f"<h2>Self cost</h2>{_table(tables.TOP_HEADINGS, cells)}"
        f"<h2>Recording</h2>{_metadata(recorded)}"
    )


def _difference(old: Recording, new: Recording) -> str:
    changes = aggregate.compare(old.folded, new.folded, n=15)
    cells = [tables.change_cells(change) for change in changes]
    title = f"{new.title}: {old.path.name} to {new.path.name}"
    return (
        f"<h2>Difference</h2>{flamegraph.render(new.folded, title, baseline=old.folded)}"
        f"{_table(tables.CHANGE_HEADINGS, cells)}"
    )


def render(recorded: Recording, newer: Recording | None = None) -> str:
    """Return the page of one recording, or of an older and a newer one."""
    title = html.escape((newer or recorded).title)
    parts = [f"<h1>{title}</h1>"]
    if newer is not None:
        parts += [_difference(recorded, newer), "<h1>Newer recording</h1>", _section(newer)]
        parts.append("<h1>Older recording</h1>")
    parts.append(_section(recorded))
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
