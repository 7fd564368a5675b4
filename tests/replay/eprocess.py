"""Golden operations of the e-process controller."""

from runtime_math.monitors.eprocess import EProcess
from runtime_math.types import ApiFamily


class Replay:
    PARAMETER_NAMES = {"p0": "null_rate", "q1": "alternative_rate"}

    def __init__(self, init):
        self.monitor = EProcess(
            **{self.PARAMETER_NAMES.get(name, name): value for name, value in init.items()}
        )

    def observe(self, family, adverse):
        state = self.monitor.observe(family, adverse)
        values = self.monitor.summary(family)
        return {
            "state": state,
            "calls": values.calls,
            "adverse": values.adverse,
            "e_value": values.e_value,
            "log_e_scaled": self.monitor.record["log_e"][family],
            **self.query(),
        }

    def query(self):
        monitor = self.monitor
        return {
            "adverse_delta_scaled": monitor.record["adverse_delta"],
            "clean_delta_scaled": monitor.record["clean_delta"],
            "warning_log_e_scaled": monitor.record["warning_level"],
            "alarm_log_e_scaled": monitor.record["alarm_level"],
            "max_e_value": lambda: monitor.max_e_value,
            "alarmed_family_count": lambda: monitor.alarmed_family_count,
            "states": lambda: [monitor.state(family) for family in ApiFamily],
            "log_e_all": lambda: monitor.record["log_e"].tolist(),
        }
