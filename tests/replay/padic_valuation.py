"""Golden operations of the exponent-regime monitor."""

from runtime_math.monitors.padic_valuation import PadicValuation


class Replay:
    def __init__(self, init):
        self.monitor = PadicValuation(**init)

    def observe(self, fp_bits):
        self.monitor.observe(fp_bits)
        return self._values()

    def observe_f64(self, value):
        self.monitor.observe_f64(value)
        return self._values()

    def _values(self):
        monitor, record = self.monitor, self.monitor.record
        return {
            **monitor.summary()._asdict(),
            "state": monitor.state,
            "window_total": record["window_total"],
            "baseline_windows": record["baseline_windows"],
            "baseline_ready": monitor.baseline_ready,
            "bin_counts": record["bin_counts"].tolist(),
            "baseline": record["baseline"].tolist(),
        }
