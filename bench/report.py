"""Tables and pictures of results that were written with ``-o FILE.json``."""

from typing import Any

import numpy as np
import pyperf

from bench.errors import UsageError

_ROW_HEIGHT = 0.34


def load(path):
    """Return {id: (values, unit)} of a file of results."""
    try:
        suite = pyperf.BenchmarkSuite.load(str(path))
    except (ValueError, KeyError, OSError) as error:
        raise UsageError(f"{path} holds no pyperf results: {error}") from None
    return {
        each.get_name(): (np.array(each.get_values()), each.get_unit())
        for each in suite.get_benchmarks()
    }


def format_value(value, unit="second"):
    """Format a time or a size with a unit people read.

    Examples
    --------
    >>> format_value(1.4062e-06), format_value(0.25), format_value(49152.0, "byte")
    ('1.41 us', '250 ms', '48.0 KiB')
    """
    if unit == "byte":
        return f"{value / 1024:.1f} KiB"
    for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= factor:
            return f"{value / factor:.3g} {name}"
    return f"{value * 1e9:.3g} ns"


def markdown_table(results):
    """Return the table of all results, as the README shows it."""
    lines = [
        "| benchmark | median | mean ± deviation | 95 % | 99 % | per second |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, (values, unit) in results.items():
        median, p95, p99 = (
            format_value(value, unit) for value in np.percentile(values, [50, 95, 99])
        )
        mean, deviation = (format_value(value, unit) for value in (values.mean(), values.std()))
        rate = f"{1 / values.mean():,.0f}" if unit == "second" else ""
        lines.append(f"| `{name}` | {median} | {mean} ± {deviation} | {p95} | {p99} | {rate} |")
    return "\n".join(lines)


def plot(results, output):
    """Draw the distribution of each result: a violin, its quartiles and all values."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    times = {name: values * 1e9 for name, (values, unit) in results.items() if unit == "second"}
    if not times:
        raise UsageError("these results hold no times to plot")
    names = list(times)[::-1]
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + _ROW_HEIGHT * len(names)))
    random = np.random.default_rng(0)
    for place, name in enumerate(names):
        values = times[name]
        logarithms = np.log10(values)
        if len(values) > 1 and np.ptp(logarithms) > 0:
            parts = axes.violinplot(
                logarithms, positions=[place], orientation="horizontal", widths=0.8,
                showextrema=False,
            )  # fmt: skip
            bodies: Any = parts["bodies"]
            bodies[0].set_facecolor("#f28e2b")
        scatter = place + random.uniform(-0.12, 0.12, len(values))
        axes.plot(logarithms, scatter, ".", color="#555555", markersize=2)
        low, middle, high = np.percentile(logarithms, [25, 50, 75])
        axes.plot([low, high], [place, place], color="#222222", linewidth=3)
        axes.plot(middle, place, "o", color="white", markeredgecolor="#222222", markersize=4)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    ticks = np.arange(np.floor(axes.get_xlim()[0]), np.ceil(axes.get_xlim()[1]) + 1)
    axes.set_xticks(ticks, [format_value(10.0 ** (tick - 9)) for tick in ticks])
    axes.set_xlabel("time per operation (logarithmic)")
    axes.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(output, dpi=150)
    pyplot.close(figure)
