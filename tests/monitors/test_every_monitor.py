"""What holds for all monitors alike: their shape, and their state as a value."""

import importlib
import inspect
import pickle

import numpy as np
import pytest

from runtime_math.faithful.state import new_state
from runtime_math.monitors import MONITOR_NAMES
from runtime_math.monitors.base import Monitor


def monitor_class(name):
    module = importlib.import_module(f"runtime_math.monitors.{name}")
    classes = [
        item
        for item in vars(module).values()
        if inspect.isclass(item)
        and issubclass(item, Monitor)
        and item.__module__ == module.__name__
        and item.STATE is module.STATE
    ]
    assert len(classes) == 1, f"{name} offers {classes}"
    return classes[0]


@pytest.fixture(params=MONITOR_NAMES)
def monitor_type(request):
    return monitor_class(request.param)


def test_documentation_has_a_purpose_an_example_and_a_source(monitor_type):
    module = inspect.getmodule(monitor_type)
    assert "References" in module.__doc__
    assert module.__doc__.strip()[0].isupper()
    assert "Examples" in monitor_type.__doc__
    assert ">>>" in monitor_type.__doc__


def test_state_is_a_value(monitor_type):
    monitor = monitor_type()
    birth = monitor.record.tobytes()
    twin, pickled = monitor.copy(), pickle.loads(pickle.dumps(monitor))
    monitor._storage.view(np.uint8)[:] = 1
    assert twin.record.tobytes() == pickled.record.tobytes() == birth
    assert monitor.record.tobytes() != birth
    monitor.reset()
    assert all(
        monitor.record[field].tobytes() == twin.record[field].tobytes()
        for field in monitor.STATE.names
    )


def test_unknown_parameters_are_refused(monitor_type):
    with pytest.raises(TypeError, match="has no parameter 'colour'"):
        monitor_type(colour=1)


def test_kernel_starts_every_monitor_as_the_monitor_starts_itself(monitor_type):
    name = monitor_type.__module__.rpartition(".")[2]
    within = new_state(0)[name][0]
    alone = monitor_type().record
    for field in within.dtype.names:
        assert within[field].tobytes() == alone[field].tobytes()
