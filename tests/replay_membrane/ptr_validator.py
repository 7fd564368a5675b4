"""Golden operations of the pipeline, with the real kernel inside."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from membrane.blocks.arena import Arena
from membrane.blocks.slots import SHARD_COUNT
from membrane.pipeline import ValidationPipeline
from membrane.tables import page_oracle
from runtime_math.decision import unpack_decision
from runtime_math.types import SafetyLevel
from tests.replay_membrane.arena import described, freed
from tests.replay_membrane.scripted import ScriptedSource
from tests.replay_membrane.stage_order import spelled


class EmbeddedArena(Arena):
    """The arena of a pipeline, reached around the pipeline."""

    def __init__(self, pipeline, source):
        self.record = pipeline.record
        self._source = source

    _finalizer = None


class Replay:
    def __init__(self, init):
        self.source = ScriptedSource()
        self.pipeline = ValidationPipeline(
            SafetyLevel[init["mode"].upper()], rules="reference", source=self.source
        )
        self.arena = EmbeddedArena(self.pipeline, self.source)
        self.threads = {}

    def allocate(self, size, raw):
        return self.allocate_aligned(size, 16, raw)

    def allocate_aligned(self, size, align, raw):
        self.source.next_raw = raw
        return self._allocated(self.pipeline.allocate_address(size, align))

    def arena_allocate(self, size, raw):
        self.source.next_raw = raw
        return self._allocated(self.arena.allocate(size))

    def _allocated(self, user):
        result = {"ret": user, "next_generation": self.arena.record["next_generation"]}
        return result if user is None else result | described(self.arena, self.source, user)

    def free(self, ptr, peek):
        self._plant(peek)
        result = self.pipeline.free(ptr)
        drained = self.arena.drained()
        pages = self.pipeline.states[0]["pages"]
        return freed(self.arena, ptr, result, drained) | {
            "drained_page_owned": [
                int(page_oracle.query(pages, np.uint64(block.user_base))) for block in drained
            ]
        }

    def arena_free(self, ptr, peek):
        self._plant(peek)
        return freed(self.arena, ptr, *self.arena.free(ptr))

    def _plant(self, peek):
        if peek is not None:
            self.source.write(peek[0], bytes.fromhex(peek[1]))

    def write(self, addr, hex):
        self.source.write(addr, bytes.fromhex(hex))
        return {}

    def register_allocation(self, base, size):
        self.pipeline.register_allocation(base, size)
        return {}

    def deregister_allocation(self, base, size):
        self.pipeline.deregister_allocation(base, size)
        return {}

    def validate(self, addr, thread=0):
        if thread:
            worker = self.threads.setdefault(thread, ThreadPoolExecutor(max_workers=1))
            return worker.submit(self._validate, addr).result()
        return self._validate(addr)

    def _validate(self, addr):
        found = self.pipeline.validate(addr)
        return {
            "ret": found.outcome,
            "abs": list(found.abstraction),
            "rw": 2 * found.can_read + found.can_write,
            "tls": list(self.pipeline.cache_statistics()),
            "m": list(self.pipeline.metrics().values()),
            "k": self._kernel_calls(addr),
        }

    def _kernel_calls(self, addr):
        trace = self.pipeline.last_trace()
        calls = []
        if trace["asked"]:
            context = [int(trace["aligned"]), int(trace["recent_page"])]
            calls.append(["Q", *context, spelled(int(trace["ordering"]))])
            for number in range(trace["decision_count"]):
                decision = unpack_decision.py_func(int(trace["decisions"][number]))
                calls.append(["D", addr, int(trace["decision_negative"][number]), *decision])
            order = spelled(int(trace["safe_ordering"]))
            calls.append(["N", *context, order, int(trace["exit_position"])])
        adverse = int(trace["adverse"])
        calls.append(["O", int(trace["profile"]), int(trace["cost_ns"]), adverse])
        return calls

    def metrics(self):
        return {"m": list(self.pipeline.metrics().values())}

    def kernel_snapshot(self):
        return {"snapshot": self.pipeline.kernel.snapshot()._asdict()}

    def arena_state(self):
        shards = range(SHARD_COUNT)
        return {
            "shards": [list(self.arena.shard_statistics(shard)) for shard in shards],
            "next_generation": self.arena.record["next_generation"],
        }
