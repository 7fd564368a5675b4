"""What a strict membrane raises instead of touching memory."""


class MembraneError(Exception):
    """Base of everything the membrane raises about memory."""


class UnsafePointerError(MembraneError):
    """A pointer, or a size, with which a call would touch memory that it must not touch."""


class NullPointerError(UnsafePointerError):
    """A null pointer where bytes are to be read or written."""


class WildPointerError(UnsafePointerError):
    """An address at which the process has no memory."""


class UseAfterFreeError(UnsafePointerError):
    """An address in a block that has been freed, or released, or a handle of one."""


class OutOfBoundsError(UnsafePointerError):
    """An access that leaves the block it starts in, or an address beside a block's bytes."""


class OverlapError(UnsafePointerError):
    """Source and destination of a copy overlap where they must not."""


class UnterminatedStringError(UnsafePointerError):
    """A string whose terminator is not within the memory that may be read."""


class SizeOverflowError(UnsafePointerError):
    """A size that no object can have: negative, or a product beyond 64 bits."""


class CorruptionError(UnsafePointerError):
    """A header or canary around a block has been overwritten."""


class WrongKindError(UnsafePointerError):
    """A pointer to something else than the function takes: a `FILE` where it takes a statement."""


class DoubleFreeError(UnsafePointerError):
    """A free of a block that is free already."""


class InvalidFreeError(UnsafePointerError):
    """A free of an address inside a block that is not its base."""


class ForeignFreeError(UnsafePointerError):
    """A free of memory that the membrane did not allocate."""


class DeniedError(MembraneError):
    """The kernel refused a call."""
