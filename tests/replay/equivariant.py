"""Golden operations of the equivariant controller."""

import numpy as np

from runtime_math.monitors import equivariant


class Replay:
    def __init__(self, init):
        self.monitor = equivariant.Equivariant(**init)

    def observe(self, **arguments):
        state = self.monitor.observe(**arguments)
        record = self.monitor.record
        result = {
            **self.summary(),
            "observations": record["observations"],
            "drift_ewma": record["drift_ewma"],
            "orbit_mass": record["orbit_mass"].tolist(),
            "centroids": record["centroids"].tolist(),
        }
        assert state == result["state"] == self.monitor.state
        return result

    def summary(self):
        return self.monitor.summary()._asdict()

    def canonical_features(self, family, estimated_cost_ns, **others):
        cost_ns = np.uint64(estimated_cost_ns)
        raw = equivariant.raw_features(estimated_cost_ns=cost_ns, **others)
        canonical = equivariant.canonical_features(
            family=family, estimated_cost_ns=cost_ns, **others
        )
        orbit = equivariant.ORBIT_OF_FAMILY[family]
        return {"ret": {"orbit": orbit, "raw": raw, "canonical": canonical}}

    def classify(self, **arguments):
        return {"ret": equivariant.classify(**arguments)}

    def dominant_orbit(self, orbit_mass):
        return {"ret": equivariant.heaviest(np.array(orbit_mass))}
