"""Golden operations of the spectral monitor."""

from runtime_math.monitors.spectral_monitor import SpectralMonitor


class Replay:
    def __init__(self, init):
        self.monitor = SpectralMonitor(**init)

    def observe(self, **sample):
        monitor = self.monitor
        state = monitor.observe(**sample)
        values = monitor.signature()._asdict()
        record = monitor.record
        assert state == monitor.phase
        return {
            **values,
            "state": state,
            "sig_phase": values["phase"],
            "sig_transition_count": values["transition_count"],
            "transition_count": monitor.transition_count,
            "write_pos": record["write_position"],
            "sums": record["sums"].tolist(),
            **{
                name: record[name]
                for name in (
                    "count",
                    "transition_streak",
                    "baseline_ready",
                    "baseline_edge_ratio",
                    "baseline_max_eigenvalue",
                    "baseline_tw_z",
                )
            },
        }

    def eigenvalues(self, m):
        return {"ret": self.monitor.eigenvalues(m)}
