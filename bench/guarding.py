"""What a guard costs: guarded calls beside the same calls through ctypes alone, in one process."""

from collections.abc import Callable

from bench import sampling
from bench.groups import guards

_STRETCHES = 16


def measure(rounds: int) -> list[tuple[str, ...]]:
    """Measure, alternating, and give the cells of a table, headings first.

    Parameters
    ----------
    rounds : int
        Samples of each stretch of calls; the shortest counts.
    """
    table: list[tuple[str, ...]] = [
        ("call", "ctypes alone, ns", "guarded, no kernel", "guarded, default policy")
    ]
    for name, call in guards.CALLS.items():
        timings: dict[str, Callable[[int], float]] = {
            "raw": guards.raw(call),
            "unasked": guards.guarded(call, asked=False),
            "asked": guards.guarded(call, asked=True),
        }
        mean = _means(timings, rounds)
        ratios = (f"{mean[kind] / mean['raw']:.2f}x" for kind in ("unasked", "asked"))
        table.append((f"guard/{name}", f"{mean['raw']:.0f}", *ratios))
    return table


def measure_allocation(rounds: int) -> list[tuple[str, ...]]:
    """Cells of the table of what makes and frees 64 bytes."""
    timings = {name: prepare() for name, prepare in guards.ALLOCATIONS.items()}
    mean = _means(timings, rounds)
    return [("making and freeing 64 bytes", "ns"), *((n, f"{v:.0f}") for n, v in mean.items())]


def _means(timings: dict[str, Callable[[int], float]], rounds: int) -> dict[str, float]:
    best = sampling.best_stretches(timings, rounds, stretches=_STRETCHES)
    return {name: float(stretches.mean()) for name, stretches in best.items()}
