"""Golden operations of the quarantine controller, published after each epoch."""

from runtime_math.monitors.quarantine_controller import LATENCY_WINDOW, QuarantineController


class Replay:
    def __init__(self, init):
        self.monitor = QuarantineController(**init)

    def _record(self, latency_ns, hit):
        finished = self.monitor.record_free(latency_ns, hit)
        if finished:
            self.monitor.publish()
        return finished

    def record_free(self, latency_ns, hit):
        return {"ret": self._record(latency_ns, hit), **self._values()}

    def record_free_repeat(self, latency_ns, hit, n):
        return {"updates": sum(self._record(latency_ns, hit) for _ in range(n)), **self._values()}

    def record_free_batch(self, latency_ns, hit):
        updates = sum(
            self._record(latency, flag == 1) for latency, flag in zip(latency_ns, hit, strict=True)
        )
        return {"updates": updates, **self._values()}

    def free_begin(self):
        self.monitor.free_begin()
        return self._values()

    def free_end(self):
        self.monitor.free_end()
        return self._values()

    def _values(self):
        monitor, record = self.monitor, self.monitor.record
        values = monitor.summary()
        return {
            **values._asdict(),
            "lambda_latency": values.latency_price,
            "lambda_memory": values.memory_price,
            "hits_this_epoch": record["hits_this_epoch"],
            "frees_this_epoch": record["frees_this_epoch"],
            "latency_pos": record["frees_this_epoch"] % LATENCY_WINDOW,
            "latency_count": monitor.latency_count,
            "p99": monitor.p99,
        }
