"""The page ``docs/performance.md``: measured figures, with the machine and the date."""

import datetime
import json
import os
from pathlib import Path

from bench import (
    environment,
    guarding,
    inputs,
    reference,
    registry,
    report,
    sampling,
    throughput,
    worst_call,
)
from bench.errors import UsageError
from bench.targets import TARGETS

_INTRODUCTION = """# Performance

This page is written by `python -m bench document`; do not edit it.

Measured on {date} with revision `{git_revision}`: {cpu_model}, Python {python_version},
NumPy {numpy_version}, Numba {numba_version}, LLVM {llvm_version}, {libm_version}.

## Beside the original

The original (Rust, release build) is not run here. Its cost per call was measured side by side
with a small fixed loop, the *yardstick*; the yardstick is timed again on this machine and
multiplied by that ratio, which gives what the original would take here, to about 15 %. Ours are
in nanoseconds per call; in parentheses ours / original. Samples take half a millisecond and
alternate with the yardstick; of each of {stretches} stretches the best of {rounds} repeats counts,
so that other work on the machine does not, and the figure is the mean over the stretches.
"Jitted loop" is what jitted code pays that calls the kernel, "Python call" what Python code pays
through the public API, and the last column the 99.9th percentile of single Python calls.
"""
_WORST = """
## The worst call in a jitted loop

Single calls, timed by the processor's cycle counter around each of {calls} calls. The same calls
are made {replays} times from the same state and the shortest time of each counts, which leaves
what the work itself costs, without preemption.
"""
_NO_COUNTER = """
## The worst call in a jitted loop

Not measured: programs cannot rely on reading the cycle counter on this kind of machine.
"""
_REPLAY = """
## Batches

`replay` of {events} mixed events through the public method, beside a jitted loop written by hand
that makes the same calls and only adds up what they return; nanoseconds per pair of decision and
observation (minimum of {rounds}).
"""
_ENSEMBLE = """
`replay_ensemble` of {events} events on each of {kernels} kernels, with one thread and with two
(minimum of {rounds}; this machine has {cores} cores).
"""
_GUARDS = """
## Guarded C calls

The same calls through ctypes alone, and behind a guard: with a pipeline that asks no kernel
(`policy=None`), and with the default one. Both are given live blocks, which ctypes alone gets as
addresses, or what the id names. Ratios to ctypes alone, alternating in one process (minimum of
{rounds}). The last table makes and frees 64 bytes: a guarded block beside the C library's and a
ctypes buffer.
"""
_PROFILES = """
## Where the time goes now

Self cost of the jitted functions in recordings of the Python calls: the five most expensive, as
shares of all samples, the interpreter's included, with 95 % intervals.
"""
_NO_PROFILES = """
## Where the time goes now

Left out of this edition. To have it, record the targets first:

```sh
python -m profiling record --all --out DIR
python -m bench document --profiles DIR
```
"""
_TRIED = "\n## What was tried and did not pay\n\n"
_MONITORS = """
## Monitors

Each monitor's feeding operation alone, in a jitted loop with random plausible arguments,
nanoseconds per call (short samples, the best of {rounds}).
"""
_PROCESS = """
## Process

| what | |
|---|---:|
| start of Python to the first decision, compile cache filled | {warm:.2f} s |
| the same with an empty cache | {cold:.1f} s |
| of both, start of Python and `import numba` | {numba:.2f} s ({of_warm:.0%}, {of_cold:.0%}) |
| size of one kernel | {size:,.0f} bytes |
"""
_REPEAT = """
## Repeating it

```sh
python -m bench reference              # the first table
python -m bench ID... -o results.json  # any benchmark, with pyperf's statistics
python -m bench compare old.json new.json
python -m bench plot results.json -o results.svg
```
"""
_MONITOR_STRETCHES = 8
_TOP = 5
_NOTES = Path(__file__).parents[1] / "docs" / "performance-notes.md"
_START_UP_SAMPLES = 5


def _table(rows, code_columns=1):
    """Format rows, headings first, as Markdown; the first columns as code."""
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in body:
        cells = [f"`{cell}`" for cell in row[:code_columns]] + list(row[code_columns:])
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _beside_the_original(rounds):
    return [
        _table(reference.rows(reference.measure(rounds))),
        f"\nMixed traffic: {inputs.TRAFFIC_LENGTH} random calls of all families, repeated.",
    ]


def _worst_calls():
    if not worst_call.available():
        return [_NO_COUNTER]
    text = _WORST.format(calls=f"{worst_call.CALLS:,}", replays=worst_call.REPLAYS)
    return [text, _table(worst_call.rows(worst_call.measure()), code_columns=0)]


def _guards(rounds):
    calls, allocation = guarding.measure(rounds), guarding.measure_allocation(rounds)
    return [_GUARDS.format(rounds=rounds), _table(calls), "", _table(allocation)]


def _batches(rounds, **sizes):
    replays, ensembles = throughput.measure(rounds, **sizes)
    return [
        _REPLAY.format(events=f"{throughput.EVENTS:,}", rounds=rounds),
        _table(throughput.replay_rows(replays), code_columns=0),
        _ENSEMBLE.format(
            events=f"{throughput.EVENTS_PER_KERNEL:,}",
            kernels=f"{throughput.KERNELS:,}",
            rounds=rounds,
            cores=len(os.sched_getaffinity(0)),
        ),
        _table(throughput.ensemble_rows(ensembles), code_columns=0),
    ]


def _monitor_rows(rounds):
    yield ("monitor", "ns")
    for identifier, benchmark in registry.all_benchmarks().items():
        if identifier.startswith("monitor/"):
            best = sampling.best_stretches({"": benchmark.prepare()}, rounds, _MONITOR_STRETCHES)
            yield identifier.removeprefix("monitor/"), f"{best[''].mean():.1f}"


def _monitors(rounds):
    return [_MONITORS.format(rounds=rounds), _table(_monitor_rows(rounds))]


def _process():
    known = registry.all_benchmarks()

    def least(identifier, samples=_START_UP_SAMPLES):
        timing = known[identifier].prepare()
        return min(timing(1) for _ in range(samples))

    numba, warm = least("startup/import_numba"), least("startup/warm")
    cold = least("startup/cold", samples=1)
    size = known["memory/kernel"].prepare()(1)
    shares = {"of_warm": numba / warm, "of_cold": numba / cold}
    return [_PROCESS.format(warm=warm, cold=cold, numba=numba, size=size, **shares)]


def _recordings(folder):
    """Return {id: rows of jitted functions} of the recordings in a folder."""
    found = {}
    for meta in sorted(Path(folder).glob("*/meta.json")):
        try:
            top = json.loads(meta.with_name("top.json").read_text())
            found[json.loads(meta.read_text())["id"]] = top["jitted"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UsageError(f"{meta.parent} is no recording as made now: record again") from None
    missing = [target for target in TARGETS if target not in found]
    if missing:
        raise UsageError(
            f"{folder} has no recording of {', '.join(missing)}; make them with "
            f"python -m profiling record --all --out {folder}"
        )
    return found


def _top_rows(recordings):
    yield ("target", "function", "share", "95 % interval")
    for target in TARGETS:
        for row in recordings[target][:_TOP]:
            interval = f"{row['low']:.1%} to {row['high']:.1%}"
            yield target, row["symbol"], f"{row['share']:.1%}", interval


def _where_the_time_goes(recordings):
    if recordings is None:
        return [_NO_PROFILES]
    return [_PROFILES, _table(_top_rows(recordings), code_columns=2)]


def _measured(sections, show):
    """Run the sections in turn, telling which, and how long all the rest takes."""
    parts = []
    for number, (name, _, section) in enumerate(sections):
        minutes = sum(seconds for _, seconds, _ in sections[number:]) / 60
        show(f"{number + 1}/{len(sections)} {name}, about {minutes:.0f} min left")
        parts += section()
    return parts


def _sections(rounds, recordings):
    """Name, seconds it takes about, and function of each section."""
    return [
        ("beside the original", 50 + 4 * rounds, lambda: _beside_the_original(rounds)),
        ("worst calls", 15, _worst_calls),
        ("guards", 10 + 2 * rounds, lambda: _guards(rounds)),
        ("batches", 12 + 11 * rounds, lambda: _batches(rounds)),
        ("process", 60, _process),
        ("monitors", 10 + rounds, lambda: _monitors(rounds)),
        ("profiles", 0, lambda: _where_the_time_goes(recordings)),
    ]


def write(path, results, rounds, profiles, show):
    """Measure and write the page.

    Parameters
    ----------
    path : path-like
        Where to.
    results : path-like or None
        pyperf results to add as a table.
    rounds : int
        Samples per figure.
    profiles : path-like or None
        Folder of recordings by ``python -m profiling record --all``.
    show : callable
        Called with what is going on.

    Raises
    ------
    UsageError
        If a recording is missing; nothing was measured then.
    """
    recordings = _recordings(profiles) if profiles is not None else None
    distributions = report.load(results) if results is not None else None
    introduction = _INTRODUCTION.format(
        date=datetime.date.today().isoformat(),
        rounds=rounds,
        stretches=sampling.STRETCHES,
        **environment.metadata(),
    )
    parts = [introduction, *_measured(_sections(rounds, recordings), show)]
    if distributions is not None:
        parts += ["\n## Distributions\n", report.markdown_table(distributions)]
    parts += [_TRIED + _NOTES.read_text().strip(), _REPEAT]
    Path(path).write_text("\n".join(parts))
