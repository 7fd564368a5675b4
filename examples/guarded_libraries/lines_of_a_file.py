"""getline: memory that the library allocates, moves and leaves to the caller to free."""

import ctypes
import tempfile

from membrane import guard_library, unreleased
from membrane.declarations import shipped_declarations

libc = guard_library(ctypes.CDLL(None), shipped_declarations("libc"))
line, capacity = ctypes.c_void_p(), ctypes.c_size_t()
with tempfile.NamedTemporaryFile() as file:
    file.write(b"one\n" + 500 * b"two " + b"\n")
    file.flush()
    stream = libc.fopen(file.name.encode(), b"r")
    while (length := libc.getline(line, capacity, stream)) >= 0:
        print(length, "of", capacity.value, "bytes", len(unreleased("malloc")), "allocated")
    libc.free(line)
    libc.fclose(stream)
