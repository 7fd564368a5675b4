"""Pictures: timelines of a run, heat maps of the monitors' codes, figures over scenarios and alpha.

The palette is that of Okabe and Ito, whose colours stay apart under every common colour blindness;
nothing rests on colour alone. Figures have one legend.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runtime_math.calibrated.streams import Stream
from runtime_math.evaluation.run import CLEAN, Rows
from runtime_math.evaluation.timeline import Timeline
from runtime_math.faithful.signals import Signal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE, BLACK, GREY = "#0072B2", "#D55E00", "#CC79A7", "#000000", "#999999"

# Streams are shown in groups: more colours than these cannot be told apart.
GROUPS = (
    ("adverse outcomes", VERMILION, "", (Stream.ADVERSE, Stream.FAMILY_ADVERSE)),
    (
        "cost and contention",
        BLUE,
        "///",
        (Stream.COST, Stream.FAMILY_COST, Stream.COST_TAIL, Stream.CONTENTION),
    ),
    ("addresses", GREEN, "...", (Stream.BLOOM, Stream.NOVEL_PAGE, Stream.STRAY_ADDRESS)),
    ("sizes", ORANGE, "\\\\\\", (Stream.HUGE_REQUEST, Stream.BYTES)),
    ("overlap faults", PURPLE, "xxx", (Stream.FAULT,)),
    ("order of events", SKY, "---", (Stream.FAMILY_ORDER, Stream.COST_ORDER, Stream.ADVERSE_GAP)),
)
WINDOW_CALLS = 50
LARGEST_COLUMNS = 1200
POLICY_MARKS = {"faithful": (GREY, "s"), "calibrated": (BLUE, "o")}
OTHER_MARKS = ((ORANGE, "^"), (GREEN, "D"), (VERMILION, "v"), (PURPLE, "P"), (SKY, "X"))


def _new_figure(
    rows: int, heights: Sequence[float] | None, size: tuple[float, float]
) -> "tuple[Figure, Any]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, height_ratios=heights)
    return figure, np.atleast_1d(axes)


def _tidy(axes: Any) -> None:
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0)


def _shade(axes: Any, window: tuple[int, int] | None) -> None:
    if window is not None:
        for axis in axes:
            axis.axvspan(*window, color=YELLOW, alpha=0.30, lw=0, label="incident", zorder=0)


def _plot_evidence(axis: "Axes", timeline: Timeline) -> None:
    assert timeline.evidence is not None and timeline.threshold is not None
    calls = np.arange(len(timeline.evidence))
    total = timeline.evidence.sum(axis=1)
    height = np.log10(1.0 + total)
    base = np.zeros(len(calls))
    for name, colour, hatch, streams in GROUPS:
        share = timeline.evidence[:, list(streams)].sum(axis=1) / np.maximum(total, 1e-12)
        top = base + share * height
        axis.fill_between(
            calls, base, top, facecolor=colour, edgecolor="white", hatch=hatch, lw=0, label=name
        )
        base = top
    axis.axhline(np.log10(1.0 + timeline.threshold), color=BLACK, ls="--", lw=1, label="threshold")
    ticks = np.arange(0, 6)
    axis.set_yticks(ticks, [f"$10^{tick}$" if tick else "0" for tick in ticks])
    axis.set_ylim(0, 5.2)
    axis.set_ylabel("evidence\n(log, split by share)")


def _plot_risk(axis: "Axes", timeline: Timeline) -> None:
    risk = np.maximum(timeline.risk_ppm, 1)
    axis.plot(np.arange(len(risk)), risk, color=PURPLE, lw=0.8, label="risk")
    axis.axhline(timeline.trigger_ppm, color=BLACK, ls="--", lw=1, label="threshold")
    axis.set_yscale("log")
    axis.set_ylim(1, 2e6)
    axis.set_ylabel("risk (ppm)")


def _share_of(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    window = np.ones(WINDOW_CALLS) / WINDOW_CALLS
    return np.convolve(flags.astype(float), window)[: len(flags)]


def _plot_escalation(axis: "Axes", timeline: Timeline) -> None:
    calls = np.arange(len(timeline.escalated))
    share = 100 * _share_of(timeline.escalated)
    axis.plot(calls, share, color=BLACK, lw=1, label=f"escalated, of the last {WINDOW_CALLS}")
    if timeline.policy == "calibrated":
        axis.fill_between(
            calls, 0, 100, where=timeline.alarm, color=GREY, alpha=0.45, lw=0, label="in alarm"
        )
    axis.set_ylim(0, 105)
    axis.set_ylabel("escalated (%)")


def _plot_cost(axis: "Axes", timeline: Timeline) -> None:
    calls = np.arange(len(timeline.cost_ns))
    known = np.isfinite(timeline.cost_ns)
    cost = np.maximum(timeline.cost_ns, 1.0)
    axis.plot(
        calls[known], cost[known], ".", color=BLUE, ms=1.2, rasterized=True, label="cost of a call"
    )
    axis.set_yscale("log")
    axis.set_ylabel("cost (ns)")
    axis.set_xlabel("call")


def _one_legend(figure: "Figure", axes: Any, markerscale: float = 1) -> None:
    entries: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=8,
        markerscale=markerscale,
    )


def timeline_figure(timeline: Timeline) -> "Figure":
    """Draw a run: evidence by stream, risk and trigger, alarms and escalated calls, costs.

    Parameters
    ----------
    timeline : Timeline

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = [_plot_risk, _plot_escalation, _plot_cost]
    heights = [1.2, 1, 1]
    if timeline.evidence is not None:
        panels.insert(0, _plot_evidence)
        heights.insert(0, 1.8)
    figure, axes = _new_figure(len(panels), heights, (9, 1.2 + 1.5 * sum(heights)))
    _shade(axes, timeline.window)
    for axis, panel in zip(axes, panels, strict=True):
        panel(axis, timeline)
    _tidy(axes)
    axes[0].set_title(timeline.title, loc="left", fontsize=10)
    _one_legend(figure, axes, markerscale=6)
    return figure


def comparison_figure(timelines: Sequence[Timeline]) -> "Figure":
    """Draw several policies on the same traffic: escalation and cost of each, one above another.

    Parameters
    ----------
    timelines : sequence of Timeline

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _new_figure(2 * len(timelines), [1, 1] * len(timelines), (9, 6.6))
    for index, timeline in enumerate(timelines):
        pair = axes[2 * index : 2 * index + 2]
        _shade(pair, timeline.window)
        _plot_escalation(pair[0], timeline)
        _plot_cost(pair[1], timeline)
        pair[0].set_title(timeline.title, loc="left", fontsize=10)
        if index + 1 < len(timelines):
            pair[1].set_xlabel("")
    _tidy(axes)
    _one_legend(figure, axes, markerscale=6)
    return figure


def codes_figure(timeline: Timeline) -> "Figure":
    """Draw the heat map of all monitors' codes over time; each column shows the highest code.

    Parameters
    ----------
    timeline : Timeline
        With codes.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap

    codes = timeline.codes
    assert codes is not None
    edges = np.unique(np.linspace(0, len(codes), LARGEST_COLUMNS + 1).astype(int))
    columns = np.maximum.reduceat(codes, edges[:-1], axis=0).T
    figure, (axis,) = _new_figure(1, [1], (9, 7))
    colours = ListedColormap(["#f7f7f7", "#c6dbef", "#fdae6b", "#d95f0e", "#5b1a01"])
    image = axis.imshow(
        columns,
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        norm=BoundaryNorm(np.arange(-0.5, 5), colours.N),
        extent=(0, len(codes), len(Signal) - 0.5, -0.5),
    )
    names = [signal.name.lower().replace("_", " ") for signal in Signal]
    axis.set_yticks(range(len(names)), names, fontsize=7)
    if timeline.window is not None:
        for edge in timeline.window:
            axis.axvline(edge, color=BLACK, ls="--", lw=1)
    axis.set_xlabel("call" if timeline.window is None else "call (dashed: start and end)")
    axis.set_title(timeline.title, loc="left", fontsize=10)
    bar = figure.colorbar(image, ax=axis, ticks=range(5), fraction=0.03, pad=0.01)
    bar.set_label("code of the monitor")
    return figure


def _marks(labels: Iterable[str]) -> dict[str, tuple[str, str]]:
    others = iter(OTHER_MARKS * 3)
    return {label: POLICY_MARKS.get(label) or next(others) for label in labels}


def _plain_numbers(axis: "Axis") -> None:
    """Label the ticks of a logarithmic axis with plain numbers."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def summary_figure(summary: Rows, mode: str) -> "Figure":
    """Draw delays, escalation inside incidents and clean escalation, one mark for each policy.

    Parameters
    ----------
    summary : list of dict
        As `results.summarise` returns it.
    mode : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    rows = [row for row in summary if row["mode"] == mode]
    clean = [row for row in rows if row["kind"] == CLEAN]
    troubled = [row for row in rows if row["kind"] != CLEAN]
    marks = _marks(dict.fromkeys(row["policy"] for row in rows))
    panels = []
    if clean:
        panels.append((clean, "clean_percent", "clean calls escalated (%)"))
    if troubled:
        panels.append((troubled, "delay_median", "median delay (calls)"))
        panels.append((troubled, "inside_percent", "affected calls escalated (%)"))
    figure = Figure(figsize=(3.4 * len(panels) + 1, 5.4), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(panels)))
    for axis, (shown, key, title) in zip(axes, panels, strict=True):
        names = list(dict.fromkeys(row["scenario"] for row in shown))[::-1]
        for policy, (colour, mark) in marks.items():
            found = {row["scenario"]: row[key] for row in shown if row["policy"] == policy}
            places = [i for i, name in enumerate(names) if found.get(name) is not None]
            values = [max(found[names[i]], 0.5 if "delay" in key else 0.01) for i in places]
            axis.plot(values, places, mark, color=colour, ms=6, label=policy, mfc="none", mew=1.6)
        axis.set_yticks(range(len(names)), names)
        widest = max((row[key] or 0.0) for row in shown)
        if key == "delay_median" or (key == "clean_percent" and widest > 10.0):
            axis.set_xscale("log")
            _plain_numbers(axis.xaxis)
        axis.set_xlabel(title)
        axis.grid(axis="x", color="#dddddd", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    _one_legend(figure, axes)
    return figure


def _alpha_of(label: str) -> float | None:
    parts = label.split()
    return float(parts[1]) / 100 if len(parts) == 3 and parts[2] == "%" else None


def alphas_in(summary: Rows) -> list[float]:
    """Settings of alpha_alarm for which a summary has figures, ascending."""
    return sorted({alpha for row in summary if (alpha := _alpha_of(row["policy"])) is not None})


def alpha_figure(
    summary: Rows,
    mode: str,
    incidents: Sequence[str] = ("adv2", "adv5", "adv20", "onefam", "tail", "lat2"),
) -> "Figure":
    """Draw what a larger share of false alarms buys: delays and clean escalation over alpha.

    Parameters
    ----------
    summary : list of dict
        With at least two settings of ``alpha_alarm``.
    mode : str
    incidents : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    alphas = alphas_in(summary)
    rows = [row for row in summary if row["mode"] == mode]
    for name, (colour, mark) in zip(incidents, ((BLUE, "o"), *OTHER_MARKS), strict=True):
        found = {
            _alpha_of(row["policy"]): row["delay_median"] for row in rows if row["scenario"] == name
        }
        values = [found.get(alpha) for alpha in alphas]
        shown = [(100 * a, v) for a, v in zip(alphas, values, strict=True) if v is not None]
        if shown:
            left.plot(*zip(*shown, strict=True), mark + "-", color=colour, label=f"delay, {name}")
    clean = [
        [
            row["clean_percent"]
            for row in rows
            if row["kind"] == CLEAN and _alpha_of(row["policy"]) == a
        ]
        for a in alphas
    ]
    percent = 100 * np.array(alphas)
    if all(clean):
        right.plot(percent, [max(v) for v in clean], "s-", color=BLACK, label="worst clean base")
        right.plot(percent, [np.mean(v) for v in clean], "o-", color=GREY, label="mean clean base")
        right.plot(percent, 0.89 + percent, "--", color=VERMILION, label="bound without back-off")
    left.set_ylabel("median delay (calls)")
    right.set_ylabel("clean calls escalated (%)")
    right.set_ylim(0)
    left.set_yscale("log")
    _plain_numbers(left.yaxis)
    for axis in (left, right):
        axis.set_xscale("log")
        axis.set_xlabel("alpha_alarm (%)")
        axis.set_xticks(percent, [f"{value:g}" for value in percent])
        axis.minorticks_off()
        axis.grid(color="#dddddd", lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    _one_legend(figure, (left, right))
    return figure
