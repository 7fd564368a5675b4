"""Memory-safety mistakes as programs make them through ctypes, and which are noticed.

``python -m membrane.catalogue`` makes every mistake under both rule sets in both modes and prints
the table of the documentation. All of it happens in memory of one large array, so even a mistake
that passes unnoticed hurts nobody.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from membrane.blocks import fingerprint
from membrane.blocks.arena import FreeResult
from membrane.blocks.memory_source import RegionSource
from membrane.calls.guarded_call import Call
from membrane.calls.library import GuardedLibrary
from membrane.errors import MembraneError
from membrane.pipeline.outcome import ValidationOutcome
from membrane.pipeline.validation_pipeline import RULES, Rules, ValidationPipeline
from membrane.stages.heal import Healing
from membrane.stages.outcomes import Outcome
from runtime_math.types import SafetyLevel

SIZE = 64
SMALL_QUARANTINE = 0
UNUSABLE = (
    Outcome.TEMPORAL_VIOLATION,
    Outcome.RELEASED,
    Outcome.OUT_OF_BOUNDS,
    Outcome.CORRUPTED,
    Outcome.WILD,
)


class Verdict(Enum):
    """What became of a mistake."""

    CAUGHT = "caught"
    REPAIRED = "repaired"
    PASSES = "passes"


class Setting(NamedTuple):
    """A rule set and a mode."""

    rules: Rules
    mode: SafetyLevel


SETTINGS = [
    Setting(rules, mode) for rules in RULES for mode in (SafetyLevel.STRICT, SafetyLevel.HARDENED)
]


def flip(address: int, length: int = 1) -> None:
    """Write bytes that differ from what is there, as C code does that asks nobody.

    A fixed byte would equal the guard byte in its place one time in 256, and so harm nothing.
    """
    before = ctypes.string_at(address, length)
    ctypes.memmove(address, bytes(byte ^ 0xFF for byte in before), length)


class World:
    """A pipeline over an array, its guarded library, and a few blocks."""

    def __init__(self, setting: Setting, quarantine_bytes: int) -> None:
        self.source = RegionSource(1 << 20, margin=1 << 16)
        self.pipeline = ValidationPipeline(
            setting.mode, setting.rules, self.source, quarantine_max_bytes=quarantine_bytes
        )
        self.libc = GuardedLibrary(self.pipeline)
        self.block = self.allocated(SIZE)
        self.other = self.allocated(8192)
        ctypes.memset(self.block, ord("a"), SIZE)
        ctypes.memset(self.other, ord("b"), 8192)

    def allocated(self, size: int, align: int = 16) -> int:
        """Address of a new block."""
        address = self.pipeline.allocate_address(size, align)
        if address is None:
            raise MemoryError(f"no memory for {size} bytes")
        return address

    def freed(self) -> int:
        """Address of a block that was freed."""
        self.pipeline.free(self.block)
        return self.block

    def reissued(self) -> int:
        """Address of a freed block whose memory has a new owner of the same size."""
        stale = self.freed()
        self.allocated(SIZE)
        return stale

    def poke(self, address: int, data: bytes) -> None:
        """Write as C code does that asks nobody."""
        ctypes.memmove(address, data, len(data))

    def foreign(self) -> int:
        """Address in memory that the membrane did not allocate."""
        self.array = np.zeros(4096, np.uint8)
        return self.array.ctypes.data + 1024


Found: TypeAlias = FreeResult | ValidationOutcome | Call[Any]
MISTAKES: list[Mistake] = []


@dataclass(frozen=True)
class Mistake:
    """One row: a mistake as a function of a `World`."""

    cwe: int
    title: str
    make: Callable[[World], Found]
    quarantine_bytes: int

    @property
    def name(self) -> str:
        """Identifier of the row."""
        return f"CWE-{self.cwe}-{self.make.__name__.replace('_', '-')}"

    def verdict(self, setting: Setting) -> Verdict:
        """Make the mistake in a fresh world; return what became of it."""
        world = World(setting, self.quarantine_bytes)
        try:
            return judge(self.make(world))
        except MembraneError:
            return Verdict.CAUGHT
        finally:
            world.pipeline.close()


def judge(result: Found) -> Verdict:
    """Verdict on what a mistake returned: a call, a validation or a free result."""
    if isinstance(result, FreeResult):
        return Verdict.PASSES if result == FreeResult.FREED else Verdict.CAUGHT
    if isinstance(result, ValidationOutcome):
        return Verdict.CAUGHT if result.outcome in UNUSABLE else Verdict.PASSES
    if result.healing.kind != Healing.NONE:
        return Verdict.REPAIRED
    overwritten = FreeResult.FREED_WITH_CANARY_CORRUPTION
    if isinstance(result.value, FreeResult) and result.value == overwritten:
        return Verdict.CAUGHT
    return Verdict.PASSES


def mistake(
    cwe: int, title: str, quarantine_bytes: int = 1 << 20
) -> Callable[[Callable[[World], Found]], Callable[[World], Found]]:
    """Enter a function in the catalogue."""

    def enter(function: Callable[[World], Found]) -> Callable[[World], Found]:
        MISTAKES.append(Mistake(cwe, title, function, quarantine_bytes))
        return function

    return enter


# --- writing and reading outside -----------------------------------------------------------------


@mistake(121, "copy 32 bytes into a local ctypes buffer of 16")
def local_buffer_overflow(world: World) -> Found:
    memory = bytearray(4096)
    local = (ctypes.c_char * 16).from_buffer(memory)
    return world.libc.memcpy(local, world.other, 32)


@mistake(122, "copy one byte too many into a block")
def heap_overflow_by_1(world: World) -> Found:
    return world.libc.memcpy(world.block, world.other, SIZE + 1)


@mistake(122, "copy 8 bytes too many into a block")
def heap_overflow_by_8(world: World) -> Found:
    return world.libc.memcpy(world.block, world.other, SIZE + 8)


@mistake(122, "copy 4096 bytes too many into a block")
def heap_overflow_by_4096(world: World) -> Found:
    return world.libc.memcpy(world.block, world.other, SIZE + 4096)


@mistake(787, "C code writes a byte past a block; found by free")
def stray_write_found_by_free(world: World) -> Found:
    flip(world.block + SIZE)
    return world.pipeline.free(world.block)


@mistake(787, "C code writes a byte past a block; found by validate")
def stray_write_found_by_validate(world: World) -> Found:
    flip(world.block + SIZE)
    return world.pipeline.validate(world.block)


@mistake(787, "C code writes past a block aligned to 4096; found by free")
def stray_write_past_aligned_block(world: World) -> Found:
    block = world.allocated(100, 4096)
    plain = ctypes.string_at(block - 4096 + 16 + 100, 8)
    canary = ctypes.string_at(block + 100, 8)
    world.poke(block - 4096 + 16 + 100, canary if world.pipeline.rules == "reference" else plain)
    flip(block + 100)
    return world.pipeline.free(block)


@mistake(330, "C code restores a canary that it worked out itself")
def forged_canary(world: World) -> Found:
    forged = fingerprint.canary(fingerprint.compute(world.block, SIZE, 1))
    flip(world.block + SIZE, 8)
    world.poke(world.block + SIZE, forged)
    return world.pipeline.free(world.block)


@mistake(124, "copy to 8 bytes before a block")
def underflow(world: World) -> Found:
    return world.libc.memcpy(world.block - 8, world.other, 8)


@mistake(124, "C code writes a byte before a block; found by free")
def stray_write_before_block(world: World) -> Found:
    flip(world.block - 1)
    return world.pipeline.free(world.block)


@mistake(125, "copy from an interior pointer, past the end of a large block")
def over_read_in_another_page(world: World) -> Found:
    target = world.allocated(16384)
    return world.libc.memcpy(target, world.other + 4097, 8192)


@mistake(126, "copy more than a block holds out of it")
def over_read(world: World) -> Found:
    return world.libc.memcpy(world.other, world.block, SIZE + 16)


@mistake(127, "compare from 4 bytes before a block")
def under_read(world: World) -> Found:
    return world.libc.memcmp(world.block - 4, world.other, 8)


@mistake(788, "fill from one past the end of a block")
def one_past_end(world: World) -> Found:
    return world.libc.memset(world.block + SIZE, 0, 1)


@mistake(805, "fill with the size of another block")
def wrong_size(world: World) -> Found:
    return world.libc.memset(world.block, 0, 8192)


@mistake(823, "fill at an offset that lands in the header of a block")
def offset_out_of_range(world: World) -> Found:
    return world.libc.memset(world.other - 4, 0, 4)


# --- strings -------------------------------------------------------------------------------------


@mistake(120, "copy a string without regard for the size of the destination")
def string_too_long(world: World) -> Found:
    return world.libc.strcpy(world.block, b"x" * 200 + b"\0")


@mistake(193, "copy a string of 64 characters into 64 bytes")
def string_off_by_one(world: World) -> Found:
    return world.libc.strcpy(world.block, b"x" * SIZE + b"\0")


@mistake(120, "append to a string that fills its block")
def append_too_much(world: World) -> Found:
    world.libc.strcpy(world.block, b"x" * 60 + b"\0")
    return world.libc.strcat(world.block, b"123456\0")


@mistake(170, "take the length of a string without terminator")
def unterminated_length(world: World) -> Found:
    return world.libc.strlen(world.block)


@mistake(170, "use what strncpy left without a terminator")
def unterminated_after_strncpy(world: World) -> Found:
    world.libc.strncpy(world.block, b"y" * 100 + b"\0", SIZE)
    return world.libc.strcmp(world.block, b"y\0")


# --- sizes ---------------------------------------------------------------------------------------


@mistake(190, "calloc with a product beyond 64 bits")
def product_overflow(world: World) -> Found:
    return world.libc.calloc(2**33, 2**31 + 1)


@mistake(131, "malloc of a negative size")
def negative_allocation(world: World) -> Found:
    return world.libc.malloc(-1)


@mistake(195, "copy a negative number of bytes")
def negative_length(world: World) -> Found:
    return world.libc.memcpy(world.block, world.other, -1)


# --- lifetime ------------------------------------------------------------------------------------


@mistake(416, "read a freed block")
def read_after_free(world: World) -> Found:
    return world.libc.memcpy(world.other, world.freed(), 8)


@mistake(416, "write a freed block")
def write_after_free(world: World) -> Found:
    return world.libc.memset(world.freed(), 0, 8)


@mistake(416, "write inside a freed block")
def write_inside_after_free(world: World) -> Found:
    return world.libc.memset(world.freed() + 24, 0, 8)


@mistake(416, "write a block whose memory was given back", SMALL_QUARANTINE)
def write_after_release(world: World) -> Found:
    return world.libc.memset(world.freed(), 0, 8)


@mistake(416, "write a block whose memory has a new owner", SMALL_QUARANTINE)
def write_after_reissue(world: World) -> Found:
    return world.libc.memset(world.reissued(), 0, 8)


@mistake(416, "realloc of a freed block")
def realloc_after_free(world: World) -> Found:
    return world.libc.realloc(world.freed(), 128)


@mistake(825, "trust a validation made before the free")
def stale_validation(world: World) -> Found:
    world.pipeline.validate(world.block)
    return world.pipeline.validate(world.freed())


@mistake(825, "trust a validation made before another thread's free")
def stale_validation_in_another_thread(world: World) -> Found:
    world.pipeline.validate(world.block)
    thread = threading.Thread(target=world.pipeline.free, args=(world.block,))
    thread.start()
    thread.join()
    return world.pipeline.validate(world.block)


@mistake(825, "use a handle that another thread has freed")
def stale_handle_in_another_thread(world: World) -> Found:
    handle = world.pipeline.allocate(SIZE)
    thread = threading.Thread(target=handle.free)
    thread.start()
    thread.join()
    return world.libc.memset(handle, 0, 1)


@mistake(415, "free twice")
def double_free(world: World) -> Found:
    return world.libc.free(world.freed())


@mistake(415, "free again after the memory was given back", SMALL_QUARANTINE)
def double_free_after_release(world: World) -> Found:
    return world.libc.free(world.freed())


@mistake(415, "free again after the memory has a new owner", SMALL_QUARANTINE)
def double_free_after_reissue(world: World) -> Found:
    return world.libc.free(world.reissued())


# --- pointers that are none ----------------------------------------------------------------------


@mistake(476, "copy from null")
def null_pointer(world: World) -> Found:
    return world.libc.memcpy(world.block, None, 8)


@mistake(587, "fill at a fixed address")
def fixed_address(world: World) -> Found:
    return world.libc.memset(0x1000, 0, 8)


@mistake(822, "fill at an address where there is no memory")
def wild_pointer(world: World) -> Found:
    return world.libc.memset(0xDEAD_BEEF_0000, 0, 8)


@mistake(475, "memcpy between overlapping regions")
def overlapping_copy(world: World) -> Found:
    return world.libc.memcpy(world.block + 4, world.block, 16)


@mistake(590, "free of memory that is not on the heap")
def free_of_array(world: World) -> Found:
    return world.libc.free(world.foreign())


@mistake(761, "free of a pointer into a block")
def free_inside_block(world: World) -> Found:
    return world.libc.free(world.block + 16)


@mistake(761, "realloc of a pointer into a block")
def realloc_inside_block(world: World) -> Found:
    return world.libc.realloc(world.block + 16, 128)


def rows() -> list[tuple[Mistake, list[Verdict]]]:
    """Return (mistake, verdicts in the order of `SETTINGS`) of the whole catalogue."""
    return [(row, [row.verdict(setting) for setting in SETTINGS]) for row in MISTAKES]


def table() -> str:
    """Return the table of the documentation, in Markdown."""
    heads = [f"{s.rules}, {s.mode.name.lower()}" for s in SETTINGS]
    lines = [
        "| CWE | mistake | " + " | ".join(heads) + " |",
        "|---|---|" + "---|" * len(heads),
    ]
    for row, verdicts in sorted(rows(), key=lambda entry: entry[0].cwe):
        cells = [verdict.value for verdict in verdicts]
        lines.append(f"| {row.cwe} | {row.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
