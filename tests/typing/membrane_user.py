# pyright: strict
"""A program that uses the membrane as a typed package; type checkers read it, nobody runs it."""

import ctypes
from collections.abc import Mapping
from typing import Any, assert_type

import numpy as np

from membrane import (
    Call,
    FreeResult,
    Handle,
    Healing,
    HealingPlan,
    MemorySource,
    Outcome,
    Place,
    RegionSource,
    SafetyState,
    UnsafePointerError,
    ValidationOutcome,
    ValidationPipeline,
    argument,
    default_pipeline,
    guard,
    libc,
    pointee,
    terminated,
)
from membrane.blocks.arena import Block
from runtime_math.types import SafetyLevel


def blocks() -> int:
    with ValidationPipeline(SafetyLevel.STRICT, source=RegionSource(4096)) as pipeline:
        assert_type(pipeline, ValidationPipeline)
        with pipeline.allocate(64) as block:
            assert_type(block, Handle)
            block[:5] = list(b"hello")
            first = block[0]
            assert_type(first, np.uint8)
            assert_type(block.address, int)
            outcome = pipeline.validate(block.address + 60)
        assert_type(outcome, ValidationOutcome)
        assert_type(outcome.outcome, Outcome)
        assert_type(outcome.state, SafetyState)
        assert_type(outcome.remaining, int | None)
        assert_type(outcome.can_write, bool)
        assert_type(block.free(), FreeResult)
        address = pipeline.allocate_address(64, align=4096)
        assert_type(address, int | None)
        for target in (b"bytes", memoryview(b"view"), np.zeros(3), ctypes.c_int(1), first):
            assert_type(pipeline.validate(target), ValidationOutcome)
        place, found = pipeline.locate(outcome.address)
        assert_type(place, Place)
        assert_type(found, Block | None)
        assert_type(pipeline.free(outcome.address), FreeResult)
        assert_type(pipeline.metrics(), dict[str, int])
    return outcome.remaining or 0


def library_calls(destination: bytearray) -> int | None:
    try:
        copied = libc.memcpy(destination, b"four", 4)
    except UnsafePointerError as error:
        print(error)
        return None
    assert_type(copied, Call[int])
    assert_type(copied.healing, HealingPlan)
    assert_type(copied.healing.kind, Healing)
    assert_type(libc.malloc(8).value, int | None)
    assert_type(libc.free(None).value, FreeResult | None)
    return copied.value


def foreign_function(compress: Any, sizes: Mapping[int, argument]) -> None:
    safe = guard(
        compress,
        reads={2: argument(3), 4: terminated, 5: 16, 6: lambda *arguments: len(arguments)},
        writes={0: pointee(1)},
        pipeline=default_pipeline(),
    )
    safe(bytearray(8), 8, b"data", 4)
    guard(compress, reads=sizes)


class Pool(MemorySource):
    """A source of one's own."""

    def allocate(self, total: int, align: int) -> int | None:
        return None

    def release(self, raw: int, total: int, align: int) -> None:
        """Nothing was handed out."""
