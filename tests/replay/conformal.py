"""Golden operations of the conformal-coverage monitor."""

from runtime_math.monitors.conformal import WINDOW, Conformal


class Replay:
    def __init__(self, init):
        self.monitor = Conformal(**init)

    def observe(self, score):
        state = self.monitor.observe(score)
        assert self.monitor.state == state
        return {**self.summary(), "state": state}

    def summary(self):
        monitor = self.monitor
        values = monitor.summary()._asdict()
        fill = min(values["total_observations"], WINDOW)
        return {
            **values,
            "fill": fill,
            "write_pos": values["total_observations"] % WINDOW,
            "window": lambda: monitor.record["scores"][:fill].tolist(),
        }
