"""Interactive flamegraphs as single SVG files: click zooms, the search field marks.

Boxes are functions, callers above callees; lines within a function are merged. The colour tells
the kind of a frame.
In a differential flamegraph the colour tells the change of a box's share instead: red grew,
blue shrank, and the width is that of the new recording.
"""

import html
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from profiling.aggregate import Folded
from profiling.resolve import INLINED, JITTED, NATIVE, PYTHON, RUN

_WIDTH = 1200
_MARGIN = 10
_ROW = 18
_HEADER = 64
_CHARACTER = 6.6
_NARROWEST = 0.1
_COLOURS = {
    JITTED: "#f28e2b",
    INLINED: "#f7c16b",
    PYTHON: "#6fa8dc",
    NATIVE: "#b7b7a4",
    "phase": "#d9d9d9",
}
_LEGEND = (
    ("jitted", _COLOURS[JITTED]),
    ("inlined into it", _COLOURS[INLINED]),
    ("Python", _COLOURS[PYTHON]),
    ("native", _COLOURS[NATIVE]),
)
_SCRIPT = Path(__file__).with_name("flamegraph.js")


class _Node:
    """A box: its samples here and in the recording it is compared with."""

    __slots__ = ("before", "children", "count", "kind", "name", "place")

    def __init__(self, name: str, place: str = "", kind: str = "phase") -> None:
        self.name, self.place, self.kind = name, place, kind
        self.count = self.before = 0
        self.children: dict[tuple[str, str], _Node] = {}

    def child(self, name: str, place: str, kind: str) -> "_Node":
        key = (name, place)
        if key not in self.children:
            self.children[key] = _Node(name, place, kind)
        return self.children[key]


def _tree(folded: Folded, baseline: Folded | None = None) -> _Node:
    root = _Node("all")
    for source, field in ((folded, "count"), (baseline or Counter(), "before")):
        for (phase, frames), count in sorted(source.items()):
            path = [root, root.child(phase, "", "phase")]
            for frame in frames:
                path.append(path[-1].child(frame.name, frame.file, frame.kind))
            for node in path:
                setattr(node, field, getattr(node, field) + count)
    return root


def _order(node: _Node) -> tuple[bool, str, str]:
    """Sort key of boxes side by side: running before compiling, otherwise by name."""
    return (node.kind == "phase" and node.name != RUN, node.name, node.place)


def _nodes(root: _Node) -> Iterator[_Node]:
    """All nodes. Stacks are as deep as a program's recursion, so nothing here is recursive."""
    rest = [root]
    while rest:
        node = rest.pop()
        yield node
        rest += node.children.values()


def _change_colour(difference: float, largest: float) -> str:
    strength = min(1.0, abs(difference) / largest) if largest else 0.0
    fade = round(245 - 150 * strength)
    return f"rgb(245,{fade},{fade})" if difference > 0 else f"rgb({fade},{fade},245)"


class _Writer:
    """Lays the boxes out and writes them down."""

    def __init__(self, root: _Node, compared: bool) -> None:
        self._total = root.count
        self._before = root.before if compared else 0
        self._scale = (_WIDTH - 2 * _MARGIN) / max(root.count, 1)
        self._largest = 0.0
        if self._before:
            self._largest = max(
                abs(node.count / self._total - node.before / self._before) for node in _nodes(root)
            )
        self.boxes: list[str] = []
        self.levels = 0

    def _describe(self, node: _Node) -> str:
        share = 100 * node.count / self._total
        text = f"{node.name}{f' ({node.place})' if node.place else ''}"
        text += f" - {node.count} samples, {share:.2f} %"
        if self._before:
            change = share - 100 * node.before / self._before
            text += f", {change:+.2f} points"
        return text

    def _colour(self, node: _Node) -> str:
        if not self._before:
            return _COLOURS.get(node.kind, "#eeeeee")
        difference = node.count / self._total - node.before / self._before
        return _change_colour(difference, self._largest)

    def write(self, root: _Node) -> None:
        rest = [(root, 0, 0)]
        while rest:
            node, start, level = rest.pop()
            if node.count * self._scale < _NARROWEST:
                continue
            self._box(node, start, level)
            children = []
            for child in sorted(node.children.values(), key=_order):
                children.append((child, start, level + 1))
                start += child.count
            rest += reversed(children)

    def _box(self, node: _Node, start: int, level: int) -> None:
        self.levels = max(self.levels, level + 1)
        width = node.count * self._scale
        left, top = _MARGIN + start * self._scale, _HEADER + level * _ROW
        letters = int((width - 4) / _CHARACTER)
        label = node.name if len(node.name) <= letters else node.name[: max(letters - 1, 0)] + "…"
        self.boxes.append(
            f'<g class="frame" data-start="{start}" data-count="{node.count}" '
            f'data-level="{level}" data-name="{html.escape(node.name)}" data-kind="{node.kind}">'
            f"<title>{html.escape(self._describe(node))}</title>"
            f'<rect x="{left:.2f}" y="{top}" width="{width:.2f}" height="{_ROW - 1}" rx="1" '
            f'fill="{self._colour(node)}"/>'
            f'<text x="{left + 3:.2f}" y="{top + _ROW - 5}">'
            f"{html.escape(label) if letters >= 3 else ''}</text></g>"
        )


def _legend(compared: bool) -> str:
    entries = (("grew", "rgb(245,95,95)"), ("shrank", "rgb(95,95,245)")) if compared else _LEGEND
    parts, left = [], _MARGIN
    for text, colour in entries:
        parts.append(
            f'<rect x="{left}" y="40" width="12" height="12" fill="{colour}"/>'
            f'<text x="{left + 16}" y="50">{text}</text>'
        )
        left += 30 + int(len(text) * _CHARACTER)
    return "".join(parts)


def render(folded: Folded, title: str, baseline: Folded | None = None) -> str:
    """Return the SVG document of a recording.

    Parameters
    ----------
    folded : Counter
        Folded stacks.
    title : str
        Heading of the picture.
    baseline : Counter, optional
        Folded stacks of an older recording: makes the flamegraph a differential one.
    """
    root = _tree(folded, baseline)
    writer = _Writer(root, baseline is not None)
    writer.write(root)
    height = _HEADER + writer.levels * _ROW + 2 * _MARGIN
    boxes = "\n".join(writer.boxes)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" class="flamegraph" width="{_WIDTH}" \
height="{height}" viewBox="0 0 {_WIDTH} {height}" data-total="{root.count}" \
data-width="{_WIDTH}" data-margin="{_MARGIN}" data-character="{_CHARACTER}">
<style>
.flamegraph text {{ font: 11px ui-monospace, Menlo, Consolas, monospace; pointer-events: none; }}
.flamegraph .title {{ font-size: 15px; }}
.flamegraph .frame {{ cursor: pointer; }}
.flamegraph .frame:hover rect {{ stroke: #000; stroke-width: 0.7; }}
.flamegraph .frame.ancestor rect {{ opacity: 0.5; }}
.flamegraph .frame.match rect {{ fill: #d33fd3; }}
.flamegraph .button {{ cursor: pointer; fill: #0645ad; pointer-events: all; }}
</style>
<rect width="100%" height="100%" fill="#ffffff"/>
<text class="title" x="{_MARGIN}" y="24">{html.escape(title)}</text>
{_legend(baseline is not None)}
<text class="button reset" x="560" y="50" visibility="hidden">reset zoom</text>
<text class="matched" x="660" y="50"></text>
<foreignObject x="940" y="34" width="250" height="26">
<input xmlns="http://www.w3.org/1999/xhtml" class="search" type="search" \
placeholder="search (regular expression)" style="width:240px;font:12px sans-serif" />
</foreignObject>
<g class="frames">
{boxes}
</g>
<script><![CDATA[
{_SCRIPT.read_text()}
]]></script>
</svg>
"""
