"""Random sequences of calls against a simple model of which block is where in its life."""

import ctypes
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from membrane import FreeResult, Outcome, RegionSource, SafetyState, ValidationPipeline
from membrane.blocks.arena import Arena

MAX_BYTES, MAX_ENTRIES = 3000, 5
FOUND = (Outcome.VALIDATED, Outcome.CACHED_VALID)


@dataclass
class Truth:
    """One block, as the model knows it."""

    base: int
    size: int
    align: int
    raw: int
    total: int
    contents: bytes = field(repr=False)
    guarded: int
    stage: str = "live"
    caches: set = field(default_factory=set)

    def __post_init__(self):
        self.guards = self.read_guards()

    def read_guards(self):
        """Bytes in front of the block that a rule set compares, and the canary."""
        return ctypes.string_at(self.base - self.guarded, self.guarded), ctypes.string_at(
            self.base + self.size, 8
        )

    @property
    def corrupted(self):
        return self.read_guards() != self.guards


class Membrane(RuleBasedStateMachine):
    """Allocate, free, write, overflow and validate; compare with the model after each step."""

    rules_name = "repaired"

    def __init__(self):
        super().__init__()
        self.blocks = []
        self.quarantine = []
        self.validations = 0

    @initialize(mode=st.sampled_from([0, 1]))
    def start(self, mode):
        # What happens depends on the pages of addresses, so every run starts at the same one.
        self.source = RegionSource(1 << 18, margin=64, align=1 << 20)
        self.pipeline = ValidationPipeline(
            mode, self.rules_name, self.source, MAX_BYTES, MAX_ENTRIES
        )

    def teardown(self):
        if hasattr(self, "pipeline"):
            self.pipeline.close()
            assert not self.source.outstanding

    @property
    def repaired(self):
        return self.rules_name == "repaired"

    @rule(size=st.integers(0, 300) | st.sampled_from([3100, 9000]), align=st.sampled_from([0, 64]))
    def allocate(self, size, align):
        base = self.pipeline.allocate_address(size, align)
        assert base is not None
        assert base % max(align, 16) == 0
        raw, (total, _) = max(
            piece for piece in self.source.outstanding.items() if piece[0] <= base
        )
        for other in self.blocks:
            if other.stage == "live":
                assert base + size <= other.raw or other.raw + other.total <= raw
            if self.repaired:
                assert base != other.base
        contents = bytes((base + offset) % 251 for offset in range(size))
        ctypes.memmove(base, contents, size)
        guarded = 32 if self.repaired else 0
        self.blocks.append(Truth(base, size, max(align, 16), raw, total, contents, guarded))

    @rule(data=st.data())
    def free(self, data):
        if not self.blocks:
            return
        block = data.draw(st.sampled_from(self.blocks))
        corrupted = block.corrupted
        result = self.pipeline.free(block.base)
        if block.stage != "live":
            self.check_stale_free(block, result)
            return
        if self.repaired or block.align == 16:
            assert result == corrupted
        else:
            assert result in (0, 1)
        self.quarantined(block)

    def quarantined(self, block):
        """Follow the queue: which blocks leave it now?"""
        block.stage = "quarantined"
        self.quarantine.append(block)
        queue = [b for b in self.quarantine if self.same_queue(b, block)]
        drained = []
        while sum(b.total for b in queue) > MAX_BYTES or len(queue) > MAX_ENTRIES:
            drained.append(queue.pop(0))
        assert [entry.user_base for entry in Arena.drained(self.pipeline)] == [
            b.base for b in drained
        ]
        for gone in drained:
            gone.stage = "released"
            self.quarantine.remove(gone)

    def same_queue(self, one, other):
        return self.repaired or (one.base >> 12) % 16 == (other.base >> 12) % 16

    def check_stale_free(self, block, result):
        owners = [b for b in self.blocks if b.base == block.base and b.stage == "live"]
        if block.stage == "quarantined" or self.repaired:
            assert result == FreeResult.DOUBLE_FREE
        elif owners:  # the hole of the reference: the next owner's block goes
            assert result in (0, 1)
            self.quarantined(owners[0])
        else:
            assert result in (FreeResult.FOREIGN_POINTER, FreeResult.DOUBLE_FREE)

    @rule(data=st.data(), after=st.booleans(), length=st.integers(1, 8))
    def overwrite_guard(self, data, after, length):
        live = [b for b in self.blocks if b.stage == "live"]
        if live:
            block = data.draw(st.sampled_from(live))
            place = block.base + block.size if after else block.base - length
            before = ctypes.string_at(place, length)
            ctypes.memmove(place, bytes(b ^ 0x55 for b in before), length)

    @rule(data=st.data(), offset=st.integers(-40, 320))
    def validate(self, data, offset):
        if not self.blocks:
            return
        block = data.draw(st.sampled_from(self.blocks))
        address = block.base + offset
        found = self.pipeline.validate(address)
        self.validations += 1
        if self.repaired:
            self.check_repaired(address, found)
        else:
            self.check_reference(address, found)

    def around(self, address):
        """Blocks that still hold memory and whose memory holds an address."""
        return [
            block
            for block in self.blocks
            if block.stage != "released" and block.raw <= address < block.raw + block.total
        ]

    def check_repaired(self, address, found):
        owners = self.around(address)
        retired = any(b.base == address and b.stage == "released" for b in self.blocks)
        if not owners:
            assert found.outcome == Outcome.RELEASED or not retired
            assert found.outcome in (Outcome.RELEASED, Outcome.FOREIGN)
            return
        (block,) = owners
        offset = address - block.base
        inside = 0 <= offset < block.size or offset == 0
        if block.stage == "quarantined":
            assert found.outcome == Outcome.TEMPORAL_VIOLATION
            assert not found.can_read
        elif inside and block.corrupted:
            assert found.outcome == Outcome.CORRUPTED
        elif inside:
            assert found.outcome in FOUND
            assert found[2:5] == (SafetyState.VALID, block.base, block.size - offset)
            assert found.can_write
        elif retired:
            assert found.outcome == Outcome.RELEASED
        elif offset == block.size:
            assert found.outcome == Outcome.ONE_PAST_END
        else:
            assert found.outcome == Outcome.OUT_OF_BOUNDS

    def check_reference(self, address, found):
        bases = {b.base: b for b in self.blocks}
        if found.outcome == Outcome.VALIDATED:
            (block,) = self.around(address)
            assert block.stage == "live"
            assert found.base == block.base
            bases[block.base].caches.add(address)
        elif found.outcome == Outcome.TEMPORAL_VIOLATION:
            (block,) = self.around(address)
            assert block.stage == "quarantined"
        elif found.outcome == Outcome.CACHED_VALID:
            assert any(address in b.caches for b in self.blocks)
        else:
            assert found.outcome == Outcome.FOREIGN
            live = [b for b in self.around(address) if b.stage == "live"]
            assert not any(b.base == address for b in live)

    @invariant()
    def contents_and_counts_hold(self):
        if not hasattr(self, "pipeline"):
            return
        live = [b for b in self.blocks if b.stage == "live"]
        for block in live:
            assert ctypes.string_at(block.base, block.size) == block.contents
        figures = self.pipeline.statistics()
        assert figures["live_blocks"] == len(live)
        assert figures["live_bytes"] == sum(b.size for b in live)
        assert figures["quarantined_blocks"] == len(self.quarantine)
        counts = figures["metrics"]
        assert counts["validations"] == self.validations
        assert counts["tls_cache_hits"] + counts["tls_cache_misses"] <= self.validations


@pytest.mark.parametrize("rules", ["reference", "repaired"])
def test_random_lives_of_blocks(rules):
    machine = type("Machine", (Membrane,), {"rules_name": rules})
    machine.TestCase.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)
    machine.TestCase().runTest()
