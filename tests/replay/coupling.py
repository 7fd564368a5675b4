"""Golden operations of the coupling controller."""

from runtime_math.monitors.coupling import Coupling


class Replay:
    def __init__(self, init):
        self.monitor = Coupling(**init)

    def observe(self, **arguments):
        state = self.monitor.observe(**arguments)
        return {**self.summary(), "state": state}

    def certification_valid(self):
        return {"ret": self.monitor.certification_valid, **self.summary()}

    def summary(self):
        monitor = self.monitor
        return {
            **monitor.summary._asdict(),
            "agreement_count": monitor.agreement_count,
            "ewma_adverse_disagreement": monitor.record["adverse_disagreement_ewma"],
            "pair_freq": lambda: monitor.record["pair_counts"].ravel().tolist(),
        }
