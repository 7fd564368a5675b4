"""Golden operations of the provenance monitor."""

import numpy as np
from numba import njit

from runtime_math.monitors.provenance_info import ProvenanceInfo, observe_byte


@njit
def observe_one_by_one(state, byte_values):
    for byte in byte_values:
        observe_byte(state, byte)


def pattern(hex=None, start=0, step=0, count=0):
    """Bytes of a golden pattern."""
    if hex is not None:
        return np.array(list(bytes.fromhex(hex)), np.uint8)
    return ((start + step * np.arange(count)) % 256).astype(np.uint8)


class Replay:
    def __init__(self, init):
        self.monitor = ProvenanceInfo(**init)

    def observe_bytes(self, **arguments):
        return self.repeat_batch(1, arguments)

    def observe_bytes_x5(self, **arguments):
        return self.repeat_batch(5, arguments)

    def observe_bytes_x8(self, **arguments):
        return self.repeat_batch(8, arguments)

    def observe_bytes_x16(self, **arguments):
        return self.repeat_batch(16, arguments)

    def repeat_batch(self, times, arguments):
        for _ in range(times):
            state = self.monitor.observe_bytes(pattern(**arguments))
        assert state == self.monitor.state
        return self.snapshot()

    def observe_stream(self, **arguments):
        observe_one_by_one(self.monitor.record, pattern(**arguments))
        return self.snapshot()

    def observe_tag(self, tag):
        self.monitor.observe_tag(tag)
        return self.snapshot()

    def snapshot(self):
        histogram = self.monitor.record["histogram"].tolist()
        return {**self.monitor.summary()._asdict(), "histogram": histogram}
