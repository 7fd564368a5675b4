"""Golden operations of the persistent-homology monitor."""

from runtime_math.monitors.persistence import BASELINE_WINDOWS, CLOUD, Persistence


class Replay:
    def __init__(self, init):
        self.monitor = Persistence(**init)

    def observe(self, values):
        monitor = self.monitor
        state = monitor.observe(values)
        record = monitor.record
        assert monitor.state == state
        return {
            **monitor.summary()._asdict(),
            "state": state,
            "anomaly_count": monitor.anomaly_count,
            "baseline_entropy": record["baseline_entropy"],
            "baseline_total": record["baseline_total"],
            "baseline_windows": record["baseline_windows"],
            "baseline_ready": record["baseline_windows"] == BASELINE_WINDOWS,
            "write_pos": record["write_position"],
            "count": CLOUD if record["baseline_windows"] else record["write_position"],
        }

    def h0(self, points, diameter):
        deaths = Persistence.h0(points)
        figures = Persistence.summarize(deaths, diameter)
        return {"deaths": deaths.tolist(), **figures._asdict()}
