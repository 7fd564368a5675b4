"""zlib's C functions, called through ctypes, behind guards.

Run it with ``python examples/guarded_zlib.py``. Good calls pass unchanged; a destination that is
too small, a freed buffer and a wrong length are stopped before zlib sees them.
"""

import ctypes
import ctypes.util

from membrane import UnsafePointerError, ValidationPipeline, argument, guard, pointee

zlib = ctypes.CDLL(ctypes.util.find_library("z") or "libz.so.1")
zlib.crc32.restype = ctypes.c_ulong
pipeline = ValidationPipeline(mode=0)

# compress2(dest, *destLen, source, sourceLen, level): sizes are another argument, or behind one.
lengths = {"writes": {0: pointee(1)}, "reads": {2: argument(3)}, "pipeline": pipeline}
compress2 = guard(zlib.compress2, **lengths)
uncompress = guard(zlib.uncompress, **lengths)
crc32 = guard(zlib.crc32, reads={1: argument(2)}, pipeline=pipeline)


def refused(call, *arguments):
    """Return what a call that must not happen is refused with."""
    try:
        call(*arguments)
    except UnsafePointerError as error:
        return f"{type(error).__name__}: {error}"
    raise SystemExit("an unsafe call went through")


def main():
    """Compress, uncompress and check some text; then make three mistakes."""
    text = b"All that is gold does not glitter. " * 100
    size = ctypes.c_ulong(4096)
    with pipeline.allocate(4096) as packed, pipeline.allocate(len(text)) as unpacked:
        assert compress2(packed, ctypes.byref(size), text, ctypes.c_ulong(len(text)), 9) == 0
        length = ctypes.c_ulong(len(text))
        assert uncompress(unpacked, ctypes.byref(length), packed, size) == 0
        assert bytes(unpacked) == text
        print(f"{len(text)} bytes, {size.value} compressed, crc {crc32(0, text, len(text)):08x}")
        with pipeline.allocate(16) as small:
            print(refused(compress2, small, ctypes.byref(ctypes.c_ulong(4096)), text, 3500, 9))
        print(refused(crc32, 0, small, 16))
        print(refused(crc32, 0, packed, 4097))


if __name__ == "__main__":
    main()
