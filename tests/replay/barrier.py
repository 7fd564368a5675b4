"""Golden operations of the barrier."""

from runtime_math.monitors.barrier import Barrier


class Replay:
    def __init__(self, init):
        self.monitor = Barrier(**init)

    def admissible(self, contention, **arguments):
        return {"ret": self.monitor.admissible(contention_hint=contention, **arguments)}
