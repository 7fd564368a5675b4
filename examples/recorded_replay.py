"""Record what a program asks of its kernel, and try the same calls on another kernel.

Run it with ``python examples/recorded_replay.py``. A recording is a compressed CSV file of every
call and its result; it streams both ways.
"""

import tempfile
from pathlib import Path

from runtime_math import ApiFamily, RuntimeContext, RuntimeMathKernel, SafetyLevel, read_events
from runtime_math.conformance import check_trace


def work(kernel):
    """Stand for a program: 1,000 calls, of which the last hundred go wrong."""
    for call in range(1000):
        context = RuntimeContext(ApiFamily.ALLOCATOR, 0x7F00_0000_0000 + 64 * call, 256)
        decision = kernel.decide(kernel.mode, context)
        kernel.observe_validation_result(context.family, decision.profile, 30, call >= 900)


def main():
    """Record, check the recording, and replay it on a kernel with the other policy."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.csv.gz"
        with RuntimeMathKernel(SafetyLevel.STRICT).record(path) as kernel:
            work(kernel)
        print(check_trace(path))
        other = RuntimeMathKernel(SafetyLevel.STRICT, policy="calibrated", monitors="none")
        for events, recorded in read_events(path):
            decided = recorded["kind"] == 0
            before, now = (each["profile"][decided] for each in (recorded, other.replay(events)))
            print(f"fully validated: {before.sum()} by the faithful policy, {now.sum()} by this")


if __name__ == "__main__":
    main()
