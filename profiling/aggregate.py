"""Folded stacks, self cost with intervals, and comparison of two recordings."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import NamedTuple, TypeAlias

from profiling.faults import ProfilingError
from profiling.resolve import INLINED, JITTED, NATIVE, PYTHON, RUN, UNKNOWN, Frame, Stack

Folded: TypeAlias = Counter[tuple[str, tuple[Frame, ...]]]
"""How often each stack was seen, by phase and frames (the outermost first)."""

_NORMAL_95 = 1.959963984540054
_SUFFIXES = {JITTED: "_[j]", INLINED: "_[i]", UNKNOWN: "_[u]", NATIVE: "_[n]", PYTHON: ""}
_KINDS = {suffix: kind for kind, suffix in _SUFFIXES.items()}
_LABEL = re.compile(r"(?P<name>.*) \((?P<file>.*?)(?::(?P<line>\d+))?\)(?P<suffix>_\[\w\])?$")
_FOLDED = re.compile(r"\[(?P<phase>\w+)\];(?P<frames>.*) (?P<count>\d+)$")
GROUPINGS = ("function", "line", "module")


class Row(NamedTuple):
    """Self cost of one symbol: its samples, its share, and the share's 95 % interval."""

    symbol: str
    place: str
    kind: str
    samples: int
    share: float
    low: float
    high: float


class Change(NamedTuple):
    """A symbol in two recordings. `significant`: the shares differ by more than noise."""

    symbol: str
    place: str
    old: Row | None
    new: Row | None
    difference: float
    low: float
    high: float
    old_rank: int | None
    new_rank: int | None

    @property
    def significant(self) -> bool:
        """Whether zero lies outside the 95 % interval of the difference."""
        return self.low > 0 or self.high < 0


def frame_label(frame: Frame) -> str:
    """Format a frame for folded stacks; the suffix tells its kind, as flamegraph tools expect.

    Examples
    --------
    >>> frame_label(Frame("design.logdet", "design.py", 12, "inlined"))
    'design.logdet (design.py:12)_[i]'
    """
    line = f":{frame.line}" if frame.line else ""
    name = frame.name.replace(";", ",")
    return f"{name} ({frame.file.replace(';', ',')}{line}){_SUFFIXES[frame.kind]}"


def parse_label(label: str) -> Frame:
    """Inverse of `frame_label`."""
    match = _LABEL.match(label)
    if match is None:
        raise ProfilingError(f"not a frame of this profiler's folded stacks: {label!r}")
    kind = _KINDS[match["suffix"] or ""]
    return Frame(match["name"], match["file"], int(match["line"] or 0), kind)


def fold(stacks: Iterable[Stack]) -> Folded:
    """Count equal stacks: a `Counter` keyed by (phase, frames)."""
    folded: Folded = Counter()
    processes = {stack.process for stack in stacks}
    for stack in stacks:
        frames = stack.frames
        if len(processes) > 1:
            frames = (Frame(f"process {stack.process}", "[process]", 0, NATIVE), *frames)
        folded[stack.phase, frames] += stack.count
    return folded


def format_folded(folded: Folded) -> str:
    """Format folded stacks as text, the phase being the outermost frame."""
    lines = sorted(
        f"[{phase}];{';'.join(map(frame_label, frames))} {count}"
        for (phase, frames), count in folded.items()
    )
    return "".join(line + "\n" for line in lines)


def parse_folded(text: str) -> Folded:
    """Inverse of `format_folded`."""
    folded: Folded = Counter()
    for line in text.splitlines():
        match = _FOLDED.match(line)
        if match is None:
            raise ProfilingError(f"not a line of folded stacks: {line[:60]!r}")
        frames = tuple(parse_label(label) for label in match["frames"].split(";"))
        folded[match["phase"], frames] += int(match["count"])
    return folded


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson's score interval).

    Examples
    --------
    >>> low, high = wilson_interval(50, 100)
    >>> round(low, 3), round(high, 3)
    (0.404, 0.596)
    """
    if not total:
        return 0.0, 1.0
    share, z2 = successes / total, _NORMAL_95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    spread = math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    half = _NORMAL_95 * spread / (1 + z2 / total)
    return max(0.0, centre - half), min(1.0, centre + half)


def _module_of(frame: Frame) -> str:
    if frame.file.endswith(".py"):
        return frame.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return frame.file


def _group(frame: Frame, by: str) -> tuple[str, str]:
    if by == "module":
        return _module_of(frame), ""
    if by == "line" and frame.line:
        return frame.name, f"{frame.file}:{frame.line}"
    return frame.name, frame.file


def ranking(
    folded: Folded, by: str = "function", phase: str = RUN, kinds: Collection[str] | None = None
) -> list[Row]:
    """Rank symbols by self cost.

    Parameters
    ----------
    folded : Counter
        As returned by `fold`.
    by : {"function", "line", "module"}
        What a row stands for.
    phase : str
        Samples of this phase only.
    kinds : collection of str, optional
        Symbols of these kinds only; shares stay relative to all samples of the phase.

    Returns
    -------
    list of Row
        The most expensive first.
    """
    counts: Counter[tuple[str, str]] = Counter()
    kind_of: dict[tuple[str, str], str] = {}
    total = 0
    for (stack_phase, frames), count in folded.items():
        if stack_phase != phase:
            continue
        total += count
        innermost = frames[-1]
        if kinds is not None and innermost.kind not in kinds:
            continue
        key = _group(innermost, by)
        counts[key] += count
        # Inlined in one place and called in another: it is a jitted function all the same.
        kind_of[key] = innermost.kind if kind_of.get(key) != JITTED else JITTED
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        Row(symbol, place, kind_of[symbol, place], count, count / total, *interval)
        for (symbol, place), count in ordered
        for interval in [wilson_interval(count, total)]
    ]


def phase_totals(folded: Folded) -> Counter[str]:
    """Return the number of samples of each phase."""
    totals: Counter[str] = Counter()
    for (phase, _), count in folded.items():
        totals[phase] += count
    return totals


def _difference_interval(old: int, old_total: int, new: int, new_total: int) -> tuple[float, float]:
    """95 % interval of new share - old share (Newcombe's hybrid score interval)."""
    p, q = old / old_total, new / new_total
    old_low, old_high = wilson_interval(old, old_total)
    new_low, new_high = wilson_interval(new, new_total)
    down = math.hypot(q - new_low, old_high - p)
    up = math.hypot(new_high - q, p - old_low)
    return q - p - down, q - p + up


def compare(
    old: Folded, new: Folded, n: int = 5, by: str = "function", kinds: Collection[str] | None = None
) -> list[Change]:
    """Compare the top `n` of two recordings.

    Returns
    -------
    list of Change
        All symbols of either top, the largest new share first.
    """
    rankings = [ranking(folded, by, kinds=kinds) for folded in (old, new)]
    totals = [phase_totals(folded)[RUN] for folded in (old, new)]
    if not all(totals):
        raise ProfilingError("a recording without run-time samples cannot be compared")
    rows = [{(row.symbol, row.place): row for row in ranked} for ranked in rankings]
    ranks = [
        {(row.symbol, row.place): number for number, row in enumerate(ranked[:n], 1)}
        for ranked in rankings
    ]
    changes = []
    for key in {**ranks[1], **ranks[0]}:
        before, after = rows[0].get(key), rows[1].get(key)
        counts = [row.samples if row else 0 for row in (before, after)]
        low, high = _difference_interval(counts[0], totals[0], counts[1], totals[1])
        difference = counts[1] / totals[1] - counts[0] / totals[0]
        changes.append(
            Change(*key, before, after, difference, low, high, ranks[0].get(key), ranks[1].get(key))
        )
    return sorted(changes, key=lambda change: -(change.new.share if change.new else 0.0))
