"""Golden operations of the change-point controller."""

import numpy as np

from runtime_math.monitors.changepoint import RUN_LENGTHS, Changepoint


def _padded(values):
    return np.pad(values, (0, RUN_LENGTHS - len(values))).astype(float).tolist()


class Replay:
    def __init__(self, init):
        self.monitor = Changepoint(**init)

    def observe(self, adverse):
        monitor = self.monitor
        state = monitor.observe(adverse)
        assert monitor.state == state
        return {
            **monitor.summary()._asdict(),
            "state": state,
            "adverse_count": monitor.record["adverse_count"],
            "current_max_rl": monitor.record["longest"],
            "p0": lambda: monitor.run_length_posterior()[0],
            "p_last": lambda: monitor.run_length_posterior()[monitor.record["longest"]],
            "probs": lambda: monitor.run_length_posterior().tolist(),
            "suf_adverse": lambda: _padded(monitor.run_counts()[0]),
            "suf_total": lambda: _padded(monitor.run_counts()[1]),
        }
