"""Random correct calls of the declared C library beside the same calls of the plain one.

``python -m tests.membrane.declared_differential CALLS MODE SEED``: no difference, no refusal.
"""

import ctypes
import functools
import sys

from membrane import guard_library
from membrane.declarations import shipped_declarations
from membrane.declarations.words import into
from runtime_math import SafetyLevel
from tests.membrane import differential
from tests.membrane.differential import Comparison, sign

DECLARATIONS = shipped_declarations("libc")
# What each argument is: memory of n bytes, a text, room for all texts and n bytes, n, a byte.
CALLS = {
    "memcpy": "room memory n",
    "mempcpy": "room memory n",
    "memmove": "room memory n",
    "memccpy": "room memory byte n",
    "memset": "room byte n",
    "explicit_bzero": "room n",
    "memcmp": "memory memory n",
    "memchr": "memory byte n",
    "memrchr": "memory byte n",
    "strlen": "text",
    "strnlen": "text n",
    "strcpy": "room text",
    "stpcpy": "room text",
    "strncpy": "room text n",
    "stpncpy": "room text n",
    "strcat": "text_with_room text",
    "strncat": "text_with_room text n",
    "strcmp": "text text",
    "strncmp": "text text n",
    "strcasecmp": "text text",
    "strncasecmp": "text text n",
    "strcoll": "text text",
    "strxfrm": "room text n",
    "strchr": "text byte",
    "strrchr": "text byte",
    "strchrnul": "text byte",
    "strspn": "text short_text",
    "strcspn": "text short_text",
    "strpbrk": "text short_text",
    "strstr": "text short_text",
    "strcasestr": "text short_text",
    "strdup": "text",
    "strndup": "text n",
    "atoi": "text",
    "strtol": "text null base",
}
ORDERS = {"memcmp", "strcmp", "strncmp", "strcasecmp", "strncasecmp", "strcoll"}
RETURN_COPIES = {"strdup", "strndup"}


class DeclaredComparison(Comparison):
    """Makes calls of both libraries.

    Parameters
    ----------
    mode : SafetyLevel
    seed : int
    """

    def __init__(self, mode, seed):
        super().__init__(mode, seed)
        self.guarded = guard_library(ctypes.CDLL(None), DECLARATIONS, self.pipeline)
        self.plain = ctypes.CDLL(None)
        for name in CALLS:
            function, declaration = self.plain[name], DECLARATIONS[name]
            function.argtypes = declaration.argument_types
            function.restype = declaration.result_type
            setattr(self.plain, name, function)

    def arguments(self, kinds):
        """One argument of every kind."""
        count, texts = self.size() // 4, [self.size() // 4 for _ in kinds]
        room = count + sum(texts) + 1
        for kind, length in zip(kinds, texts, strict=True):
            if kind in ("n", "null", "base", "byte"):
                bytes_and_bases = {"n": count, "null": None, "base": 10}
                yield bytes_and_bases.get(kind, int(self.random.integers(0, 256)))
            elif kind == "room":
                yield self.memory(room)
            elif kind == "memory":
                yield self.memory(count + int(self.random.integers(0, 3)))
            else:
                characters = min(length, 3) if kind == "short_text" else length
                yield self.string(room if kind == "text_with_room" else 0, characters)

    def step(self):
        """Make one call and compare everything."""
        name = self.random.choice(list(CALLS))
        arguments = list(self.arguments(CALLS[name].split()))
        used = [each for each in arguments if hasattr(each, "plain")]
        plain = [each.plain.ctypes.data if each in used else each for each in arguments]
        guarded = [each.guarded if each in used else each for each in arguments]
        expected = getattr(self.plain, name)(*plain)
        call = getattr(self.guarded, name).call(*guarded)
        assert call.healing.kind.name == "NONE", (name, call)
        self.compare(name, arguments[0], expected, call.value)
        for memory in used:
            if len(memory.plain):
                assert (memory.bytes_of_guarded() == memory.plain).all(), name
            memory.free()

    def compare(self, name, first, expected, found):
        """Whether two results say the same."""
        if name in ORDERS:
            assert sign(found) == sign(expected), name
        elif name in RETURN_COPIES:
            assert ctypes.string_at(found) == ctypes.string_at(expected)
            assert found.memory.length == len(ctypes.string_at(found)) + 1
            self.guarded.free(found)
            ctypes.CDLL(None).free(ctypes.c_void_p(expected))
        elif isinstance(DECLARATIONS[name].returns, into) or name in (
            "memcpy",
            "memmove",
            "memset",
        ):
            if expected is None or found is None:
                assert found == expected, name
            elif len(first.plain):
                assert found - first.address() == expected - first.plain.ctypes.data, name
        else:
            assert found == expected, name


compare = functools.partial(differential.compare, kind=DeclaredComparison)


if __name__ == "__main__":
    compare(int(sys.argv[1]), SafetyLevel[sys.argv[2].upper()], int(sys.argv[3]))
