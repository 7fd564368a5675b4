"""Golden operations of the resource-lifecycle monitor."""

from runtime_math.monitors.symplectic_reduction import SymplecticReduction


class Replay:
    def __init__(self, init):
        self.monitor = SymplecticReduction(**init)

    def acquire(self, resource):
        self.monitor.acquire(resource)
        return self._values()

    def release(self, resource):
        self.monitor.release(resource)
        return self._values()

    def would_be_admissible(self, resource):
        return {"ret": self.monitor.would_be_admissible(resource), **self._values()}

    def _values(self):
        monitor, record = self.monitor, self.monitor.record
        acquired, released = record["acquired"], record["released"]
        values = monitor.summary()
        return {
            **values._asdict(),
            "moment_map": list(values.moment_map),
            "state": monitor.state,
            "window_total": record["window_total"],
            "baseline_windows": record["baseline_windows"],
            "baseline_ready": monitor.baseline_ready,
            "phase_state": [
                count for pair in zip(acquired, released, strict=True) for count in pair
            ],
            "window_acquisitions": (acquired - record["acquired_before_window"]).tolist(),
            "window_releases": (released - record["released_before_window"]).tolist(),
            "baseline_rates": record["baseline_rates"].tolist(),
        }
