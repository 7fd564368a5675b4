"""Golden operations of the sparse-recovery controller."""

from runtime_math.monitors.sparse import Sparse


class Replay:
    def __init__(self, init):
        self.monitor = Sparse(**init)

    def observe(self, mask, anomaly_bits, adverse):
        state = self.monitor.observe(mask, anomaly_bits, adverse)
        values = self.monitor.summary
        assert state == values.state
        return {
            **values._asdict(),
            "observations": self.monitor.record["observations"],
            "x": lambda: self.monitor.causes.tolist(),
        }
