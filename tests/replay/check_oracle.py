"""Golden operations of the check oracle."""

from runtime_math.monitors.check_oracle import CheckOracle, context_index, unpack_ordering
from runtime_math.types import SafetyLevel


class Replay:
    def __init__(self, init):
        self.monitor = CheckOracle(**init)

    def get_ordering(self, family, aligned, recent_page):
        return {"ret": list(self.monitor.get_ordering(family, aligned, recent_page))}

    def report_outcome(self, family, aligned, recent_page, ordering, exit_stage):
        monitor, record = self.monitor, self.monitor.record
        monitor.report_outcome(family, aligned, recent_page, ordering, exit_stage)
        context = context_index(family, aligned)
        return {
            "total_calls": monitor.total_calls,
            "total_early_exits": record["total_early_exits"],
            "calls_since_update": record["calls_since_update"],
            "early_exit_rate": monitor.early_exit_rate,
            "context": context,
            "ordering": list(monitor.get_ordering(family, aligned, recent_page)),
            "bias_strict": monitor.bias(family, aligned, SafetyLevel.STRICT),
            "bias_hardened": monitor.bias(family, aligned, SafetyLevel.HARDENED),
            "bias_off": monitor.bias(family, aligned, SafetyLevel.OFF),
            "alpha": lambda: record["alpha"][context].tolist(),
            "beta": lambda: record["beta"][context].tolist(),
            "all_orderings": lambda: [
                list(unpack_ordering(packed)) for packed in record["orderings"]
            ],
        }
