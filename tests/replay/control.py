"""Golden operations of the budget controller."""

import numpy as np

from runtime_math.monitors.control import Control, observe
from runtime_math.numerics.compilation import jitted


@jitted
def _observe_many(state, cost_ns, adverse, times):
    for _ in range(times):
        observe(state, cost_ns, adverse)


class Replay:
    FIELDS = ("observed_calls", "total_cost_ns", "adverse_events", "lambda_latency", "lambda_risk")

    def __init__(self, init):
        self.monitor = Control(**init)

    def observe(self, cost_ns, adverse):
        self.monitor.observe(cost_ns, adverse)
        return {field: self.monitor.record[field] for field in self.FIELDS}

    def observe_many(self, cost_ns, adverse, n):
        # One trace winds the prices up for millions of calls.
        _observe_many(self.monitor.record, np.uint64(cost_ns), adverse, n - 1)
        return self.observe(cost_ns, adverse)

    def limits(self, mode):
        return {"ret": self.monitor.limits(mode)._asdict()}
