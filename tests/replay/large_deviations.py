"""Golden operations of the large-deviations monitor."""

from runtime_math.monitors.large_deviations import (
    BASELINE_BLOCKS,
    BLOCK,
    FAMILIES,
    RATES,
    LargeDeviations,
    LargeDeviationsSummary,
)


class Replay:
    def __init__(self, init):
        self.monitor = LargeDeviations(**init)

    def observe(self, family, adverse):
        monitor = self.monitor
        record = monitor.record
        inside = min(family, FAMILIES - 1)
        return {
            **{
                name: lambda name=name: getattr(monitor.summary(family), name)
                for name in LargeDeviationsSummary._fields
            },
            "state": monitor.observe(family, adverse),
            "elevated_family_count": monitor.elevated_family_count,
            "max_anomaly_count": monitor.max_anomaly_count,
            "window_obs": record["observations"][inside] % BLOCK,
            "window_adverse": record["block_adverse"][inside],
            "baseline_profile": lambda: record["baseline"][family].tolist(),
            "baseline_windows": record["baseline_blocks"][inside],
            "baseline_ready": record["baseline_blocks"][inside] == BASELINE_BLOCKS,
        }

    def summary(self, family):
        return self.monitor.summary(family)._asdict()

    def state(self, family):
        return {"ret": self.monitor.state(family)}

    def binary_kl(self, x, p):
        return {"ret": LargeDeviations.binary_kl(x, p)}

    def rate_profile(self, p):
        return {"ret": LargeDeviations.rate_profile(p)}

    def table(self, layout):
        return {"ret": RATES.ravel().tolist()}
