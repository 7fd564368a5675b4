"""regexec: a compiled expression in a structure of the caller, and an array of results."""

import ctypes

from membrane import guard_library
from membrane.declarations import shipped_declarations

libc = guard_library(ctypes.CDLL(None), shipped_declarations("libc"))
expression = libc.structures["regex_t"]()
matches = (libc.structures["regmatch_t"] * 2)()
assert libc.regcomp(expression, rb"([0-9]+) bytes", 1) == 0
text = b"it has 4096 bytes"
assert libc.regexec(expression, text, 2, matches, 0) == 0
print(text[matches[1].rm_so : matches[1].rm_eo].decode())
libc.regfree(expression)
