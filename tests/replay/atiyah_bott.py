"""Golden operations of the Atiyah-Bott controller."""

from runtime_math.monitors import atiyah_bott


class Replay:
    def __init__(self, init):
        self.monitor = atiyah_bott.AtiyahBott(**init)

    def observe_and_update(self, severity):
        state = self.monitor.observe(severity)
        summary = self.monitor.summary()
        assert state == summary.state == self.monitor.state
        return {
            **summary._asdict(),
            "last_raw_localization": self.monitor.record["last_raw_localization"],
        }

    def classify(self, observations, smoothed_localization, smoothed_fp_fraction):
        shares = smoothed_localization, smoothed_fp_fraction
        return {
            "ret": atiyah_bott.classify(observations, *shares),
            "euler_weight": atiyah_bott.weight(*shares),
        }
