"""Direct calls: plain values into a C function of one signature, its result back to Python."""

import sys
from typing import NamedTuple

import numpy as np
import pytest
from numba import from_dtype, types

from runtime_math import ApiFamily
from runtime_math.monitors.eprocess import EProcess
from runtime_math.numerics import entry_point
from runtime_math.numerics.builtins.emission import available
from runtime_math.numerics.entry_point import EntryPoint

pytestmark = pytest.mark.skipif(not available(), reason="another interpreter's objects")

COUNTER = np.dtype([("total", np.int64)], align=True)


class Pair(NamedTuple):
    word: int
    half: float


@EntryPoint(types.uint64, types.int64, types.float64, types.boolean)
def combine(word, number, real, flag):
    """Documented."""
    return Pair(word, real / 2 + number), flag, number


@EntryPoint(from_dtype(COUNTER), types.Array(types.float64, 1, "C"))
def add_all(counter, values):
    for value in values:
        counter.total += np.int64(value)
    return counter.total


@EntryPoint(from_dtype(COUNTER))
def forget(counter):
    counter.total = 0


@pytest.mark.parametrize("word", [0, 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("number", [-(2**63), -1, 0, 2**63 - 1])
def test_exact_values_arrive(word, number):
    assert combine.address_call(word, number, 0.5, True) == (
        Pair(word, 0.25 + number),
        True,
        number,
    )


def test_what_converts_is_converted():
    assert combine.address_call(np.uint64(2**64 - 1), ApiFamily.STRING_MEMORY, 3, 0) == (
        Pair(2**64 - 1, 1.5 + ApiFamily.STRING_MEMORY),
        False,
        ApiFamily.STRING_MEMORY,
    )
    # What an error is told by, as a value of its own.
    assert combine.address_call(2**64 - 1, -1, -1.0, True) == (Pair(2**64 - 1, -1.5), True, -1)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), TypeError),
        ((1, 2, 3.0), TypeError),
        ((1, 2, 3.0, True, 5), TypeError),
        ((1.0, 2, 3.0, True), TypeError),
        (("1", 2, 3.0, True), TypeError),
        ((-1, 2, 3.0, True), OverflowError),
        ((2**64, 2, 3.0, True), OverflowError),
        ((1, 2**63, 3.0, True), OverflowError),
        ((1, 2, "3", True), TypeError),
        ((1, 2, None, True), TypeError),
        ((1, 2, 3.0, np.zeros(2)), ValueError),
    ],
)
def test_what_the_signature_does_not_admit_raises(arguments, error):
    with pytest.raises(error):
        combine.address_call(*arguments)
    assert combine.address_call(1, 2, 3.0, True)[2] == 2


def test_keywords_are_refused():
    with pytest.raises(TypeError, match="takes exactly 4 positional arguments"):
        combine.address_call(1, 2, 3.0, flag=True)


def test_it_reads_like_the_function():
    call = combine.address_call
    assert (call.__name__, call.__doc__) == ("combine", "Documented.")
    assert call.__text_signature__ == "($self, word, number, real, flag, /)"


def test_records_and_arrays():
    storage, values = np.zeros(1, COUNTER), np.array([1.0, 2.0, 4.0])
    address = storage.ctypes.data
    assert add_all.address_call(address, values) == 7
    assert add_all.address_call(address, values) == 14 == storage["total"][0]
    for wrong in ([1.0], None, values[0]):
        with pytest.raises((TypeError, ValueError)):
            add_all.address_call(address, wrong)
    assert forget.address_call(address) is None
    assert storage["total"][0] == 0


def test_reference_counts_stay():
    storage, values, word = np.zeros(1, COUNTER), np.ones(3), 2**50 + 1
    address = storage.ctypes.data
    watched = [values, word, address, None, True, combine.address_call]

    def exercise(times):
        for _ in range(times):
            add_all.address_call(address, values)
            combine.address_call(word, 5, 0.5, True)
            forget.address_call(address)
            with pytest.raises(OverflowError):
                combine.address_call(word, word << 40, 0.5, True)

    exercise(10)
    before = [sys.getrefcount(each) for each in watched]
    exercise(3000)
    after = [sys.getrefcount(each) for each in watched]
    assert np.abs(np.subtract(after, before)).max() < 100


def test_an_unknown_interpreter_gets_numbas_wrapper(monkeypatch):
    monkeypatch.setattr(entry_point, "available", lambda: False)

    @EntryPoint(types.int64, types.boolean)
    def plain(number, flag):
        return number + flag

    assert plain.address_call(41, True) == 42
    assert plain.address_call is plain.result.entry_point


def test_a_monitor_without_builtins_does_the_same(monkeypatch):
    from runtime_math.monitors import base

    native = EProcess()
    monkeypatch.setattr(base, "_AVAILABLE", False)
    plain = EProcess()
    for adverse in (True, False, True, True):
        for monitor in (native, plain):
            monitor.observe(ApiFamily.ALLOCATOR, adverse)
    assert native.record.tobytes() == plain.record.tobytes()
    assert native.summary(ApiFamily.ALLOCATOR) == plain.summary(ApiFamily.ALLOCATOR)
