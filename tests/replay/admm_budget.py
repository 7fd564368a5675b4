"""Golden operations of the ADMM budget monitor."""

from runtime_math.monitors.admm_budget import AdmmBudget


class Replay:
    def __init__(self, init):
        self.monitor = AdmmBudget(**init)

    def project_simplex(self, v, cap):
        return {"ret": AdmmBudget.project_simplex(v, cap)}

    def classify(self, observations, smoothed_gap):
        return {"ret": AdmmBudget.classify(observations, smoothed_gap)}

    def observe_and_update(self, **arguments):
        state = self.monitor.observe_and_update(**arguments)
        return {
            **self.monitor.summary._asdict(),
            "state": state,
            "consensus": self.monitor.record["consensus"].tolist(),
        }
