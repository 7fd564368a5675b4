"""Golden operations of the risk engine."""

from runtime_math.monitors.risk_engine import RiskEngine


class Replay:
    def __init__(self, init):
        self.monitor = RiskEngine(**init)

    def evaluate(self, family, addr, size):
        monitor, record = self.monitor, self.monitor.record
        return {
            "ret": monitor.evaluate(family, addr, size),
            "score": monitor.score(addr, size),
            "count": record["count"][family],
            "write_pos": record["write_position"][family],
            "calls_since_recal": record["calls_since_calibration"][family],
            "fast_threshold": record["fast_threshold"][family],
            "full_threshold": record["full_threshold"][family],
            "total_calls": record["total_calls"],
            "fast_path_count": record["fast_path_count"],
            "full_check_count": record["full_check_count"],
            "alarm_count": record["alarm_count"],
            "fast_path_rate": lambda: monitor.fast_path_rate,
            "alarm_rate": lambda: monitor.alarm_rate,
            **self._evidence(family),
        }

    def reset_alarm(self, family):
        self.monitor.reset_alarm(family)
        return self._evidence(family)

    def is_alarmed(self, family):
        return {"ret": self.monitor.is_alarmed(family)}

    def _evidence(self, family):
        return {
            "alarm": self.monitor.is_alarmed(family),
            "e_process_log": self.monitor.record["log_evidence"][family],
        }
