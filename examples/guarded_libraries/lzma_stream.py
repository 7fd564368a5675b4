"""liblzma: a stream as zlib's, with declarations in a file."""

import ctypes
from pathlib import Path

from membrane import ValidationPipeline, guard_library

pipeline = ValidationPipeline(mode=0)
declarations = Path(__file__).with_name("lzma.toml")
lzma = guard_library(ctypes.CDLL("liblzma.so.5"), declarations, pipeline)
stream = lzma.structures["lzma_stream"]()
text, packed = b"a" * 4000, pipeline.allocate(200)
assert lzma.lzma_easy_encoder(stream, 6, 4) == 0
stream.next_in, stream.avail_in = ctypes.cast(text, ctypes.c_void_p), 4000
stream.next_out, stream.avail_out = packed.address, 200
assert lzma.lzma_code(stream, 3) == 1
lzma.lzma_end(stream)
print(f"{stream.total_in} bytes, {stream.total_out} compressed")
