"""Golden operations of the loss minimiser."""

from runtime_math.monitors.loss_minimizer import LossMinimizer


class Replay:
    def __init__(self, init):
        self.monitor = LossMinimizer(**init)

    def observe(self, **arguments):
        state = self.monitor.observe(**arguments)
        return {
            **self.monitor.summary._asdict(),
            "state": state,
            "full_validate_loss_ewma": self.monitor.record["loss"][1],
            "action_counts": self.monitor.record["action_counts"].tolist(),
        }
