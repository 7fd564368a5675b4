"""Golden operations of the Clifford monitor."""

from runtime_math.monitors.clifford import Clifford


class Replay:
    def __init__(self, init):
        self.monitor = Clifford(**init)

    def classify(self, addr):
        return {"ret": Clifford.classify(addr), **self.summary()}

    def observe(self, **arguments):
        return {"state": self.monitor.observe(*arguments.values()), **self.summary()}

    def observe_and_update(self, **arguments):
        return {"state": self.monitor.observe_and_update(*arguments.values()), **self.summary()}

    def summary(self):
        monitor = self.monitor
        return {
            **monitor.summary._asdict(),
            "coeffs": lambda: monitor.record["coefficients"].tolist(),
            "prev_obs": lambda: (
                monitor.record["previous"].tolist() if monitor.record["has_previous"] else None
            ),
        }
