"""Golden operations of the Serre spectral monitor."""

from runtime_math.monitors.serre_spectral import SerreSpectral


class Replay:
    ARRAYS = {
        "differential_density": "density",
        "prev_density": "previous_density",
        "cell_observations": "cell_observations",
        "cell_failures": "cell_failures",
    }

    def __init__(self, init):
        self.monitor = SerreSpectral(**init)

    def observe(self, **arguments):
        return {"state": self.monitor.observe(**arguments), **self.summary()}

    def observe_and_update(self, **arguments):
        return {"state": self.monitor.observe_and_update(**arguments), **self.summary()}

    def summary(self):
        record = self.monitor.record
        values = self.monitor.summary._asdict()
        values["max_differential"] = self.monitor.max_density
        values["convergence_trend"] = self.monitor.trend
        return {
            **values,
            "current_page": self.monitor.current_page,
            **{
                name: lambda field=field: record[field].tolist()
                for name, field in self.ARRAYS.items()
            },
        }
