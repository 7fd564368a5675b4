"""What holds for all monitors alike: complete, fed, of one shape, their state a value."""

import ast
import importlib
import inspect
import pickle
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest

from runtime_math import RuntimeContext, RuntimeMathKernel, SafetyLevel, monitors
from runtime_math.explanation import explain
from runtime_math.faithful.signals import FAMILY_SIGNALS, publish
from runtime_math.faithful.state import copied, new_state
from runtime_math.monitors import KERNEL_MONITOR_NAMES, MONITOR_NAMES
from runtime_math.monitors.base import Monitor
from runtime_math.monitors.table import TABLE, Codes, Signal
from runtime_math.scenarios import generate
from tests.golden_vectors import lines

TESTS = Path(__file__).parents[1]
NOT_MONITORS = {"__init__", "base", "table"}
CODES = {name: part for name, part in TABLE.items() if isinstance(part, Codes)}
FAMILY_CACHES = dict(
    zip(FAMILY_SIGNALS, ["anytime_codes", "cvar_codes", "large_deviations_codes"], strict=True)
)


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


# --- nothing is forgotten -------------------------------------------------------------------------


def names_in(folder, pattern):
    prefix, _, suffix = pattern.partition("*")
    return {path.name.removeprefix(prefix).removesuffix(suffix) for path in folder.glob(pattern)}


def test_every_module_has_an_entry_in_the_table():
    modules = names_in(Path(monitors.__file__).parent, "*.py") - NOT_MONITORS
    assert modules == set(TABLE)


def test_every_monitor_has_tests_of_its_own():
    files = names_in(TESTS / "monitors", "test_*.py") - {"every_monitor"}
    assert files == set(TABLE)
    for name in files:
        tree = ast.parse((TESTS / "monitors" / f"test_{name}.py").read_text())
        tests = [item for item in ast.walk(tree) if isinstance(item, ast.FunctionDef)]
        assert [item for item in tests if item.name.startswith("test_")], name
        imported = {item.module for item in ast.walk(tree) if isinstance(item, ast.ImportFrom)}
        assert f"runtime_math.monitors.{name}" in imported or "runtime_math.monitors" in imported


def test_every_monitor_has_an_adapter_for_its_vectors():
    adapters = names_in(TESTS / "replay", "*.py") - {"__init__"}
    assert adapters == set(TABLE)
    for name in adapters:
        assert inspect.isclass(importlib.import_module(f"tests.replay.{name}").Replay)


def test_every_monitor_has_vectors():
    vectors = names_in(TESTS / "golden" / "controllers", "*.jsonl.gz")
    assert vectors == set(TABLE)
    for name in vectors:
        _, record = next(lines(TESTS / "golden" / "controllers" / f"{name}.jsonl.gz"))
        assert "trace" in record, name


# --- what the table says is what the kernel does --------------------------------------------------


def test_every_signal_belongs_to_one_monitor():
    assert sorted(part.signal for part in CODES.values()) == list(Signal)


@pytest.mark.parametrize("name", CODES)
def test_the_gravest_code_adds_most_risk(name):
    module = importlib.import_module(f"runtime_math.monitors.{name}")
    (states,) = [
        item
        for item in vars(module).values()
        if inspect.isclass(item)
        and issubclass(item, IntEnum)
        and item.__module__ == module.__name__
        and item.__name__.endswith(("State", "Phase"))
    ]
    gravest, bonus = max(states), CODES[name].bonus_ppm
    assert bonus[gravest - 1] > 0
    assert list(bonus[:gravest]) == sorted(bonus[:gravest])
    assert not any(bonus[gravest:])


def test_the_kernel_feeds_every_monitor_it_holds():
    # The budget of strict mode has no room for all probes.
    mode = SafetyLevel.HARDENED
    kernel = RuntimeMathKernel(mode)
    before = copied(kernel.states)
    for call in generate(incident="adv20", calls=400, start=100).calls:
        context = RuntimeContext(int(call["family"]), int(call["addr_hint"]))
        profile = kernel.decide(mode, context).profile
        kernel.observe_validation_result(context.family, profile, 90, bool(call["adverse"]))
    kernel.note_overlap(1, 2, 99)
    after = kernel.states
    fed = {name for name in KERNEL_MONITOR_NAMES if before[name].tobytes() != after[name].tobytes()}
    # The barrier is a function of the call; it keeps nothing.
    assert set(KERNEL_MONITOR_NAMES) - fed == {"barrier"}


def test_the_kernel_keeps_the_code_of_every_signal():
    # At birth every probe is selected, and no monitor reports its gravest code at once.
    kernel = RuntimeMathKernel(0)
    for cache in ("codes", *FAMILY_CACHES.values()):
        kernel.states[cache] = 4
    kernel.observe_validation_result(0, 0, 20, False)
    codes = kernel.states["codes"][0]
    assert [signal for signal in Signal if codes[signal] == 4] == []


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_every_code_adds_its_bonus_to_a_decision(name, code):
    signal, bonus = CODES[name].signal, CODES[name].bonus_ppm[code - 1]
    context = RuntimeContext.pointer_validation(64)
    calm = explain(new_state(0), 0, context).decision.risk_upper_bound_ppm
    states = new_state(0)
    if signal in FAMILY_CACHES:
        states[FAMILY_CACHES[signal]] = code
    else:
        publish(states[0], int(signal), code)
    explained = explain(states, 0, context)
    assert explained.decision.risk_upper_bound_ppm == calm + bonus
    assert explained.terms.get(signal.name.lower().replace("_", " "), 0) == bonus


# --- one shape ------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("name", KERNEL_MONITOR_NAMES)
def test_kernel_starts_every_monitor_as_the_monitor_starts_itself(name):
    within = new_state(0)[name][0]
    alone = monitor_class(name)().record
    for field in within.dtype.names:
        assert within[field].tobytes() == alone[field].tobytes()
