"""Golden operations of the sum-of-squares invariant controller."""

import numpy as np

from runtime_math.monitors import sos_invariant


class Replay:
    def __init__(self, init):
        self.monitor = sos_invariant.SosInvariant(**init)

    def observe_and_update(self, severity, repeat=1):
        for _ in range(repeat):
            state = self.monitor.observe(severity)
        summary = self.monitor.summary()
        assert state == summary.state == self.monitor.state
        return {
            **summary._asdict(),
            "smoothed_stress": self.monitor.record["smoothed"].tolist(),
            "last_raw_stress": self.monitor.record["raw"].tolist(),
        }

    def stress_fractions(self, severity):
        return {"ret": sos_invariant.stress_fractions(np.array(severity, np.uint8))}
