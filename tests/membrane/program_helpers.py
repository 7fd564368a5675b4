"""What the programs of this folder share; each is run as a process by `test_guard_faults`."""

import contextlib
import ctypes

import pytest

from membrane import (
    UnsafePointerError,
    argument,
    guard,
)
from runtime_math import SafetyLevel

C = ctypes.CDLL(None)
VOID, SIZE, INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
STRICT, HARDENED, OFF = SafetyLevel
RELEASES_AT_ONCE = {"quarantine_max_bytes": 0, "quarantine_max_entries": 0}


def declared(name, result, *parameters):
    """A function of the C library with its types, apart from what others set on it."""
    function = ctypes.CDLL(None)[name]
    function.restype, function.argtypes = result, parameters
    return function


def memset(pipeline, **options):
    return guard(declared("memset", VOID, VOID, INT, SIZE), writes={0: argument(2, **options)},
                 pipeline=pipeline)  # fmt: skip


@contextlib.contextmanager
def refused(*kinds, mentions="."):
    """The body must be refused, in words that a person can read."""
    with pytest.raises(kinds or UnsafePointerError, match=mentions) as caught:
        yield
    assert "<cdata" not in str(caught.value)


def pins(pipeline):
    return int(pipeline.states["call_pins"][0])


def run_program(programs, name, mode="strict"):
    """Run one program of a module in a mode."""
    programs[name](SafetyLevel[mode.upper()])
