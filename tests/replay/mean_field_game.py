"""Golden operations of the mean-field-game monitor."""

from runtime_math.monitors.mean_field_game import (
    BASELINE_BLOCKS,
    EQUILIBRIUM,
    EQUILIBRIUM_MEAN,
    MeanFieldGame,
    MeanFieldSummary,
)


class Replay:
    def __init__(self, init):
        self.monitor = MeanFieldGame(**init)

    def observe(self, contention_hint):
        monitor = self.monitor
        record = monitor.record
        return {
            **{
                name: lambda name=name: getattr(monitor.summary(), name)
                for name in MeanFieldSummary._fields
            },
            "state": monitor.observe(contention_hint),
            "congestion_count": monitor.congestion_count,
            "window_total": record["block_calls"],
            "contention_counts": lambda: record["counts"].tolist(),
            "baseline_mean": record["baseline_mean"],
            "baseline_windows": record["baseline_blocks"],
            "baseline_ready": record["baseline_blocks"] == BASELINE_BLOCKS,
        }

    def summary(self):
        assert self.monitor.equilibrium_mean == EQUILIBRIUM_MEAN
        return {**self.monitor.summary()._asdict(), "state": self.monitor.state}

    def table(self):
        return {"ret": list(EQUILIBRIUM), "equilibrium_mean": EQUILIBRIUM_MEAN}

    def best_response(self, mu):
        return {"ret": MeanFieldGame.best_response(mu)}

    def congestion_costs(self, mu):
        return {"ret": MeanFieldGame.congestion_costs(mu)}

    def mean_contention(self, mu):
        return {"ret": MeanFieldGame.mean_contention(mu)}
