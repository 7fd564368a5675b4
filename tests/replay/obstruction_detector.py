"""Golden operations of the obstruction detector."""

from runtime_math.monitors.obstruction_detector import PAIR_COUNT, ObstructionDetector


class Replay:
    def __init__(self, init):
        self.monitor = ObstructionDetector(**init)

    def observe_and_update(self, severity, repeat=1):
        monitor = self.monitor
        for _ in range(repeat):
            state = monitor.observe(severity)
        summary = monitor.summary()
        assert state == summary.state == monitor.state
        return {
            **summary._asdict(),
            "mean": lambda: monitor.record["tracker"]["running_mean"].tolist(),
            "cov": lambda: monitor.record["covariance"].tolist(),
            "last_pair_obstruction": lambda: [
                monitor.pair_obstruction(pair) for pair in range(PAIR_COUNT)
            ],
        }
