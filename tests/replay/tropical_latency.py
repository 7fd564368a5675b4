"""Golden operations of the tropical latency monitor, published at every 256th observation."""

from runtime_math.monitors.tropical_latency import LatencyPath, TropicalLatency
from runtime_math.types import CheckStage


class Replay:
    def __init__(self, init):
        self.monitor = TropicalLatency(**init)

    def observe_path(self, path, actual_ns):
        self.monitor.observe_path(path, actual_ns)
        if self.monitor.publication_due:
            self.monitor.publish()
        return self.query()

    def observe_stage(self, stage, cost_ns):
        self.monitor.observe_stage(stage, cost_ns)
        return self.query()

    def reset_alarm(self):
        self.monitor.reset_alarm()
        return self.query()

    def query(self):
        monitor = self.monitor
        return {
            "total_observations": monitor.total_observations,
            "violations": monitor.violation_count,
            "alarm": monitor.is_alarmed,
            "wcl": [monitor.worst_case_bound(path) for path in LatencyPath],
            "max_observed": [monitor.max_observed(stage) for stage in CheckStage],
            "ewma": lambda: [monitor.mean_cost(stage) for stage in CheckStage],
            "count": lambda: [monitor.observation_count(stage) for stage in CheckStage],
            "critical_paths": lambda: list(monitor.critical_paths()),
            "bottleneck": lambda: [monitor.bottleneck_stage(path) for path in LatencyPath],
            "within_budget": lambda: [monitor.within_budget(path) for path in LatencyPath],
            "budgets": lambda: [monitor.budget(path) for path in LatencyPath],
            "utilization": lambda: [monitor.budget_utilization(path) for path in LatencyPath],
            "published": lambda: list(monitor.published),
        }
