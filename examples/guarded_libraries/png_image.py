"""libpng: declarations in a file; the size of an image stands in a structure."""

import ctypes
from pathlib import Path

from membrane import ValidationPipeline, guard_library

declarations = Path(__file__).with_name("png.toml")
png = guard_library(ctypes.CDLL("libpng16.so.16"), declarations, ValidationPipeline(mode=0))
image = png.structures["png_image"](version=1, width=16, height=16, format=3)
packed, length, pixels = bytearray(4096), ctypes.c_size_t(4096), bytearray(range(256)) * 4
assert png.png_image_write_to_memory(image, packed, length, 0, pixels, 0, None) == 1
read, again = png.structures["png_image"](version=1), bytearray(1024)
assert png.png_image_begin_read_from_memory(read, packed, length.value) == 1
read.format = 3
assert png.png_image_finish_read(read, None, again, 0, None) == 1
print(f"{read.width} x {read.height} pixels in {length.value} bytes, equal: {again == pixels}")
