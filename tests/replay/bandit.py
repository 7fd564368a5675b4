"""Golden operations of the bandit controller."""

from runtime_math.monitors.bandit import Bandit


class Replay:
    def __init__(self, init):
        self.monitor = Bandit(**init)

    def select_profile(self, family, mode, risk_ppm, contention):
        return {"ret": self.monitor.select_profile(family, mode, risk_ppm, contention)}

    def observe(self, family, profile, cost_ns, adverse):
        self.monitor.observe(family, profile, cost_ns, adverse)
        record = self.monitor.record
        return {
            "pulls": record["pulls"][family].tolist(),
            "utility_milli": record["utility_milli"][family].tolist(),
        }
