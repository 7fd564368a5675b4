"""Golden operations of the covering-array monitor."""

from runtime_math.monitors.covering_array import CoveringArray


class Replay:
    def __init__(self, init):
        self.monitor = CoveringArray(**init)

    def observe(self, params):
        return {"state": self.monitor.observe(params), **self.after()}

    def observe_and_update(self, params):
        return {"state": self.monitor.observe_and_update(params), **self.after()}

    def can_schedule_heavy_probe(self):
        return {"ret": self.monitor.can_schedule_heavy_probe(), **self.after()}

    def record_heavy_probe(self):
        self.monitor.record_heavy_probe()
        return self.after()

    def after(self):
        monitor, record = self.monitor, self.monitor.record
        return {
            **monitor.summary._asdict(),
            "coverage_fraction": monitor.coverage_fraction,
            "critical_count": monitor.critical_count,
            "epoch_heavy_probes": record["epoch_heavy_probes"],
            "epoch_observations": record["epoch_observations"],
            "covered_mask": int(record["covered"]),
        }
