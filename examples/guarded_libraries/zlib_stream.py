"""zlib: a stream in a structure of the caller, with pointers to its buffers in it."""

import ctypes

from membrane import ValidationPipeline, guard_library
from membrane.declarations import shipped_declarations

pipeline = ValidationPipeline(mode=0)
zlib = guard_library(ctypes.CDLL("libz.so.1"), shipped_declarations("zlib"), pipeline)
stream = zlib.structures["z_stream"]()
text, packed = pipeline.allocate(4000), pipeline.allocate(100)
text[:] = ord("a")
assert zlib.deflateInit_(stream, 9, b"1.2", ctypes.sizeof(stream)) == 0
stream.next_in, stream.avail_in = text.address, 4000
stream.next_out, stream.avail_out = packed.address, 100
assert zlib.deflate(stream, 4) == 1
print(f"{stream.total_in} bytes, {stream.total_out} compressed")
assert zlib.deflateEnd(stream) == 0
