"""Lets a sampler outside the process unwind the stack through jitted code.

LLVM emits unwinding tables for jitted code, but only this process knows where they are; an
unwinder in another process looks for them in the file that a piece of memory was mapped from, and
jitted code has no file. So each loaded object gets one: a minimal ELF image with the very bytes
of its code and its unwinding table, mapped over the code. The code itself stays what it was.

LLVM omits functions that cannot raise unless told otherwise (``uwtable``, see
`emit_for_all_functions`), and code from a compile cache was compiled without being told. Such a
function gets an entry that ends the stack there: the callers inside jitted code are missing then,
but not the Python frames, which py-spy adds itself. Without any entry an unwinder guesses, and
py-spy drops the samples whose guessed stacks contradict the Python frames.
"""

import ctypes
import mmap
import os
import struct
import sys

_PAGE = mmap.PAGESIZE
_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_X86_64 = 62
_LOAD, _EH_FRAME_TABLE = 1, 0x6474E550
_READ, _READ_EXECUTE = 4, 5
_PC32, _PC64 = 2, 24
_FUNCTION = 2
# Encodings in the search table: relative to the field, plain count, relative to the table.
_TABLE_START = struct.pack("<BBBB", 1, 0x1B, 0x03, 0x3B)
_TABLE_HEAD_SIZE = 12
_REACH = 2**31 - 2**20


def supported():
    """Whether this machine's objects are of the kind that is understood here."""
    return sys.platform == "linux" and os.uname().machine == "x86_64"


def _round_up(size):
    return -(-size // _PAGE) * _PAGE


class _Sections:
    """What is needed of an object: its sections by name, its symbols' places."""

    def __init__(self, elf):
        self._elf = elf
        offset = struct.unpack_from("<Q", elf, 0x28)[0]
        entry, count, names = struct.unpack_from("<HHH", elf, 0x3A)
        self.headers = [
            _SECTION_HEADER.unpack_from(elf, offset + index * entry) for index in range(count)
        ]
        strings = self.headers[names][4]
        self.index = {}
        for number, header in enumerate(self.headers):
            start = strings + header[0]
            self.index[elf[start : elf.index(b"\0", start)]] = number

    def data(self, name):
        """Return a section's bytes, None without such a section."""
        if name not in self.index:
            return None
        header = self.headers[self.index[name]]
        return self._elf[header[4] : header[4] + header[5]]

    def functions(self, section):
        """Yield (offset, size) of the functions in a section."""
        table = self.headers[self.index[b".symtab"]]
        for place in range(table[4], table[4] + table[5], _SYMBOL.size):
            _, info, _, index, value, size = _SYMBOL.unpack_from(self._elf, place)
            if info & 15 == _FUNCTION and index == section and size:
                yield value, size

    def symbol_place(self, number):
        """Return (section, offset) of a symbol."""
        table = self.headers[self.index[b".symtab"]]
        entry = _SYMBOL.unpack_from(self._elf, table[4] + number * _SYMBOL.size)
        return entry[3], entry[4]


def relocated_frames(sections, bases, address):
    """Return an object's unwinding table as it has to be at an address, and its functions.

    Returns
    -------
    (bytes, dict of function address to entry address), or None if it is of an unknown kind
    """
    frames = bytearray(sections.data(b".eh_frame") or b"")
    functions = {}
    for offset, info, addend in _RELOCATION.iter_unpack(sections.data(b".rela.eh_frame") or b""):
        section, value = sections.symbol_place(info >> 32)
        if section not in bases or info & 0xFFFFFFFF not in (_PC32, _PC64):
            return None
        target = bases[section] + value + addend
        form = "<q" if info & 0xFFFFFFFF == _PC64 else "<i"
        struct.pack_into(form, frames, offset, target - (address + offset))
        # The function's address is the third field of its entry: length, header, address.
        functions[target] = address + offset - 8
    return bytes(frames), functions


def stopping_frames(missing, address):
    """Return entries, to be placed at an address, that end the stack in the given functions.

    Parameters
    ----------
    missing : list of (address, size)
    address : int

    Returns
    -------
    (bytes, dict of function address to entry address)
    """
    # The frame address is the stack pointer + 8; the return address (register 16) is undefined.
    program = bytes([0x0C, 7, 8, 0x07, 16]).ljust(7, b"\0")
    header = struct.pack("<IB3sBBBBB", 0, 1, b"zR\0", 1, 0x78, 16, 1, 0x1C) + program
    header = header.ljust(-(-(len(header) + 4) // 8) * 8 - 4, b"\0")
    parts = [struct.pack("<I", len(header)) + header]
    size, functions = len(parts[0]), {}
    for start, length in missing:
        place = address + size
        body = struct.pack("<IqqB", size + 4, start - (place + 8), length, 0).ljust(28, b"\0")
        parts.append(struct.pack("<I", len(body)) + body)
        functions[start] = place
        size += len(parts[-1])
    return b"".join(parts), functions


def search_table(functions, address, frames_address):
    """Return the sorted table through which an unwinder finds a function's entry."""
    parts = [
        _TABLE_START,
        struct.pack("<iI", frames_address - (address + 4), len(functions)),
    ]
    parts += [struct.pack("<ii", start - address, entry - address) for start, entry in functions]
    return b"".join(parts)


def elf_image(table, table_address, code, code_address):
    """Return (file contents, offset of the code in it)."""
    table_offset = _PAGE
    code_offset = table_offset + _round_up(len(table))
    header = _ELF_HEADER.pack(
        b"\x7fELF\x02\x01\x01" + bytes(9), 3, _X86_64, 1, 0, _ELF_HEADER.size,
        _ELF_HEADER.size + 2 * _PROGRAM_HEADER.size, 0, _ELF_HEADER.size, _PROGRAM_HEADER.size, 2,
        _SECTION_HEADER.size, 2, 1,
    )  # fmt: skip
    programs = _PROGRAM_HEADER.pack(
        _LOAD, _READ_EXECUTE, code_offset, code_address, code_address, len(code), len(code), _PAGE
    ) + _PROGRAM_HEADER.pack(
        _EH_FRAME_TABLE, _READ, table_offset, table_address, table_address, len(table), len(table),
        4,
    )  # fmt: skip
    names = b"\0.shstrtab\0"
    sections_at = len(header) + len(programs)
    names_at = sections_at + 2 * _SECTION_HEADER.size
    sections = bytes(_SECTION_HEADER.size) + _SECTION_HEADER.pack(
        1, 3, 0, 0, names_at, len(names), 0, 0, 1, 0
    )
    head = header + programs + sections + names
    return head.ljust(table_offset, b"\0") + table.ljust(
        code_offset - table_offset, b"\0"
    ) + code, (code_offset)


class Unwinding:
    """Maps a file with unwinding tables over each piece of jitted code.

    Parameters
    ----------
    folder : str
        Where the files go.
    """

    def __init__(self, folder):
        self._folder = folder
        self._kept = []
        self._map = ctypes.CDLL(None, use_errno=True).mmap
        self._map.restype = ctypes.c_void_p
        self._map.argtypes = (
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
            ctypes.c_long,
        )  # fmt: skip

    def describe(self, name, elf, bases):
        """Make the code of an object, loaded at `bases`, unwindable; does nothing if it cannot."""
        sections = _Sections(elf)
        if len(bases) != 1:
            return
        ((section, base),) = bases.items()
        own = {base + offset: size for offset, size in sections.functions(section)}
        first_page = base // _PAGE * _PAGE
        length = _round_up(base + sections.headers[section][5] - first_page)
        frames_offset = -(-(_TABLE_HEAD_SIZE + 8 * len(own)) // 16) * 16
        room_size = frames_offset + len(sections.data(b".eh_frame") or b"") + 32 * len(own) + 64
        room = mmap.mmap(-1, _round_up(room_size))
        address = ctypes.addressof(ctypes.c_char.from_buffer(room))
        found = relocated_frames(sections, bases, address + frames_offset)
        if not own or found is None or abs(address - base) > _REACH:
            return
        frames, functions = found
        missing = [(start, size) for start, size in own.items() if start not in functions]
        stopping, stopped = stopping_frames(missing, address + frames_offset + len(frames))
        table = search_table(
            sorted({**functions, **stopped}.items()), address, address + frames_offset
        )
        table = table.ljust(frames_offset, b"\0") + frames + stopping + bytes(4)
        room[: len(table)] = table
        self._kept.append(room)
        code = ctypes.string_at(first_page, length)
        contents, code_offset = elf_image(table, address, code, first_page)
        self._replace(os.path.join(self._folder, name), contents, code_offset, first_page, length)

    def _replace(self, path, contents, offset, address, length):
        with open(path, "w+b") as stream:
            stream.write(contents)
            stream.flush()
            self._map(
                address, length, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE | 0x10,
                stream.fileno(), offset,
            )  # fmt: skip


def emit_for_all_functions(codegen):
    """Have LLVM emit unwinding tables for functions that cannot raise too.

    The instructions of the functions stay the same.
    """
    add_ir_module = codegen.CPUCodeLibrary.add_ir_module

    def with_tables(self, module):
        for function in module.functions:
            if function.blocks:
                function.attributes.add("uwtable")
        add_ir_module(self, module)

    codegen.CPUCodeLibrary.add_ir_module = with_tables
