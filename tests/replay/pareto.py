"""Golden operations of the Pareto controller."""

from runtime_math.monitors.pareto import Pareto


class Replay:
    def __init__(self, init):
        self.monitor = Pareto(**init)

    def _ledger(self, family):
        record = self.monitor.record
        return {
            "family_regret_milli": record["regret_milli"][family],
            "family_cap_enforcements": record["cap_enforcements"][family],
        }

    def recommend_profile(self, family, **arguments):
        profile = self.monitor.recommend_profile(family=family, **arguments)
        return {"ret": profile, **self._ledger(family)}

    def observe(self, family, **arguments):
        self.monitor.observe(family=family, **arguments)
        fields = ("pulls", "latency_sum_ns", "adverse_count")
        arms = {field: self.monitor.record[field][family].tolist() for field in fields}
        return {**arms, **self._ledger(family)}

    def is_budget_exhausted(self, mode, family):
        return {"ret": self.monitor.is_budget_exhausted(mode, family)}

    def summary(self, mode):
        return self.monitor.summary(mode)._asdict()
