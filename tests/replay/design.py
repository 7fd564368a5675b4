"""Golden operations of the design controller."""

from runtime_math.monitors.design import Design


class Replay:
    def __init__(self, init):
        self.monitor = Design(**init)

    def choose_plan(self, mode, risk_ppm, adverse_hint, fast_over_budget):
        plan = self.monitor.choose_plan(mode, risk_ppm, adverse_hint, fast_over_budget)
        return {"ret": plan._asdict(), **self.summary()}

    def record_probe(self, probe, anomaly):
        return self.record_probe_many(probe, anomaly, 1)

    def record_probe_many(self, probe, anomaly, n):
        for _ in range(n):
            self.monitor.record_probe(probe, anomaly)
        return self.summary()

    def summary(self):
        record = self.monitor.record
        return {
            **self.monitor.summary._asdict(),
            "observations": record["observations"],
            "anomaly_events": record["anomaly_events"],
            "fisher": lambda: self.monitor.information.ravel().tolist(),
            "logdet": lambda: self.monitor.log_determinant,
        }
