"""Golden operations of the operator-norm controller."""

from runtime_math.monitors.operator_norm import OperatorNorm


class Replay:
    def __init__(self, init):
        self.monitor = OperatorNorm(**init)

    def observe_and_update(self, severity, repeat=1):
        monitor = self.monitor
        for _ in range(repeat):
            state = monitor.observe(severity)
        summary = monitor.summary()
        assert state == summary.state == monitor.state
        return {
            **summary._asdict(),
            "mean": lambda: monitor.record["tracker"]["running_mean"].tolist(),
            "prev_deviation": lambda: monitor.record["tracker"]["deviation"].tolist(),
        }
