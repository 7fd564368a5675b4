"""Random correct calls of the guarded C library beside the same calls of the plain one.

``python -m tests.membrane.differential CALLS MODE SEED``: no difference and no refusal.
"""

import ctypes
import sys

import numpy as np

from membrane import ValidationPipeline
from membrane.calls.library import GuardedLibrary
from runtime_math import SafetyLevel

LARGEST = 1 << 16
C = ctypes.CDLL(None)
_POINTER, _SIZE, _INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
for _name, _result, *_parameters in (
    ("memcpy", _POINTER, _POINTER, _POINTER, _SIZE),
    ("memmove", _POINTER, _POINTER, _POINTER, _SIZE),
    ("memset", _POINTER, _POINTER, _INT, _SIZE),
    ("memcmp", _INT, _POINTER, _POINTER, _SIZE),
    ("memchr", _POINTER, _POINTER, _INT, _SIZE),
    ("strlen", _SIZE, _POINTER),
    ("strnlen", _SIZE, _POINTER, _SIZE),
    ("strcpy", _POINTER, _POINTER, _POINTER),
    ("strncpy", _POINTER, _POINTER, _POINTER, _SIZE),
    ("strcat", _POINTER, _POINTER, _POINTER),
    ("strcmp", _INT, _POINTER, _POINTER),
    ("strchr", _POINTER, _POINTER, _INT),
):
    getattr(C, _name).restype, getattr(C, _name).argtypes = _result, _parameters


class Memory:
    """The same bytes twice: where the plain library works, and where the guarded one does."""

    def __init__(self, pipeline, random, kind, size):
        content = random.integers(0, 256, size, np.uint8)
        self.plain = content.copy()
        self.free = lambda: None
        if kind == "handle":
            self.guarded = pipeline.allocate(size)
            self.guarded[:] = content
            self.free = self.guarded.free
        elif kind == "address":
            address = pipeline.allocate_address(size)
            ctypes.memmove(address, content.ctypes.data, size)
            self.guarded, self.free = address, lambda: pipeline.free(address)
        elif kind == "ctypes":
            self.guarded = (ctypes.c_uint8 * size).from_buffer_copy(content)
        elif kind == "bytearray":
            self.guarded = bytearray(content)
        else:
            self.guarded = content.copy()

    def put(self, offset, data):
        """Write both copies."""
        self.plain[offset : offset + len(data)] = data
        target = self.bytes_of_guarded()
        target[offset : offset + len(data)] = data

    def bytes_of_guarded(self):
        """The guarded copy as an array."""
        if isinstance(self.guarded, int):
            raw = (ctypes.c_uint8 * len(self.plain)).from_address(self.guarded)
            return np.frombuffer(raw, np.uint8)
        return np.frombuffer(self.guarded, np.uint8)

    def address(self):
        """Of the guarded copy."""
        return self.bytes_of_guarded().ctypes.data if len(self.plain) else 0


KINDS = ("handle", "address", "ctypes", "bytearray", "array")


def sign(number):
    """-1, 0 or 1."""
    return (number > 0) - (number < 0)


def offset(found, memory):
    """Place of an address within the plain memory."""
    return None if found is None else found - memory.plain.ctypes.data


def guarded_offset(found, memory):
    """Place of an address within the guarded memory."""
    return None if found is None else found - memory.address()


class Comparison:
    """Makes calls of both libraries.

    Parameters
    ----------
    mode : SafetyLevel
    seed : int
    """

    def __init__(self, mode, seed):
        self.random = np.random.default_rng(seed)
        self.pipeline = ValidationPipeline(mode)
        self.libc = GuardedLibrary(self.pipeline)
        self.functions = [
            name.removeprefix("try_") for name in dir(self) if name.startswith("try_")
        ]

    def size(self):
        """Zero to 64 KiB, small ones more often."""
        if self.random.random() < 0.05:
            return 0
        return int(2 ** self.random.uniform(0, np.log2(LARGEST)))

    def memory(self, size):
        """Memory of any kind."""
        return Memory(self.pipeline, self.random, self.random.choice(KINDS), size)

    def string(self, size, length):
        """Memory that holds a string."""
        memory = self.memory(max(size, length + 1))
        text = self.random.integers(1, 256, length, np.uint8)
        memory.put(0, np.append(text, np.uint8(0)))
        return memory

    def step(self):
        """Make one call and compare everything."""
        name = self.random.choice(self.functions)
        used, expected, call = getattr(self, f"try_{name}")()
        assert call.healing.kind.name == "NONE", (name, call)
        found = call.value
        if name in ("memchr", "strchr"):
            found = guarded_offset(found, used[0])
        assert found == expected, (name, found, expected, [len(each.plain) for each in used])
        for memory in used:
            if len(memory.plain):
                assert (memory.bytes_of_guarded() == memory.plain).all(), name
        for memory in used:
            memory.free()

    def _two(self):
        size = self.size()
        left, right = self.memory(size + self.size() // 8), self.memory(size)
        return size, left, right

    def try_memcpy(self):
        size, left, right = self._two()
        C.memcpy(left.plain.ctypes.data, right.plain.ctypes.data, size)
        return (left, right), size, self.libc.memcpy(left.guarded, right.guarded, size)

    def try_memmove(self):
        size, left, right = self._two()
        C.memmove(left.plain.ctypes.data, right.plain.ctypes.data, size)
        return (left, right), size, self.libc.memmove(left.guarded, right.guarded, size)

    def try_memset(self):
        size, left, right = self._two()
        byte = int(self.random.integers(0, 256))
        C.memset(left.plain.ctypes.data, byte, size)
        return (left, right), size, self.libc.memset(left.guarded, byte, size)

    def try_memcmp(self):
        size, left, right = self._two()
        if size and self.random.random() < 0.8:
            left.put(0, right.plain[: int(self.random.integers(0, size + 1))])
        expected = sign(C.memcmp(left.plain.ctypes.data, right.plain.ctypes.data, size))
        return (left, right), expected, self.libc.memcmp(left.guarded, right.guarded, size)

    def try_memchr(self):
        size, left, right = self._two()
        byte = int(self.random.integers(0, 256))
        found = C.memchr(left.plain.ctypes.data, byte, size)
        return (left, right), offset(found, left), self.libc.memchr(left.guarded, byte, size)

    def try_strlen(self):
        length = self.size()
        text = self.string(0, length)
        return (text,), C.strlen(text.plain.ctypes.data), self.libc.strlen(text.guarded)

    def try_strnlen(self):
        length, limit = self.size(), self.size()
        text = self.string(limit, length)
        expected = C.strnlen(text.plain.ctypes.data, limit)
        return (text,), expected, self.libc.strnlen(text.guarded, limit)

    def try_strcpy(self):
        length = self.size()
        target, text = self.memory(length + 1), self.string(0, length)
        C.strcpy(target.plain.ctypes.data, text.plain.ctypes.data)
        return (target, text), length, self.libc.strcpy(target.guarded, text.guarded)

    def try_strncpy(self):
        length, limit = self.size(), self.size()
        target, text = self.memory(max(limit, 1)), self.string(0, length)
        C.strncpy(target.plain.ctypes.data, text.plain.ctypes.data, limit)
        call = self.libc.strncpy(target.guarded, text.guarded, limit)
        return (target, text), min(length, limit), call

    def try_strcat(self):
        first, second = self.size() // 2, self.size() // 2
        target, text = self.string(first + second + 1, first), self.string(0, second)
        C.strcat(target.plain.ctypes.data, text.plain.ctypes.data)
        return (target, text), first + second, self.libc.strcat(target.guarded, text.guarded)

    def try_strcmp(self):
        left, right = (self.string(0, self.size()) for _ in range(2))
        if self.random.random() < 0.8:
            shared = int(self.random.integers(0, min(len(left.plain), len(right.plain))))
            text = right.plain[:shared]
            left.put(0, text)
        expected = sign(C.strcmp(left.plain.ctypes.data, right.plain.ctypes.data))
        return (left, right), expected, self.libc.strcmp(left.guarded, right.guarded)

    def try_strchr(self):
        text, byte = self.string(0, self.size()), int(self.random.integers(0, 256))
        found = C.strchr(text.plain.ctypes.data, byte)
        return (text,), offset(found, text), self.libc.strchr(text.guarded, byte)


def compare(calls, mode, seed=0, kind=Comparison):
    """Make that many calls; the number of blocks left is zero."""
    comparison = kind(mode, seed)
    for _ in range(calls):
        comparison.step()
    assert comparison.pipeline.statistics()["live_blocks"] == 0
    comparison.pipeline.close()


if __name__ == "__main__":
    compare(int(sys.argv[1]), SafetyLevel[sys.argv[2].upper()], int(sys.argv[3]))
