"""getaddrinfo: a list that the library makes, and a function of its own to free it."""

import ctypes

from membrane import guard_library
from membrane.declarations import shipped_declarations

libc = guard_library(ctypes.CDLL(None), shipped_declarations("libc"))
found, host = ctypes.c_void_p(), ctypes.create_string_buffer(64)
hints = (ctypes.c_int * 12)(4)  # AI_NUMERICHOST
assert libc.getaddrinfo(b"127.0.0.1", b"80", hints, found) == 0
length = ctypes.c_uint.from_address(found.value + 16).value
address = ctypes.c_void_p.from_address(found.value + 24).value
assert libc.getnameinfo(address, length, host, 64, None, 0, 3) == 0
print(host.value.decode())
libc.freeaddrinfo(found)
