"""The page ``docs/performance.md``: measured figures, with the machine and the date."""

import datetime
from pathlib import Path

from bench import environment, inputs, reference, registry, report

_INTRODUCTION = """# Performance

This page is written by `python -m bench document`; do not edit it.

Measured on {date} with revision `{git_revision}`: {cpu_model}, Python {python_version},
NumPy {numpy_version}, Numba {numba_version}, LLVM {llvm_version}, {libm_version}.

## Beside the original

The original (Rust, release build) is not run here. Its cost per call was measured side by side
with a small fixed loop, the *yardstick*; the yardstick is timed again on this machine and
multiplied by that ratio, which gives what the original would take here, to about 15 %. Ours are
minima of {rounds} alternating samples, in nanoseconds per call; in parentheses ours / original.
"Jitted loop" is what jitted code pays that calls the kernel, "Python call" what Python code pays
through the public API, and the last column the 99.9th percentile of single Python calls.
"""
_MONITORS = """
## Monitors

Each monitor's feeding operation alone, in a jitted loop with random plausible arguments,
nanoseconds per call (minimum of {rounds} samples).
"""
_PROCESS = """
## Process

| what | |
|---|---:|
| start of Python to the first decision, compile cache filled | {warm:.2f} s |
| the same with an empty cache | {cold:.1f} s |
| size of one kernel | {size:.1f} KiB |
"""
_REPEAT = """
## Repeating it

```
python -m bench reference              # the first table
python -m bench ID... -o results.json  # any benchmark, with pyperf's statistics
python -m bench compare old.json new.json
python -m bench plot results.json -o results.svg
```
"""
_MONITOR_LOOPS = 50_000


def _markdown(rows):
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    lines += ["| " + " | ".join([f"`{row[0]}`", *row[1:]]) + " |" for row in body]
    return "\n".join(lines)


def _monitor_rows(rounds):
    yield ("monitor", "ns")
    for identifier, benchmark in registry.all_benchmarks().items():
        if identifier.startswith("monitor/"):
            timing = benchmark.prepare()
            best = min(timing(_MONITOR_LOOPS) for _ in range(rounds)) / _MONITOR_LOOPS
            yield identifier.removeprefix("monitor/"), f"{best * 1e9:.1f}"


def _process_figures():
    known = registry.all_benchmarks()
    return {
        "warm": min(known["startup/warm"].prepare()(1) for _ in range(3)),
        "cold": known["startup/cold"].prepare()(1),
        "size": known["memory/kernel"].prepare()(1) / 1024,
    }


def write(path, results=None, rounds=reference.ROUNDS):
    """Measure and write the page.

    Parameters
    ----------
    path : path-like
        Where to.
    results : path-like, optional
        pyperf results to add as a table.
    rounds : int
        Samples per figure.
    """
    introduction = _INTRODUCTION.format(
        date=datetime.date.today().isoformat(), rounds=rounds, **environment.metadata()
    )
    parts = [
        introduction,
        _markdown(reference.rows(reference.measure(rounds))),
        f"\nMixed traffic: {inputs.TRAFFIC_LENGTH} random calls of all families, repeated.",
        _PROCESS.format(**_process_figures()),
        _MONITORS.format(rounds=rounds),
        _markdown(list(_monitor_rows(rounds))),
    ]
    if results is not None:
        parts += ["\n## Distributions\n", report.markdown_table(report.load(results))]
    parts.append(_REPEAT)
    Path(path).write_text("\n".join(parts))
