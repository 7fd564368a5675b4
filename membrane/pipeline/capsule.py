"""Memory of the C heap that belongs to an object of Python's, and goes with it.

The object is a capsule: its destructor is machine code, which nothing interrupts. A ``__del__``, or
a callback of `weakref`, may be cut off by a `KeyboardInterrupt` before its first line.
"""

from __future__ import annotations

import ctypes

from runtime_math.numerics.entry_point import EntryPoint

_new = ctypes.pythonapi.PyCapsule_New
_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_new.restype = ctypes.py_object


def new_capsule(address: int, destructor: EntryPoint) -> object:
    """Make the owner of memory.

    Parameters
    ----------
    address : int
        Of the memory; 0 where there was none.
    destructor : EntryPoint
        Compiled function that takes the capsule.

    Raises
    ------
    MemoryError
        The address is 0.
    """
    if not address:
        raise MemoryError("no memory for the bookkeeping of a block")
    capsule: object = _new(address, None, destructor.c_address)
    return capsule
