"""Golden operations of the K-theory monitor."""

from runtime_math.monitors.ktheory import KTheory
from runtime_math.types import ApiFamily


class Replay:
    def __init__(self, init):
        self.monitor = KTheory(**init)

    def observe(self, family_idx, coords):
        state = self.monitor.observe(family_idx, *coords)
        return {"state": state, **self.family(family_idx)}

    def observe_and_update(self, family_idx, coords):
        state = self.monitor.observe_and_update(family_idx, *coords)
        return {"state": state, **self.family(family_idx)}

    def summary(self):
        return self.family(0)

    def family(self, index):
        monitor, record = self.monitor, self.monitor.record
        return {
            **monitor.summary._asdict(),
            "drift_count": monitor.drift_count,
            "family_observed": lambda: record["observed"][index].tolist(),
            "family_observations": lambda: record["family_observations"][index],
            "family_frozen": lambda: monitor.is_frozen(index),
            "family_distance": lambda: [monitor.distance(family) for family in ApiFamily],
            "baseline": lambda: record["baseline"].tolist(),
            "family_observations_all": lambda: record["family_observations"].tolist(),
        }
