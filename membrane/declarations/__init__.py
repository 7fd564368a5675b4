"""What a C function does with its arguments: one language for headers, Python and TOML files.

The words are those of the field: directions and optional pointers of SAL and GObject-Introspection,
`count` and `bytecount` of Checked C, lifetimes of both.

>>> from ctypes import c_int, c_ulong
>>> from membrane.declarations import Function, In, InOut, Out, bytecount
>>> Function(
...     dest=Out(bytecount("*destLen"), written="*destLen"),
...     destLen=InOut(c_ulong),
...     source=In(bytecount("sourceLen")),
...     sourceLen=c_ulong,
...     returns=c_int,
... )
Function(
    dest=Out(bytecount("*destLen"), written="*destLen"),
    destLen=InOut(c_ulong),
    source=In(bytecount("sourceLen")),
    sourceLen=c_ulong,
    returns=c_int,
)
"""

from membrane.declarations.function import Function
from membrane.declarations.reader import DeclarationError, read_declarations, shipped_declarations
from membrane.declarations.sizes import bytecount, count, terminated, terminated_within
from membrane.declarations.words import (
    In,
    InOut,
    Out,
    borrowed,
    callback,
    into,
    pointer_to,
    printf,
    resource,
    scanf,
    structure,
)

__all__ = [
    "DeclarationError",
    "Function",
    "In",
    "InOut",
    "Out",
    "borrowed",
    "bytecount",
    "callback",
    "count",
    "into",
    "pointer_to",
    "printf",
    "read_declarations",
    "resource",
    "scanf",
    "shipped_declarations",
    "structure",
    "terminated",
    "terminated_within",
]
