"""Guarded calls as machine code: one builtin from Python's objects to the C function and back.

A guard of a ctypes function whose declaration says how many bytes it touches is compiled to a
`METH_FASTCALL` builtin. With arguments of exactly the kinds it knows (addresses, `bytes`, buffers
of contiguous memory, plain integers) it takes the buffers, looks up and pins the blocks, asks the
kernel once, calls the C function at its address with the interpreter lock released, compares the
guard words of the blocks written to, and boxes the result. Whatever is not exact, and every call
that has to be refused, repaired or explained, goes with its arguments untouched to the guard's
Python code: there is one place that raises the errors.
"""
