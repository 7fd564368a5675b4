"""The table of the evidence streams: nothing forgotten in it, and every entry does its part."""

import importlib
import pkgutil

import numpy as np
import pytest

from runtime_math import calibrated
from runtime_math.calibrated import policy
from runtime_math.calibrated.acknowledgement import LIGHTENING, acknowledge, reset_alarms
from runtime_math.calibrated.detector import Detector
from runtime_math.calibrated.policy_state import GLOBAL, STATE, init
from runtime_math.calibrated.sights import OUTCOME_BITS, Moment
from runtime_math.calibrated.state import new_state
from runtime_math.calibrated.streams import (
    DESCRIPTIONS,
    GLOBAL_COUNT,
    LATENCY_ONLY,
    TABLE,
    WEIGHTS,
    Stream,
)
from runtime_math.evaluation.loop import STEP, run_calibrated
from runtime_math.scenarios import generate
from runtime_math.types import FAMILY_COUNT

ENTRIES = {entry.stream: entry for entry in TABLE}
# How the parts of a record that hold evidence are called, in every detector.
EVIDENCE = {"levels", "rungs", "evidence"}
# What is set at birth for good.
SETTINGS = {"margin", "lowest", "highest", "memory", "symbols", "fast_rate", "tolerance"} | {
    "known_count",
    "ceiling",
}


def leaves(record, path=()):
    """All arrays of a record that are not records themselves, by their path."""
    for name in record.dtype.names:
        value = record[name]
        if value.dtype.names:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), np.asarray(value)


def leaves_of(state, stream, names=None):
    fields = {field[0] for field in ENTRIES[stream].detector.fields}
    return {
        path: value
        for path, value in leaves(state)
        if path[0] in fields and (names is None or path[-1] in names)
    }


def evidence_of(state, stream, family=None):
    """Everything that a stream has gathered against its null, its share in the sum included."""
    own = ENTRIES[stream].detector.per_family
    families = slice(None) if family is None else slice(family, family + 1)
    parts = [
        (value[families] if own else value).ravel()
        for value in leaves_of(state, stream, EVIDENCE).values()
    ]
    if own:
        weighted = state["family_evidence"][families, stream - GLOBAL_COUNT]
    else:
        weighted = state["evidence"][stream : stream + 1]
    return np.concatenate([*parts, weighted])


def has_evidence(state, stream, family=None):
    return bool(evidence_of(state, stream, family).any())


# --- nothing is forgotten -------------------------------------------------------------------------


def test_every_stream_and_every_detector_has_one_entry():
    assert [entry.stream for entry in sorted(TABLE, key=lambda entry: entry.stream)] == list(Stream)
    modules = [
        importlib.import_module(f"{calibrated.__name__}.{module.name}")
        for module in pkgutil.iter_modules(calibrated.__path__)
    ]
    made = {
        id(value): f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Detector)
    }
    used = [id(entry.detector) for entry in TABLE]
    assert len(used) == len(set(used))
    assert not [name for key, name in made.items() if key not in used]


def test_the_streams_of_a_family_come_last():
    per_family = [ENTRIES[stream].detector.per_family for stream in Stream]
    assert per_family == sorted(per_family)


def test_weights_of_what_one_call_can_step_add_to_one():
    assert WEIGHTS.sum() == pytest.approx(1.0)
    assert (WEIGHTS > 0.0).all()
    assert LATENCY_ONLY.sum() == 4
    assert all(entry.highest_level >= 1 for entry in TABLE)


def test_every_stream_is_described_differently():
    assert len(set(DESCRIPTIONS.values())) == len(Stream)
    assert all(text and not text.endswith(".") for text in DESCRIPTIONS.values())


@pytest.mark.parametrize("queue", ["contexts", "outcomes"])
def test_no_bit_of_a_queue_has_two_owners(queue):
    owners = [0 if queue == "contexts" else int(OUTCOME_BITS)]
    owners += [
        entry.detector.bits
        for entry in TABLE
        if (entry.detector.moment is Moment.CONTEXT) == (queue == "contexts")
    ]
    assert sum(bits.bit_count() for bits in owners) == sum(owners).bit_count()
    assert sum(owners) < 2**64


@pytest.mark.parametrize("stream", Stream)
def test_every_detector_has_evidence_of_a_known_name(stream):
    newborn = new_state(0, monitors="none")["policy"][0]
    assert leaves_of(newborn, stream, EVIDENCE)


def test_birth_leaves_nothing_as_it_was():
    born = np.zeros(1, STATE)
    init(born[0], 1, 0.01, 0.05, 0.125)
    rubbish = np.full(STATE.itemsize, 0x5A, np.uint8).view(STATE)
    init(rubbish[0], 1, 0.01, 0.05, 0.125)
    found = dict(leaves(rubbish[0]))
    assert [path for path, value in leaves(born[0]) if (value != found[path]).any()] == []


# --- every part of an entry does something --------------------------------------------------------


def run(state, scenario):
    steps = np.zeros(len(scenario.calls), STEP)
    run_calibrated(state, 0, scenario.calls, steps)
    return steps


def newborn():
    return new_state(0, monitors="none", adverse_ceiling=0.25)["policy"][0].copy()


@pytest.fixture(scope="module")
def seasoned():
    """Policy that has seen enough of everything for every detector to work; not in alarm."""
    state = newborn()
    scenario = generate("noisy", seed=3, calls=6000)
    calls = scenario.calls
    calls["overlap"][700::1500] = 2
    calls["requested_bytes"][800::2000] = 2**26
    calls["cost_factor"][::60] = 16.0
    calls["adverse"][calls["family"] == 4] &= np.arange((calls["family"] == 4).sum()) % 2 == 0
    run(state, scenario)
    assert not state["alarms"]["active"].any()
    return state


@pytest.fixture
def state(seasoned):
    return seasoned.copy()


@pytest.mark.parametrize("stream", Stream)
def test_traffic_moves_all_that_a_stream_knows(stream, seasoned):
    # A detector that is not stepped, or does not learn, or whose bits are not kept, stands still.
    before = leaves_of(newborn(), stream)
    after = leaves_of(seasoned, stream)
    still = [path for path in before if (before[path] == after[path]).all()]
    assert [path for path in still if path[-1] not in SETTINGS] == []
    assert has_evidence(seasoned, stream)


@pytest.mark.parametrize("stream", Stream)
def test_an_accepted_change_makes_old_knowledge_light(stream, state):
    before = state.copy()
    acknowledge(state, -1)
    for path, value in leaves_of(state, stream, {"unit"}).items():
        if path[0] != "rates":  # replaced, not made light
            assert value == pytest.approx(LIGHTENING * np.asarray(dict(leaves(before))[path]))


def test_an_accepted_change_takes_over_what_can_be_known_at_once(state):
    state["recent_adverse"][:] = 0.2
    state["recent_cost"]["level"][:] = 9.0
    before = state.copy()
    acknowledge(state, 3)
    assert (state["rates"]["rate"] != before["rates"]["rate"])[3]
    assert (state["family_ratios"]["null_rate"] != before["family_ratios"]["null_rate"]).any()
    assert (state["offsets"]["level"] != before["offsets"]["level"])[:, 3].any()
    assert (state["offsets"]["level"] == before["offsets"]["level"])[:, :3].all()
    assert state["bytes"]["unit"][3] == pytest.approx(LIGHTENING * before["bytes"]["unit"][3])


# --- every detector starts again when it should ---------------------------------------------------

OWN = {entry.stream for entry in TABLE if entry.detector.per_family}
SLOW = {entry.stream for entry in TABLE if entry.latency_only}
ALL, SHARED = set(Stream), set(Stream) - OWN


def observe_quietly(state, family):
    """Feed the outcome of a call of which no detector could complain."""
    policy.observe(state, family, 0, np.uint64(12), False)


def in_alarm(state, slot, cause, remaining):
    """Put a slot into an alarm that no evidence at hand could renew."""
    own = state["alarms"][slot]
    own["active"], own["cause"], own["remaining"], own["hold"] = True, cause, remaining, 2**40
    own["raised_clock"] = own["clock"]


def end_alarm(slot, cause):
    def act(state):
        in_alarm(state, slot, cause, 1)
        observe_quietly(state, slot % FAMILY_COUNT)
        assert not state["alarms"]["active"][slot]

    return act


def renew_alarm(slot, cause):
    def act(state):
        in_alarm(state, slot, cause, 100)
        state["alarms"]["hold"][slot] = 0
        observe_quietly(state, slot % FAMILY_COUNT)
        assert state["alarms"]["renewals"][slot] == 1

    return act


def raise_alarm(state):
    state["threshold"] = 1e-9
    observe_quietly(state, 1)
    assert state["alarms"]["active"].any()


def too_early_for_an_alarm(state):
    state["threshold"], state["quiet_until"] = 1e-9, 2**40
    observe_quietly(state, 1)
    assert not state["alarms"]["active"].any()


def quiet_family(state):
    state["family_quiet_until"][3] = 2**40
    observe_quietly(state, 3)


# What happens, the streams that forget their evidence then, and of which family (None: of all).
OCCASIONS = {
    "acknowledge everything": (lambda state: acknowledge(state, -1), ALL, None),
    "reset all alarms": (lambda state: reset_alarms(state, -1), ALL, None),
    "acknowledge a family": (lambda state: acknowledge(state, 3), OWN, 3),
    "reset a family's alarm": (lambda state: reset_alarms(state, 3), OWN, 3),
    "an alarm is raised": (raise_alarm, ALL, None),
    "an alarm that comes too early": (too_early_for_an_alarm, ALL, None),
    "a family that is to be quiet": (quiet_family, OWN, 3),
    "an alarm ends": (end_alarm(GLOBAL, Stream.ADVERSE), ALL, None),
    "an alarm of slowness ends": (end_alarm(GLOBAL, Stream.CONTENTION), SLOW, None),
    "a family's alarm ends": (end_alarm(3, Stream.FAMILY_ADVERSE), OWN, 3),
    "a family's alarm of slowness ends": (end_alarm(3, Stream.FAMILY_COST), OWN & SLOW, 3),
    "an alarm is renewed": (renew_alarm(GLOBAL, Stream.ADVERSE), ALL, None),
    "an alarm of slowness is renewed": (renew_alarm(GLOBAL, Stream.CONTENTION), SLOW, None),
    "a family's alarm is renewed": (renew_alarm(3, Stream.FAMILY_ADVERSE), OWN, 3),
}


@pytest.fixture(params=OCCASIONS)
def occasion(request):
    return OCCASIONS[request.param]


@pytest.mark.parametrize("stream", Stream)
def test_evidence_is_forgotten_when_it_should_be_and_only_then(stream, occasion, state):
    act, forgetting, family = occasion
    families = range(FAMILY_COUNT) if stream in OWN else [None]
    assert all(has_evidence(state, stream, each) for each in families)
    act(state)
    for each in families:
        forgotten = stream in forgetting and family in (None, each)
        assert has_evidence(state, stream, each) is not forgotten
