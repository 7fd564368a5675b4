"""Golden operations of the t-structure monitor."""

from runtime_math.monitors.derived_tstructure import STAGE_COUNT, DerivedTStructure


class Replay:
    def __init__(self, init):
        self.monitor = DerivedTStructure(**init)

    def observe(self, stage_idx, predecessors_complete):
        state = self.monitor.observe(stage_idx, predecessors_complete)
        return {"state": state, **self.after()}

    def observe_and_update(self, stage_idx, predecessors_complete):
        state = self.monitor.observe_and_update(stage_idx, predecessors_complete)
        return {"state": state, **self.after()}

    def reset_cycle(self):
        self.monitor.reset_cycle()
        return self.after()

    def after(self):
        monitor, record = self.monitor, self.monitor.record
        return {
            **monitor.summary._asdict(),
            "disorder_count": monitor.disorder_count,
            "completed_mask": record["completed_mask"],
            "max_completed_degree": record["max_completed_degree"],
            "violation_rate": lambda: record["violation_rate"].tolist(),
            "stage_observations": lambda: record["stage_observations"].tolist(),
            "stage_violations": lambda: record["stage_violations"].tolist(),
            "max_incomplete_predecessor": lambda: [
                monitor.max_incomplete_predecessor(stage) for stage in range(STAGE_COUNT)
            ],
        }
