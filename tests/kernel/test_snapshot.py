"""Every field of the snapshot is filled: one that is not would read 0 unnoticed."""

import ast
import inspect
from collections import Counter

import numpy as np
import pytest

from runtime_math import RuntimeMathKernel
from runtime_math.faithful import snapshot
from runtime_math.faithful.snapshot import SNAPSHOT, fill_snapshot
from runtime_math.records import EVENT, EventKind


def assignments():
    """How often each field of `out` is assigned in the functions of the module."""
    targets = [
        target
        for statement in ast.walk(ast.parse(inspect.getsource(snapshot)))
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    ]
    return Counter(
        target.attr
        for target in targets
        if isinstance(target, ast.Attribute) and getattr(target.value, "id", None) == "out"
    )


def test_every_field_is_assigned_once():
    assert assignments() == Counter(SNAPSHOT.names)


@pytest.fixture(scope="module")
def busy_kernel():
    random = np.random.default_rng(5)
    events = np.zeros(3000, EVENT)
    events["kind"] = np.where(np.arange(3000) % 2, EventKind.OBSERVE, EventKind.DECIDE)
    events["kind"][::50] = EventKind.OVERLAP
    events["family"] = random.integers(0, 9, 3000)
    events["profile"] = random.integers(0, 2, 3000)
    events["adverse"] = random.random(3000) < 0.2
    events["cost_ns"] = random.integers(1, 500, 3000)
    events["witness"] = 7
    kernel = RuntimeMathKernel(0)
    kernel.replay(events)
    return kernel


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_filling_leaves_nothing_as_it_was(busy_kernel, mode):
    filled = [np.full(SNAPSHOT.itemsize, byte, np.uint8).view(SNAPSHOT) for byte in (0x5A, 0x81)]
    for record in filled:
        fill_snapshot(busy_kernel.states, mode, record)
    one, other = filled
    left = [name for name in SNAPSHOT.names if one[name].tobytes() != other[name].tobytes()]
    assert left == []
    assert busy_kernel.snapshot(mode) == snapshot.KernelSnapshot(*one[0].item())


def test_figures_that_say_something(busy_kernel):
    figures = busy_kernel.snapshot()
    assert len(figures) == len(SNAPSHOT.names) == 90
    assert figures.decisions == int(busy_kernel.states["decisions"][0])
    assert sum(value != 0 for value in figures) > 45
    assert len(str(figures).splitlines()) == 90
