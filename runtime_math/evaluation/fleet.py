"""Replaying a folder of recorded traces: does every kernel still decide as it did?"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

TRACE_PATTERN = "*.csv.gz"


@dataclass(frozen=True)
class Replayed:
    """Result of replaying one trace.

    Attributes
    ----------
    path : str
    policy : str
    calls, mismatches : int
        Calls replayed, and how many returned something else than recorded.
    escalated : int
        Decisions that were not fast and allowed.
    decisions : int
    error : str or None
        Why the trace could not be replayed.
    """

    path: str
    policy: str
    calls: int = 0
    mismatches: int = 0
    escalated: int = 0
    decisions: int = 0
    error: str | None = None


def trace_files(folder):
    """Traces of a folder, in the order of their names."""
    return sorted(str(path) for path in Path(folder).glob(TRACE_PATTERN))


def replay_trace(path):
    """Replay one trace on a new kernel of the kind it was recorded from.

    Parameters
    ----------
    path : str

    Returns
    -------
    dict
        Fields of `Replayed`; an unreadable trace gives an error instead of an exception, so that
        one of them does not stop a fleet.
    """
    from runtime_math.calibrated.recording import kernel_arguments
    from runtime_math.kernel import RuntimeMathKernel
    from runtime_math.records import EventKind
    from runtime_math.trace import read_events

    calls = mismatches = escalated = decisions = 0
    policy = "unknown"
    try:
        arguments = kernel_arguments(path)
        policy = arguments.get("policy", "faithful")
        kernel = RuntimeMathKernel(**arguments)
        for events, recorded in read_events(path):
            results = kernel.replay(events)
            decided = results["kind"] == EventKind.DECIDE
            calls += len(events)
            mismatches += int((results != recorded).sum())
            decisions += int(decided.sum())
            fast = (results["profile"] == 0) & (results["action"] == 0)
            escalated += int(np.count_nonzero(decided & ~fast))
    except (ValueError, TypeError, OSError) as error:
        return asdict(Replayed(path, policy, error=str(error)))
    return asdict(Replayed(path, policy, calls, mismatches, escalated, decisions))
