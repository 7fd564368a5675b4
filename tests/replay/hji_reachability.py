"""Golden operations of the reachability monitor."""

from runtime_math.monitors.hji_reachability import (
    CELLS,
    VALUES,
    HjiReachability,
    is_unsafe,
    successor,
)


class Replay:
    def __init__(self, init):
        self.monitor = HjiReachability(**init)

    def observe(self, risk_ppm, latency_ns, adverse):
        monitor = self.monitor
        state = monitor.observe(risk_ppm, latency_ns, adverse)
        record = monitor.record
        assert monitor.state == state
        averages = ("observations", "risk_ewma", "latency_ewma", "adverse_ewma")
        return {**self.summary(), "state": state, **{name: record[name] for name in averages}}

    def summary(self):
        return self.monitor.summary()._asdict()

    def table(self):
        return {"ret": VALUES.tolist()}

    def transition_table(self, layout):
        moves = range(4)
        return {"ret": [successor(c, u, d) for c in range(CELLS) for u in moves for d in moves]}

    def unsafe_mask(self):
        return {"ret": [is_unsafe(cell) for cell in range(CELLS)]}
