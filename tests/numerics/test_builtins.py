"""Builtins: machine code for exact arguments, one Python function for everything else."""

import ctypes
import enum
import gc
import inspect
import subprocess
import sys
import threading
import weakref
from typing import NamedTuple

import numpy as np
import pytest
from numba import types

from runtime_math.numerics.builtins.arguments import Fields, Flag, Member, Word
from runtime_math.numerics.builtins.builtin import Builtin, divert
from runtime_math.numerics.builtins.emission import available
from runtime_math.numerics.builtins.results import ReadyObjects
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.numerics.record_at import record_at

pytestmark = pytest.mark.skipif(not available(), reason="another interpreter's objects")

STATE = np.dtype([("busy", np.int64), ("total", np.int64)], align=True)
state_at = record_at(STATE)


class Colour(enum.IntEnum):
    RED = 0
    GREEN = 1
    BLUE = 2


class Place(NamedTuple):
    row: int
    inside: bool
    address: int


KINDS = (types.uint64, types.int64, types.int64, types.boolean, types.uint64, types.uint64)


@EntryPoint(*KINDS, types.boolean)
def core(address, colour, row, inside, place, word, flag):
    state = state_at(address)
    if state.busy:
        return -1
    state.total += 1
    return (
        colour + 10 * row + 1000 * inside + 2000 * flag + ((place ^ word) & np.uint64(1)) * 4000 + 1
    )


@EntryPoint(types.uint64, types.boolean)
def truth_core(address, flag):
    return -1 if state_at(address).busy else flag + 0


class Counter:
    """What a builtin may belong to."""

    def __init__(self):
        self.states = np.zeros(1, STATE)
        self.slow = []

    def measure(self, colour, place, word, flag):
        """Documented by the method."""

    def ask(self, flag):
        """Whether."""


DECLARED = (Member(Colour), Fields(Place, (5, None, 2**64)), Word(), Flag())
MEASURE = {name: Builtin(Counter.measure, DECLARED, name) for name in ("ready", "nothing")}
ASK = Builtin(Counter.ask, (Flag(),), "truth")


def bound(owner, returns="ready", ready=None):
    def slow(owner, states, *arguments, **keywords):
        seen = (arguments, keywords)
        if owner is not None:
            owner.slow.append(seen)
        if "raise" in keywords:
            raise LookupError("from the slow path")
        return seen

    builtin = ASK if returns == "truth" else MEASURE[returns]
    point = truth_core if returns == "truth" else core
    address = owner.states.ctypes.data
    return builtin.bind(owner, point.c_address, address, owner.states, slow, ready)


PLACE = Place(3, True, 2**64 - 1)
EXACT = (Colour.BLUE, PLACE, 0, False)


def expected(colour, place, word, flag):
    odd = (place.address ^ word) & 1
    return colour + 10 * place.row + 1000 * place.inside + 2000 * flag + odd * 4000 + 1


@pytest.mark.parametrize(
    "arguments",
    [
        EXACT,
        (2, PLACE, 2**64 - 1, True),
        (Colour.RED, Place(0, False, 0), 1, True),
        (1, Place(4, False, 2**63), 2**63, False),
    ],
)
def test_exact_arguments_reach_the_core(arguments):
    counter = Counter()
    call = bound(counter, "ready", ReadyObjects(lambda number: ("made", number)))
    for _ in range(3):
        assert call(*arguments) == ("made", expected(*arguments))
    assert bound(counter, "nothing")(*arguments) is None
    assert counter.slow == []
    assert counter.states["total"][0] == 4


class Sub(int):
    pass


class SubPlace(Place):
    pass


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        EXACT[:3],
        (*EXACT, 1),
        (3, *EXACT[1:]),  # no such member
        (-1, *EXACT[1:]),
        (2**70, *EXACT[1:]),
        (True, *EXACT[1:]),
        (np.int64(1), *EXACT[1:]),
        (1.0, *EXACT[1:]),
        ("1", *EXACT[1:]),
        (None, *EXACT[1:]),
        (1, tuple(PLACE), 0, False),
        (1, SubPlace(*PLACE), 0, False),
        (1, Place(5, True, 0), 0, False),
        (1, Place(-1, True, 0), 0, False),
        (1, Place(1, 1, 0), 0, False),
        (1, Place(1, True, 2**64), 0, False),
        (1, Place(1, True, -1), 0, False),
        (1, Place("x", True, 0), 0, False),
        (1, Place(None, None, None), 0, False),
        (1, tuple.__new__(Place, (1, True)), 0, False),
        (1, PLACE, -1, False),
        (1, PLACE, 2**64, False),
        (1, PLACE, 2.0, False),
        (1, PLACE, Sub(1), False),
        (1, PLACE, 0, 0),
        (1, PLACE, 0, np.True_),
        (1, PLACE, 0, None),
    ],
)
def test_anything_else_goes_untouched_to_the_slow_path(arguments):
    counter = Counter()
    result = bound(counter, "nothing")(*arguments)
    assert result == (arguments, {})
    assert all(given is taken for given, taken in zip(arguments, result[0], strict=True))
    assert counter.states["total"][0] == 0


def test_keywords_go_to_the_slow_path():
    counter = Counter()
    call = bound(counter, "nothing")
    assert call(1, PLACE, 0, flag=True) == ((1, PLACE, 0), {"flag": True})
    assert call(flag=True) == ((), {"flag": True})
    assert call(*EXACT) is None
    with pytest.raises(LookupError, match="slow path"):
        call(**{"raise": 1})


def test_no_error_is_left_behind():
    """A conversion that failed in machine code leaves no exception set for the next call."""
    call = bound(Counter(), "nothing")
    for odd in (2**70, -(2**70), "x", None):
        call(1, PLACE, odd, False)
        call(odd, PLACE, 0, False)
        assert sys.exc_info() == (None, None, None)
        assert call(*EXACT) is None


def test_busy_core_and_diversion_lead_to_the_slow_path():
    counter = Counter()
    call = bound(counter, "nothing")
    counter.states["busy"] = 1
    assert call(*EXACT) == (EXACT, {})
    counter.states["busy"] = 0
    divert(call, True)
    assert call(*EXACT) == (EXACT, {})
    divert(call, False)
    assert call(*EXACT) is None
    assert counter.states["total"][0] == 1


def test_truth():
    counter = Counter()
    ask = bound(counter, "truth")
    assert ask(True) is True
    assert ask(False) is False
    assert ask(1) == ((1,), {})
    counter.states["busy"] = 1
    assert ask(True) == ((True,), {})


def test_it_reads_like_the_method():
    call = bound(Counter(), "nothing")
    assert call.__name__ == "measure"
    assert call.__doc__ == Counter.measure.__doc__
    assert list(inspect.signature(call).parameters) == ["colour", "place", "word", "flag"]


def test_ready_objects_that_share_a_place():
    """More numbers than places: each number keeps its own object, whoever was there before."""
    made = []

    def make(number):
        made.append(number)
        return ("made", number)

    ready = ReadyObjects(make)
    for number in (*range(1, 60_000), *range(1, 60_000, 7)):
        assert ready(number) == ("made", number)
    counter = Counter()
    call = bound(counter, "ready", ready)
    for row in range(5):
        for _ in range(2):
            arguments = (1, Place(row, False, 0), 0, False)
            assert call(*arguments) == ("made", expected(*arguments))


def test_maker_that_raises_is_heard():
    def refuse(number):
        raise LookupError(f"no object for {number}")

    with pytest.raises(LookupError, match="no object for"):
        bound(Counter(), "ready", ReadyObjects(refuse))(*EXACT)


def test_owner_is_not_kept_alive_but_its_state_is():
    counter = Counter()
    gone, states = weakref.ref(counter), weakref.ref(counter.states)
    call = bound(counter, "nothing")
    del counter
    gc.collect()
    assert gone() is None
    assert call(*EXACT) is None
    assert states()["total"][0] == 1
    assert call(1) == ((1,), {})
    del call
    gc.collect()
    assert states() is None


def test_reference_counts_stay():
    """Neither path takes or gives a reference too many; each kind of call, many times."""
    counter = Counter()
    found = object()
    call = bound(counter, "ready", ReadyObjects(lambda number: found))
    plain = bound(counter, "nothing")
    ask = bound(counter, "truth")
    word = 2**40 + 17
    place = Place(2, False, 2**50)
    arguments = (Colour.GREEN, place, word, True)
    watched = [*arguments[1:3], place.address, None, True, False, found, call, counter.states]

    def exercise(times):
        for _ in range(times):
            call(*arguments)
            plain(*arguments)
            ask(True)
            ask(False)
            plain(Colour.GREEN, place, word)
            plain(Colour.GREEN, place, word, flag=True)
            plain(Colour.GREEN, place, "wrong", True)
        counter.slow.clear()

    exercise(10)
    before = [sys.getrefcount(each) for each in watched]
    exercise(5000)
    after = [sys.getrefcount(each) for each in watched]
    # None, True and False are used by the interpreter itself, a few times more or less.
    assert np.abs(np.subtract(after, before)).max() < 100


def test_threads():
    counter = Counter()
    call = bound(counter, "nothing")
    barrier = threading.Barrier(4)
    wrong = []

    def work():
        barrier.wait()
        for _ in range(20_000):
            if call(*EXACT) is not None:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert counter.states["total"][0] == 80_000


WITHOUT = """
import runtime_math.numerics.builtins.emission as emission
emission.available = lambda: False
import inspect
from runtime_math import RuntimeContext, RuntimeMathKernel
kernel = RuntimeMathKernel(0)
assert inspect.ismethod(kernel.decide)
decision = kernel.decide(0, RuntimeContext.pointer_validation(64))
kernel.observe_validation_result(0, 0, 5, False)
print(decision.risk_upper_bound_ppm, kernel.note_overlap(1, 2, 3), kernel.snapshot().decisions)
"""


def test_an_unknown_interpreter_gets_the_methods():
    with_builtins = WITHOUT.replace("False\n", "True\n", 1).replace("ismethod", "isbuiltin")
    answers = [
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout
        for script in (WITHOUT, with_builtins)
    ]
    assert answers[0] == answers[1] == "115000 False 1\n"


def test_layout_check_sees_another_layout(monkeypatch):
    monkeypatch.setattr(
        ctypes, "c_uint64", ctypes.c_uint32
    )  # reads halves of words, as if fields had moved
    assert not available()
