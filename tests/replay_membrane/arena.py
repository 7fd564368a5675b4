"""Golden operations of the arena."""

import numpy as np

from membrane.blocks.arena import Arena, FreeResult
from membrane.blocks.lookup import holding, shard_of
from tests.replay_membrane.scripted import ScriptedSource


class Replay:
    def __init__(self, init):
        self.source = ScriptedSource()
        self.arena = Arena(self.source, repaired=False)
        self.bulk = []

    def allocate(self, size, raw):
        return self.allocate_aligned(size, 16, raw)

    def allocate_aligned(self, size, align, raw):
        self.source.next_raw = raw
        user = self.arena.allocate_aligned(size, align)
        result = {"ret": user, "next_generation": self.arena.record["next_generation"]}
        if user is not None:
            result |= described(self.arena, self.source, user)
        return result

    def free(self, ptr, peek):
        if peek is not None:
            self.source.write(peek[0], bytes.fromhex(peek[1]))
        result, drained = self.arena.free(ptr)
        return freed(self.arena, ptr, result, drained)

    def lookup(self, addr):
        block = self.arena.lookup(addr)
        return {
            "ret": None if block is None else list(block),
            "remaining_from": self.arena.remaining_from(addr),
            "contains": self.arena.contains(addr),
        }

    def write(self, addr, hex):
        self.source.write(addr, bytes.fromhex(hex))
        return {}

    def allocate_bulk(self, size, runs):
        generations = []
        for first, stride, count in runs:
            for step in range(count):
                self.source.next_raw = first + step * stride
                generations.append(int(self.arena.record["next_generation"]))
                self.bulk.append(self.arena.allocate(size))
        return {
            "count": len(self.bulk),
            "first_generation": generations[0],
            "last_generation": generations[-1],
        }

    def free_bulk(self, **bounds):
        outcomes = [self.arena.free(user) for user in self.bulk[bounds["from"] : bounds["to"]]]
        return {
            "all_freed": all(result == FreeResult.FREED for result, _ in outcomes),
            "any_drained": any(drained for _, drained in outcomes),
            "next_generation": self.arena.record["next_generation"],
        }


def described(arena, source, user):
    """What the vectors record about a new block."""
    slot = exact_slot(arena, user)
    return {
        "generation": int(slot["generation"]),
        "header": source.read(user - 16, 16).hex(),
        "canary": source.read(user + int(slot["user_size"]), 8).hex(),
        "shard": int(shard_of(slot["user_base"])),
        "slot": int(slot["number"]),
    }


def exact_slot(arena, user):
    """Slot of the block with this base, or None."""
    block = arena.lookup(user)
    if block is None or block.user_base != user:
        return None
    identity = holding(arena.record, np.uint64(user))
    return arena.slots()[int(identity)]


def freed(arena, ptr, result, drained):
    """What the vectors record about a free."""
    slot = exact_slot(arena, ptr)
    number = int(shard_of(np.uint64(ptr)))
    return {
        "ret": result,
        "drained": [list(block) for block in drained],
        "slot": None
        if slot is None
        else [int(slot["number"]), int(slot["state"]), int(slot["generation"])],
        "shard": [number, *arena.shard_statistics(number)],
    }
