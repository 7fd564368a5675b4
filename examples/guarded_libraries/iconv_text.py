"""iconv: pointers to pointers that move on, and lengths that count down."""

import ctypes

from membrane import guard_library
from membrane.declarations import shipped_declarations

libc = guard_library(ctypes.CDLL(None), shipped_declarations("libc"))
text, wide = ctypes.create_string_buffer("Größe".encode()), ctypes.create_string_buffer(64)
source, source_left = ctypes.pointer(text), ctypes.c_size_t(len(text.value))
target, target_left = ctypes.pointer(wide), ctypes.c_size_t(64)
converter = libc.iconv_open(b"UTF-16LE", b"UTF-8")
assert libc.iconv(converter, source, source_left, target, target_left) == 0
libc.iconv_close(converter)
print(wide.raw[: 64 - target_left.value].decode("utf-16-le"), source_left.value, "bytes left")
