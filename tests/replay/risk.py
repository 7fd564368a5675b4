"""Golden operations of the risk controller."""

from runtime_math.monitors.risk import Risk


class Replay:
    def __init__(self, init):
        self.monitor = Risk(**init)

    def observe(self, family, adverse):
        return self.observe_many(family, adverse, 1)

    def observe_many(self, family, adverse, n):
        for _ in range(n):
            self.monitor.observe(family, adverse)
        values = self.monitor.summary(family)
        return {
            "calls": values.calls,
            "adverse": values.adverse,
            "ub_ppm": values.upper_bound_ppm,
        }

    def upper_bound_ppm(self, family):
        return {"ret": self.monitor.upper_bound_ppm(family)}
