"""What Python programs pass as a pointer: where it points, and what its owner knows.

One notion for `validate`, `free`, the guarded library and every guard. A pointer object (of ctypes
or cffi) stands for its target, never for the variable that holds it; every object that keeps its
memory alive tells how many bytes there are and whether they may be written.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from membrane.errors import UnsafePointerError, WildPointerError
from membrane.pipeline.bounded_pointer import BoundedPointer
from membrane.pipeline.cffi_pointer import cffi_pointer, is_cffi_data
from membrane.pipeline.ctypes_kinds import BY_REFERENCE, DATA, FUNCTION, POINTERS, SIMPLE_DATA
from membrane.pipeline.handle import Handle
from membrane.pipeline.known_memory import KnownMemory

if TYPE_CHECKING:
    from typing_extensions import Buffer

Address: TypeAlias = "int | np.integer[Any]"
Pointer: TypeAlias = (
    "Address | Buffer | np.ndarray[Any, Any] | str | ctypes._CDataType | Any | None"
)
"""What stands for a pointer; see `pointer_argument`."""

_NUMPY_CTYPES: Any = type(np.zeros(0).ctypes)
_LARGEST = 2**64 - 1
_MOST_PARAMETER_LINKS = 8  # of `_as_parameter_`: more are a circle


@dataclass(frozen=True, slots=True)
class PointerArgument:
    """A pointer with what its owner knows.

    Attributes
    ----------
    address : int
        Of the target, 0 to 2^64 - 1.
    memory : KnownMemory or None
        From the address on; None: the pointer is but an address.
    handle : Handle or None
        Where the pointer is the handle of a block.
    fault : UnsafePointerError or None
        Why this must not be used as a pointer at all.
    keeps : object
        What must live as long as the pointer is used.
    export : memoryview or None
        Our hold on a buffer, which keeps it from being resized.
    """

    address: int
    memory: KnownMemory | None = None
    handle: Handle | None = None
    fault: UnsafePointerError | None = None
    keeps: object = field(default=None, repr=False)
    export: memoryview | None = field(default=None, repr=False)

    @property
    def is_null(self) -> bool:
        """Whether it points nowhere."""
        return self.address == 0 and self.fault is None

    def release(self) -> None:
        """Give up the hold on a buffer."""
        if self.export is not None:
            self.export.release()


def pointer_argument(value: Any, name: str = "pointer") -> PointerArgument:
    """Find out where a pointer points.

    Parameters
    ----------
    value : object
        None (null), an address, a handle; `bytes`, `str` (as wide characters); any object with a
        contiguous buffer: arrays of any order and type, `array.array`, `mmap`; arrays, structures
        and unions of ctypes; pointers of ctypes (also made by `byref` and `cast`) and of cffi;
        ``array.ctypes`` and what has ``_as_parameter_``; what a guarded function returned.
    name : str
        For messages.

    Returns
    -------
    PointerArgument

    Raises
    ------
    TypeError
        The object is none of these.
    ValueError
        Its buffer is not contiguous.

    Examples
    --------
    >>> import ctypes
    >>> buffer = ctypes.create_string_buffer(64)
    >>> pointer_argument(ctypes.byref(buffer, 48)).memory.length
    16
    """
    for _ in range(_MOST_PARAMETER_LINKS):
        if isinstance(value, _NUMPY_CTYPES):
            value = value._arr
        elif not isinstance(value, (DATA, np.ndarray)) and hasattr(value, "_as_parameter_"):
            value = value._as_parameter_
        else:
            break
    if value is None:
        return PointerArgument(0)
    if isinstance(value, BoundedPointer):
        return PointerArgument(int(value), value.memory, fault=value.fault, keeps=value)
    if isinstance(value, (int, np.integer)):
        return _of_number(int(value), name)
    if isinstance(value, Handle) and value.lease is not None:
        lease = value.lease
        return PointerArgument(lease.address, KnownMemory(lease.size), value, keeps=value)
    if isinstance(value, str):
        text = ctypes.create_unicode_buffer(value)
        memory = KnownMemory(ctypes.sizeof(text), writable=False, wide=True)
        return PointerArgument(ctypes.addressof(text), memory, keeps=text)
    if isinstance(value, (DATA, BY_REFERENCE)):
        return _of_ctypes(value, name)
    if is_cffi_data(value):
        return PointerArgument(*cffi_pointer(value, name), keeps=value)
    return _of_buffer(value, name)


def _of_number(address: int, name: str) -> PointerArgument:
    if 0 <= address <= _LARGEST:
        return PointerArgument(address)
    fault = WildPointerError(f"{name} is {address}, not an address from 0 to 2^64 - 1")
    return PointerArgument(address % 2**64, fault=fault)


# --- buffers ------------------------------------------------------------------------------------


def _of_buffer(value: Any, name: str) -> PointerArgument:
    if isinstance(value, np.ndarray):
        flags = value.flags
        if not (flags.c_contiguous or flags.f_contiguous):
            raise ValueError(f"{name} must be contiguous, got an array with gaps")
        memory = KnownMemory(value.nbytes, flags.writeable, _owns(value))
        return PointerArgument(value.ctypes.data, memory, keeps=value)
    try:
        view = memoryview(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be an address, None, a pointer of ctypes or cffi, or an object with a"
            f" buffer, got {type(value).__name__}"
        ) from None
    if not view.contiguous:
        view.release()
        raise ValueError(f"{name} must be contiguous, got a buffer with gaps")
    memory = KnownMemory(
        view.nbytes,
        not view.readonly,
        _owns(view),
        terminated=isinstance(value, bytes),
        is_mapping=isinstance(value, mmap.mmap),
    )
    address = np.asarray(view).ctypes.data if view.nbytes == 0 else _address_of(view)
    return PointerArgument(address, memory, keeps=value, export=view)


def _address_of(view: memoryview) -> int:
    return int(np.frombuffer(view, np.uint8).ctypes.data)


_base_of = vars(np.ndarray)["base"].__get__


def _owns(value: Any) -> bool:
    """Whether an object proves that its memory is alive; a mere view of an address does not."""
    while True:
        if isinstance(value, np.ndarray):
            if value.flags.owndata:
                return True
            value = _base_of(value)  # a stale handle would refuse to tell
        elif isinstance(value, memoryview):
            value = value.obj
        elif isinstance(value, DATA):
            base = value._b_base_
            if base is None or isinstance(base, ctypes._Pointer):  # the contents of a pointer
                return bool(base is None and value._b_needsfree_) or _keeps_itself(value)
            value = base
        else:
            return value is not None


def _keeps_itself(value: Any) -> bool:
    """Whether a ctypes object over another's memory keeps that other object alive."""
    address = ctypes.addressof(value)
    return any(
        memory.is_owned and start <= address < start + memory.length
        for start, memory in _ranges(_referents(value), {id(value)})
    )


# --- ctypes -------------------------------------------------------------------------------------


def _of_ctypes(value: Any, name: str) -> PointerArgument:
    if isinstance(value, BY_REFERENCE):
        try:
            return _bounded(_target(value), value, [value._obj])
        except ctypes.ArgumentError:  # made by `from_param` of text, which it refers to
            return pointer_argument(value._obj, name)
    if isinstance(value, POINTERS):
        return _bounded(_target(value), value, _referents(value))
    if isinstance(value, FUNCTION):
        return PointerArgument(_target(value), keeps=value)
    if isinstance(value, SIMPLE_DATA):
        raise TypeError(
            f"{name} is a {type(value).__name__}, which is no pointer: pass byref(...) of it"
        )
    return PointerArgument(ctypes.addressof(value), _data_memory(value), keeps=value)


def pointer_inside(container: PointerArgument, address: int) -> PointerArgument:
    """Find out what is known of an address that was found in the memory behind a pointer.

    Parameters
    ----------
    container : PointerArgument
        The pointer; objects of ctypes keep alive what was put into them.
    address : int
    """
    keeps = container.keeps
    if isinstance(keeps, BY_REFERENCE):
        return _bounded(address, keeps, [keeps._obj])
    return _bounded(address, keeps, _referents(keeps) if isinstance(keeps, POINTERS) else [keeps])


def _target(pointer: Any) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


def _data_memory(value: Any) -> KnownMemory:
    return KnownMemory(ctypes.sizeof(value), _is_writable(value), _owns(value))


def _is_writable(value: Any) -> bool:
    with memoryview(value) as view:
        return not view.readonly


def _bounded(address: int, pointer: object, referents: list[Any]) -> PointerArgument:
    """Pointer with the bounds of the smallest referent that its target lies in."""
    if address == 0:
        return PointerArgument(0)
    around = [
        (address == start + memory.length, memory.length, start, memory)
        for start, memory in _ranges(referents, set())
        if start <= address <= start + memory.length
    ]
    if around:  # an object that merely ends at the target is the last choice
        _, length, start, memory = min(around, key=lambda range: range[:2])
        rest = memory._replace(length=start + length - address)
        return PointerArgument(address, rest, keeps=pointer)
    if isinstance(pointer, ctypes.c_wchar_p) and pointer._objects is not None:
        width = ctypes.sizeof(ctypes.c_wchar)
        text = KnownMemory(width * (len(pointer.value or "") + 1), writable=False, wide=True)
        return PointerArgument(address, text, keeps=pointer)
    return PointerArgument(address, keeps=pointer)


def _referents(value: Any) -> list[Any]:
    """What a ctypes object keeps alive."""
    kept = value._objects
    found = list(kept.values()) if isinstance(kept, dict) else [kept]
    return [*found, value._b_base_]


def _ranges(referents: list[Any], seen: set[int]) -> Iterator[tuple[int, KnownMemory]]:
    """Memory of objects and of what these keep alive: starts with what is known."""
    for value in referents:
        if value is None or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, (dict, tuple, list)):
            inner = list(value.values()) if isinstance(value, dict) else list(value)
            yield from _ranges(inner, seen)
        elif isinstance(value, DATA):
            yield ctypes.addressof(value), _data_memory(value)
            yield from _ranges(_referents(value), seen)
        elif not isinstance(value, (int, str)):
            with_buffer = _of_kept(value)
            if with_buffer is not None:
                yield with_buffer


def _of_kept(value: Any) -> tuple[int, KnownMemory] | None:
    try:
        found = _of_buffer(value, "")
    except (TypeError, ValueError):
        return None
    found.release()
    return found.address, cast("KnownMemory", found.memory)
