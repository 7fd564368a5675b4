"""Golden operations of the counters."""

from membrane.stages.metrics import Counter, Metrics


class Replay:
    def __init__(self, init):
        self.metrics = Metrics()

    def inc(self, counter):
        self.metrics.increment(Counter[counter.upper()])
        return {"snapshot": list(self.metrics.snapshot().values())}

    def set(self, counter, value):
        self.metrics.store(Counter[counter.upper()], value)
        return {"snapshot": list(self.metrics.snapshot().values())}
