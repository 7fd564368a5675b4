"""Builtin functions as Python knows them: a definition in memory, and objects bound to words."""

import ctypes
import struct

_METH_FASTCALL_KEYWORDS = 0x80 | 0x02
_make_callable = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
)(("PyCFunction_NewEx", ctypes.pythonapi))


class _Definition(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("text", ctypes.c_char_p),
    ]


class MethodDefinition:
    """What the interpreter wants to know about a builtin function.

    Parameters
    ----------
    name : str
    parameters : sequence of str
        For `inspect.signature`.
    text : str
        Documentation.
    address : int
        Of the C function: (self, arguments, count, names of keywords).
    """

    def __init__(self, name, parameters, text, address):
        text = f"{name}({', '.join(parameters)})\n--\n\n{text}"
        self._definition = _Definition(
            name.encode(), address, _METH_FASTCALL_KEYWORDS, text.encode()
        )

    @property
    def address(self):
        """Where it is in memory, for as long as this object lives."""
        return ctypes.addressof(self._definition)

    def bind(self, words, *kept):
        """Make a callable whose machine code finds `words`.

        Parameters
        ----------
        words : numpy.ndarray
        *kept : object
            Kept alive by the callable.

        Returns
        -------
        builtin_function_or_method
        """
        head = struct.pack("Q", words.ctypes.data)
        return _make_callable(self.address, (head, words, self, *kept), None)
