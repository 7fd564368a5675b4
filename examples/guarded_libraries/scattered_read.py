"""readv: an array of structures with pointers in them."""

import ctypes
import os

from membrane import ValidationPipeline, guard_library
from membrane.declarations import shipped_declarations

pipeline = ValidationPipeline(mode=0)
libc = guard_library(ctypes.CDLL(None), shipped_declarations("libc"), pipeline)
blocks = [pipeline.allocate(size) for size in (4, 8)]
vector = (libc.structures["iovec"] * 2)(*((block.address, len(block)) for block in blocks))
reading, writing = os.pipe()
os.write(writing, b"headpayload!")
assert libc.readv(reading, vector, 2) == 12
print(*(bytes(block).decode() for block in blocks))
