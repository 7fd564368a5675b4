"""Golden operations of the fusion controller."""

from runtime_math.monitors.fusion import Fusion


class Replay:
    def __init__(self, init):
        self.monitor = Fusion(**init)

    def observe(self, severity, adverse, mode):
        bonus_ppm = self.monitor.observe(severity, adverse, mode)
        assert bonus_ppm == self.monitor.summary.bonus_ppm
        return self.summary()

    def summary(self):
        return {
            **self.monitor.summary._asdict(),
            "weights": lambda: self.monitor.weights.tolist(),
        }
