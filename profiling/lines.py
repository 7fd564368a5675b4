"""Which source line, and which chain of inlined functions, an instruction comes from (DWARF)."""

import bisect
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from elftools.elf.elffile import ELFFile

_CODE_TAGS = {"DW_TAG_subprogram", "DW_TAG_inlined_subroutine"}


class _Scope(NamedTuple):
    """A function's or an inlined call's instructions; offsets are relative to the section."""

    ranges: tuple[tuple[int, int], ...]
    depth: int
    function: str
    file: str
    call_line: int


def _text(attribute: Any) -> str:
    return attribute.value.decode("utf-8", "replace")


def _unit_file(unit: Any) -> str:
    top = unit.get_top_DIE()
    folder = top.attributes.get("DW_AT_comp_dir")
    return os.path.join(_text(folder) if folder else "", _text(top.attributes["DW_AT_name"]))


class LineTable:
    """Lines and inlining of one object.

    Parameters
    ----------
    elf : elftools.elf.elffile.ELFFile
        A relocatable object with debug sections.
    """

    def __init__(self, elf: ELFFile) -> None:
        self._dwarf = elf.get_dwarf_info(relocate_dwarf_sections=True)
        self._ranges = self._dwarf.range_lists()
        self._scopes: list[_Scope] = []
        rows: list[tuple[int, int, int]] = []
        for unit in self._dwarf.iter_CUs():
            self._collect_scopes(unit.get_top_DIE(), 0)
            rows.extend(self._rows(unit))
        rows.sort()
        self._starts = [row[0] for row in rows]
        self._rows_by_start = rows

    def _rows(self, unit: Any) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, line); line 0, code without a source line, continues the last one."""
        program = self._dwarf.line_program_for_CU(unit)
        previous, line = None, 0
        for entry in program.get_entries() if program else ():
            state = entry.state
            if state is None:
                continue
            if previous is not None and state.address > previous:
                yield previous, state.address, line
            line = state.line or line
            previous = state.address
            if state.end_sequence:
                previous, line = None, 0

    def _pc_ranges(self, die: Any) -> tuple[tuple[int, int], ...]:
        low, ranges = die.attributes.get("DW_AT_low_pc"), die.attributes.get("DW_AT_ranges")
        if low is not None and "DW_AT_high_pc" in die.attributes:
            high = die.attributes["DW_AT_high_pc"]
            end = high.value if high.form == "DW_FORM_addr" else low.value + high.value
            return ((low.value, end),)
        if ranges is None or self._ranges is None:
            return ()
        base = die.cu.get_top_DIE().attributes.get("DW_AT_low_pc")
        offset = base.value if base is not None else 0
        found = []
        entry: Any
        for entry in self._ranges.get_range_list_at_offset(ranges.value, die.cu):
            if hasattr(entry, "base_address"):
                offset = entry.base_address
            else:
                start = 0 if entry.is_absolute else offset
                found.append((start + entry.begin_offset, start + entry.end_offset))
        return tuple(found)

    def _collect_scopes(self, die: Any, depth: int) -> None:
        for child in die.iter_children():
            if child.tag in _CODE_TAGS and (ranges := self._pc_ranges(child)):
                origin = child
                if "DW_AT_abstract_origin" in child.attributes:
                    origin = child.get_DIE_from_attribute("DW_AT_abstract_origin")
                call_line = child.attributes.get("DW_AT_call_line")
                self._scopes.append(
                    _Scope(
                        ranges,
                        depth,
                        _text(origin.attributes["DW_AT_name"]),
                        _unit_file(origin.cu),
                        call_line.value if call_line else 0,
                    )
                )
            self._collect_scopes(child, depth + 1)

    def _line_at(self, offset: int) -> int:
        index = bisect.bisect_right(self._starts, offset) - 1
        if index < 0:
            return 0
        _, end, line = self._rows_by_start[index]
        return line if offset < end else 0

    def lookup(self, offset: int) -> list[tuple[str, str, int]]:
        """Return [(function, file, line)] of an offset, the outermost function first.

        The line of each but the last is that of the call which was inlined.
        """
        line = self._line_at(offset)
        scopes = sorted(
            (scope for scope in self._scopes if any(a <= offset < b for a, b in scope.ranges)),
            key=lambda scope: scope.depth,
        )
        if not scopes:  # a function that nothing was inlined into has no scope of its own
            return [("", "", line)] if line else []
        call_lines = [scope.call_line for scope in scopes[1:]] + [line]
        return [
            (scope.function, scope.file, at) for scope, at in zip(scopes, call_lines, strict=True)
        ]
