"""Golden operations of the overlap-consistency monitor."""

from runtime_math.monitors.cohomology import SHARD_COUNT, Cohomology


class Replay:
    def __init__(self, init):
        self.monitor = Cohomology(**init)

    def note_overlap(self, left_shard, right_shard, witness_hash):
        consistent = self.monitor.note_overlap(left_shard, right_shard, witness_hash)
        return {"ret": consistent, "fault_count": self.monitor.fault_count}

    def set_section_hash(self, shard, hash):
        self.monitor.set_section_hash(shard, hash)
        return {
            "section": self.monitor.record["section"][shard % SHARD_COUNT],
            "fault_count": self.monitor.fault_count,
        }
