"""Golden operations of the microlocal monitor."""

from runtime_math.monitors.microlocal import Microlocal


class Replay:
    ARRAYS = (
        "conormal_density",
        "failure_rate",
        "inward_crossings",
        "outward_crossings",
        "propagation_failures",
    )

    def __init__(self, init):
        self.monitor = Microlocal(**init)

    def observe(self, **arguments):
        return {"state": self.monitor.observe(**arguments), **self.summary()}

    def observe_and_update(self, **arguments):
        return {"state": self.monitor.observe_and_update(**arguments), **self.summary()}

    def is_non_characteristic(self, target_stratum):
        return {"ret": self.monitor.is_non_characteristic(target_stratum), **self.summary()}

    def summary(self):
        monitor = self.monitor
        return {
            **monitor.summary._asdict(),
            "wavefront_bits": monitor.wavefront_bits,
            "total_observations": monitor.total_observations,
            "current_stratum": monitor.record["current_stratum"],
            **{name: lambda name=name: monitor.record[name].tolist() for name in self.ARRAYS},
        }
