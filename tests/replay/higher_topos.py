"""Golden operations of the descent monitor."""

from runtime_math.monitors.higher_topos import HigherTopos


class Replay:
    def __init__(self, init):
        self.monitor = HigherTopos(**init)

    def observe(self, scope_hash, result_hash, fallback_depth):
        monitor, record = self.monitor, self.monitor.record
        state = monitor.observe(scope_hash, result_hash, fallback_depth)
        slot = scope_hash % 64
        return {
            **monitor.summary()._asdict(),
            "state": state,
            "slot_index": slot,
            "slot_scope_hash": record["slot_scope"][slot],
            "slot_result_hash": record["slot_result"][slot],
        }
