"""Builtin functions of Python around jitted code, made without a C compiler.

Between Python and the first instruction of a jitted function stand a method, checks, and the
unboxing of every argument. A `Builtin` does all of it in machine code, over Python's public C
interface: what it is called with is compared with exactly the types it knows, unboxed, given to the
jitted core, and the result is boxed. Whatever is not exact (keywords, other types, values out of
range, a core that is busy) goes to one Python function with the arguments untouched, which does the
same work slowly and raises the errors. Only the core has effects, so nothing happens twice.

A builtin is one compiled function of the C type ``METH_FASTCALL | METH_KEYWORDS``, cached on disk
like every other entry point. It calls the core at an address, so that it takes no time to compile
and serves every core of the same arguments. `Builtin.bind` makes a callable that belongs to one
object.

Where there is no object and no slow path, only a function of numbers, records and arrays (an
`EntryPoint`, a monitor's operation), a direct call is the builtin of a signature.
"""
