"""What the owner of some memory knows about it."""

from typing import NamedTuple


class KnownMemory(NamedTuple):
    """What the owner of some memory knows about it.

    Attributes
    ----------
    length : int
        Bytes.
    writable : bool
    is_owned : bool
        Whether the owner proves that the memory is alive: a view of an address proves nothing.
    terminated : bool
        Whether a zero byte follows the last one, as after all `bytes`.
    wide : bool
        Whether it holds wide characters.
    is_mapping : bool
        Whether it is a mapped file or pages, whose permissions only the system knows.
    """

    length: int
    writable: bool = True
    is_owned: bool = True
    terminated: bool = False
    wide: bool = False
    is_mapping: bool = False
