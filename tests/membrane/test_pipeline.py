"""The pipeline's Python face: places and outcomes, handles, bad input, faults of the source."""

import ctypes
import gc
import weakref

import numpy as np
import pytest

from membrane import (
    CorruptionError,
    DoubleFreeError,
    FreeResult,
    MemorySource,
    Outcome,
    Place,
    RegionSource,
    SafetyState,
    UseAfterFreeError,
    ValidationPipeline,
    jit,
)
from membrane.catalogue import flip
from runtime_math.types import SafetyLevel


@pytest.fixture(params=["reference", "repaired"])
def either(request):
    with ValidationPipeline(0, request.param) as pipeline:
        yield pipeline


@pytest.fixture
def pipeline():
    with ValidationPipeline(0) as pipeline:
        yield pipeline


def outcomes(pipeline, *addresses):
    return [pipeline.validate(address).outcome for address in addresses]


def adverse(pipeline):
    """What the kernel heard of the latest validation."""
    return bool(pipeline.last_trace()["adverse"])


def test_places_of_a_block_are_told_apart(pipeline):
    block = pipeline.allocate_address(1_000_000, 64)
    expected = {
        0: (Place.BASE, Outcome.VALIDATED),
        1: (Place.INTERIOR, Outcome.VALIDATED),
        5 * 4096 + 8: (Place.INTERIOR, Outcome.VALIDATED),
        999_999: (Place.INTERIOR, Outcome.VALIDATED),
        1_000_000: (Place.END, Outcome.ONE_PAST_END),
        1_000_007: (Place.CANARY, Outcome.OUT_OF_BOUNDS),
        -1: (Place.HEADER, Outcome.OUT_OF_BOUNDS),
        -32: (Place.HEADER, Outcome.OUT_OF_BOUNDS),
        -40: (Place.GAP, Outcome.OUT_OF_BOUNDS),
    }
    for offset, (place, outcome) in expected.items():
        assert pipeline.locate(block + offset)[0] == place
        found = pipeline.validate(block + offset)
        assert found.outcome == outcome
        assert adverse(pipeline) == (outcome == Outcome.OUT_OF_BOUNDS)
        assert found.base == block
        assert found.remaining == max(1_000_000 - offset, 0) * (offset >= 0)


def test_outsiders_are_told_apart(pipeline):
    array = np.zeros(100, np.uint8)
    foreign = pipeline.validate(array.ctypes.data)
    assert (foreign.outcome, foreign.can_write, adverse(pipeline)) == (Outcome.FOREIGN, True, False)
    wild = pipeline.validate(0xDEAD_BEEF_0000)
    assert (wild.outcome, wild.can_read, adverse(pipeline)) == (Outcome.WILD, False, True)
    assert pipeline.validate(0).state == SafetyState.INVALID
    assert pipeline.validate(2**64 - 1).outcome == Outcome.WILD
    view = memoryview(array)[10:30]
    found = pipeline.validate(view)
    assert (found.outcome, found.base, found.remaining) == (
        Outcome.FOREIGN,
        array.ctypes.data + 10,
        20,
    )


def test_a_live_buffer_is_never_mistaken_for_a_released_block():
    source = RegionSource(1 << 16)
    with ValidationPipeline(0, source=source, quarantine_max_bytes=0) as pipeline:
        address = pipeline.allocate_address(64)
        pipeline.free(address)
        assert pipeline.validate(address).outcome == Outcome.RELEASED
        start = address - source.memory.ctypes.data
        assert pipeline.validate(source.memory[start : start + 64]).outcome == Outcome.FOREIGN
        assert pipeline.validate(address).outcome == Outcome.FOREIGN


def test_off_mode_looks_at_nothing():
    with ValidationPipeline(SafetyLevel.OFF, policy="faithful") as pipeline:
        found = pipeline.validate(0xDEAD_BEEF_0000)
        assert found.outcome == Outcome.BYPASSED
        assert found.can_write
        assert pipeline.metrics()["validations"] == 1
        assert pipeline.kernel.states["decisions"][0] == 0


def test_handles_are_buffers_without_copies(either):
    with either.allocate(16) as block:
        block[:] = range(16)
        view = memoryview(block)
        assert view[3] == 3
        assert (view.format, view.nbytes, view.readonly) == ("B", 16, False)
        np.frombuffer(block, np.uint32)[0] = 0xFFFFFFFF
        assert ctypes.string_at(block.address, 4) == b"\xff" * 4
        assert type(block[2:4]) is np.ndarray
        assert type(block + 1) is np.ndarray
        assert either.validate(block).remaining == 16
        assert either.validate(memoryview(block)[4:]).remaining == 12
    assert block.freed


def test_stale_handles_refuse_everything(pipeline):
    block = pipeline.allocate(16)
    address, twin, derived = block.address, block, block.view()
    assert pipeline.free(block) == FreeResult.FREED
    for use in (lambda: block[0], lambda: block.address, lambda: twin.__enter__()):
        with pytest.raises(UseAfterFreeError):
            use()
    with pytest.raises(DoubleFreeError):
        block.free()
    assert pipeline.free(address) == FreeResult.DOUBLE_FREE
    with pytest.raises(TypeError, match="derived"):
        derived.free()


def test_a_handle_frees_its_own_block_only():
    source = RegionSource(4096)
    with ValidationPipeline(0, "reference", source, quarantine_max_bytes=0) as pipeline:
        old = pipeline.allocate(64)
        address = old.address
        assert pipeline.free(address) == FreeResult.FREED
        with pytest.raises(DoubleFreeError):
            old.free()


def test_views_keep_memory_from_being_released(pipeline):
    source = RegionSource(1 << 16)
    with ValidationPipeline(0, source=source, quarantine_max_bytes=0) as pinned:
        block = pinned.allocate(64)
        view = memoryview(block)
        raw = set(source.outstanding)
        block.free()
        assert pinned.validate(block.lease.address).outcome == Outcome.RELEASED
        assert set(source.outstanding) == raw
        # The buffer is alive, but what it shows is the freed block, not somebody else's memory.
        for target in (view, block, view[8:]):
            assert pinned.validate(target).outcome == Outcome.RELEASED
        view[0] = 1
        del view, block, target
        gc.collect()
        pinned.validate(0)
        assert not source.outstanding


def test_a_lost_handle_frees_its_block_with_a_warning(pipeline):
    block = pipeline.allocate(64)
    address = block.address
    with pytest.warns(ResourceWarning, match="lost without free"):
        del block
    assert pipeline.validate(address).outcome == Outcome.TEMPORAL_VIOLATION
    kept = pipeline.allocate(64)
    address = kept.detach()
    del kept
    gc.collect()
    assert pipeline.validate(address).outcome == Outcome.VALIDATED


def test_corruption_is_raised_at_the_end_of_the_block(pipeline):
    with (
        pytest.raises(CorruptionError, match="overwritten"),
        pipeline.allocate(16) as block,
    ):
        flip(block.address, 17)
    assert pipeline.statistics()["live_blocks"] == 0


@pytest.mark.parametrize("size", [-1, 2**64, 1.5, True, "8", None])
def test_sizes_that_are_none_are_refused(either, size):
    with pytest.raises((TypeError, ValueError), match="size"):
        either.allocate(size)


def test_sizes_that_can_not_be_had_fail(either):
    before = either.statistics()
    for size in (2**63, 2**64 - 1, 2**63 - 40, 2**50):
        assert either.allocate_address(size) is None
        with pytest.raises(MemoryError):
            either.allocate(size)
    assert either.statistics() == before


def test_alignments(either):
    for align in (0, 1, 3, 16, 64, 4096, 2**20):
        with either.allocate(100, align) as block:
            assert block.address % max(align, 16) == 0
    for align in (24, 100, 2**20 + 1):
        assert either.allocate_address(8, align) is None
        with pytest.raises(ValueError, match="power of two"):
            either.allocate(8, align)
    assert either.allocate_address(8, 2**63) is None


def test_empty_blocks_have_a_life_too(either):
    first, second = either.allocate_address(0), either.allocate_address(0)
    assert first != second
    found = either.validate(first)
    assert (found.outcome, found.remaining) == (Outcome.VALIDATED, 0)
    assert [either.free(a) for a in (first, second)] == [FreeResult.FREED] * 2


@pytest.mark.parametrize("target", [1.5, "text", object(), (1, 2)])
def test_targets_that_are_none_are_refused(pipeline, target):
    with pytest.raises((TypeError, ValueError)):
        pipeline.validate(target)
    assert pipeline.metrics()["validations"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"), [({"rules": "strict"}, "rules"), ({"mode": 7}, "mode")]
)
def test_bad_construction_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ValidationPipeline(**arguments)


class FaultySource(MemorySource):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def allocate(self, total, align):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def release(self, raw, total, align):
        self.released = raw


@pytest.mark.parametrize("rules", ["reference", "repaired"])
def test_a_failing_source_leaves_no_trace(rules):
    for answer in (None, OSError("broken"), 0x1008):
        source = FaultySource(answer)
        with ValidationPipeline(0, rules, source) as pipeline:
            before = pipeline.statistics()
            if isinstance(answer, Exception):
                with pytest.raises(OSError, match="broken"):
                    pipeline.allocate_address(8)
            else:
                assert pipeline.allocate_address(8) is None
            assert pipeline.statistics() == before
            # A misaligned answer is given back.
            assert getattr(source, "released", None) == (0x1008 if answer == 0x1008 else None)


def test_closing_gives_everything_back():
    for rules in ("reference", "repaired"):
        source = RegionSource(1 << 20)
        pipeline = ValidationPipeline(1, rules, source, quarantine_max_bytes=2000)
        addresses = [pipeline.allocate_address(100 * n) for n in range(30)]
        for address in addresses[::2]:
            pipeline.free(address)
        pipeline.close()
        assert not source.outstanding
        for use in (pipeline.allocate, pipeline.validate, pipeline.free):
            with pytest.raises(ValueError, match="closed"):
                use(5)
        pipeline.close()


def test_a_view_outlives_its_pipeline():
    source = RegionSource(1 << 16)
    pipeline = ValidationPipeline(0, source=source)
    block = pipeline.allocate(8)
    pipeline.allocate_address(8)
    view = memoryview(block)
    block.free()
    pipeline.close()
    view[0] = 1
    assert len(source.outstanding) == 2
    del view, block
    gc.collect()
    assert not source.outstanding


def test_a_forgotten_pipeline_gives_everything_back():
    source = RegionSource(1 << 16)
    pipeline = ValidationPipeline(0, source=source)
    pipeline.allocate_address(100)
    gone = weakref.ref(pipeline)
    del pipeline
    gc.collect()
    assert gone() is None
    assert not source.outstanding


def resident_bytes():
    with open("/proc/self/statm") as figures:
        return int(figures.read().split()[1]) * 4096


def test_the_c_heap_does_not_grow():
    def life():
        with ValidationPipeline(0, quarantine_max_entries=100) as pipeline:
            for size in range(3000):
                pipeline.free(pipeline.allocate_address(size))

    for _ in range(3):
        life()
    before = resident_bytes()
    for _ in range(20):
        life()
    assert resident_bytes() - before < 4_000_000


def test_interior_lookup_is_as_good_as_constant():
    with ValidationPipeline(0) as pipeline:
        addresses = [pipeline.allocate_address(200) for _ in range(2000)]
        for number, address in enumerate(addresses):
            place, block = pipeline.locate(address + number % 200)
            assert place in (Place.BASE, Place.INTERIOR)
            assert block.user_base == address


def test_jitted_and_python_calls_see_the_same_state(pipeline):
    cache = jit.new_cache()[0]
    state = pipeline.states[0]
    address = int(jit.allocate(state, np.uint64(40)))
    assert jit.validate(state, cache, np.uint64(address + 39)).remaining == 1
    assert pipeline.validate(address).remaining == 40
    assert jit.free(state, np.uint64(address)) == FreeResult.FREED
    assert pipeline.validate(address).outcome == Outcome.TEMPORAL_VIOLATION
    assert jit.validate(state, cache, np.uint64(address + 39)).outcome == 4
