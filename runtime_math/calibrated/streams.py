"""The evidence streams of the calibrated policy: one table, and all that is derived from it.

The weights add to one over the streams that a call can step (a call steps the detectors of one
family only), so the weighted sum of all e-detectors is an e-detector again, whatever their
dependence: the weights are a price list, halving one costs ln 2 nats of evidence.

To add a stream, write its `Detector` in a module of its own, a member of `Stream` here (before the
families' own ones) and an entry in `TABLE`; the other weights make room for it. CONTRIBUTING.md
tells which tests notice what was forgotten.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from runtime_math.calibrated import context_streams, cost_streams, outcome_streams
from runtime_math.calibrated.assembly import Jitted, in_turn, nothing, written
from runtime_math.calibrated.detector import Detector
from runtime_math.calibrated.sights import ZERO, Moment
from runtime_math.numerics.compilation import jitted


class Stream(IntEnum):
    """A stream of evidence; the last two exist once for each family."""

    ADVERSE = 0
    BLOOM = 1
    NOVEL_PAGE = 2
    STRAY_ADDRESS = 3
    HUGE_REQUEST = 4
    FAULT = 5
    COST = 6
    COST_TAIL = 7
    CONTENTION = 8
    BYTES = 9
    FAMILY_ORDER = 10
    COST_ORDER = 11
    ADVERSE_GAP = 12
    FAMILY_ADVERSE = 13
    FAMILY_COST = 14


@dataclass(frozen=True)
class Entry:
    """One stream of evidence.

    Parameters
    ----------
    stream : Stream
    description : str
        What it watches, to complete "most of it from ...".
    weight : float
        Its share in the sum of all evidence.
    detector : Detector
    latency_only : bool
        Whether it tells of slowness only: full validation makes a storm worse, so it is given to
        a share of the calls.
    highest_level : int
        Doublings of the hold that a returning alarm may reach.
    """

    stream: Stream
    description: str
    weight: float
    detector: Detector
    latency_only: bool = False
    highest_level: int = 1


# In the order in which the parts of the policy's record lie.
TABLE = (
    Entry(Stream.BLOOM, "addresses the Bloom filter does not know", 0.04, context_streams.BLOOM),
    Entry(Stream.NOVEL_PAGE, "pages not seen lately", 0.015, context_streams.NOVEL_PAGE),
    Entry(
        Stream.STRAY_ADDRESS,
        "addresses the Bloom filter does not know, on new pages",
        0.03,
        context_streams.STRAY_ADDRESS,
    ),
    Entry(
        Stream.HUGE_REQUEST,
        "requests of at least half the byte limit",
        0.09,
        context_streams.HUGE_REQUEST,
        highest_level=3,
    ),
    Entry(Stream.FAULT, "inconsistent overlaps", 0.02, outcome_streams.FAULT, highest_level=3),
    Entry(
        Stream.ADVERSE,
        "adverse outcomes over all families",
        0.2,
        outcome_streams.ADVERSE,
        highest_level=3,
    ),
    Entry(
        Stream.FAMILY_ADVERSE,
        "adverse outcomes of one family",
        0.335,
        outcome_streams.FAMILY_ADVERSE,
        highest_level=3,
    ),
    Entry(
        Stream.COST,
        "costs above the usual, over all families",
        0.006,
        cost_streams.COST,
        latency_only=True,
    ),
    Entry(
        Stream.FAMILY_COST,
        "costs of one family above its usual",
        0.006,
        cost_streams.FAMILY_COST,
        latency_only=True,
    ),
    Entry(
        Stream.COST_TAIL,
        "costs many times the usual",
        0.02,
        cost_streams.COST_TAIL,
        latency_only=True,
    ),
    Entry(
        Stream.CONTENTION,
        "contention above the usual",
        0.19,
        context_streams.CONTENTION,
        latency_only=True,
    ),
    Entry(Stream.BYTES, "requests larger than the family's usual", 0.015, context_streams.BYTES),
    Entry(Stream.FAMILY_ORDER, "order of the families", 0.003, context_streams.FAMILY_ORDER),
    Entry(Stream.COST_ORDER, "order of high and low costs", 0.015, cost_streams.COST_ORDER),
    Entry(
        Stream.ADVERSE_GAP, "spacing of the adverse outcomes", 0.015, outcome_streams.ADVERSE_GAP
    ),
)

# --- columns of the table, by stream --------------------------------------------------------------

_ENTRY = {entry.stream: entry for entry in TABLE}
STREAM_COUNT = len(Stream)
GLOBAL_COUNT = sum(not entry.detector.per_family for entry in TABLE)
OWN_COUNT = STREAM_COUNT - GLOBAL_COUNT
DESCRIPTIONS = {stream: _ENTRY[stream].description for stream in Stream}
WEIGHTS = np.array([_ENTRY[stream].weight for stream in Stream])
LATENCY_ONLY = np.array([_ENTRY[stream].latency_only for stream in Stream])
HIGHEST_LEVEL = np.array([_ENTRY[stream].highest_level for stream in Stream])
FIELDS = tuple(field for entry in TABLE for field in entry.detector.fields)

# --- functions assembled from the table -----------------------------------------------------------


def _watching(*moments: Moment) -> list[Entry]:
    return [entry for entry in TABLE if entry.detector.moment in moments]


def _feeding(moment: Moment) -> Jitted:
    """``feed(state, sight, shared)``: step all that watch a moment, and keep their evidence."""
    own, shared, steps = [], [], {}
    for entry in _watching(moment):
        step, place = f"step_{entry.stream.name}", entry.stream - GLOBAL_COUNT
        steps[step] = entry.detector.step
        value = f"{entry.weight!r} * {step}(state, sight)"
        if entry.detector.per_family:
            own.append(f"state.family_evidence[sight.family, {place}] = {value}")
        else:
            shared.append(f"\tstate.evidence[{int(entry.stream)}] = {value}")
    signature = f"feed_{moment.name.lower()}(state, sight, shared)"
    return written(signature, [*own, "if shared:", *shared, "\tpass"], **steps)


def _remembering(*moments: Moment) -> Jitted:
    """``remember(state, sight)``: the bits of all that watch some moments."""
    signature = f"remember_{moments[0].name.lower()}(state, sight)"
    calls = {
        f"remember_{entry.stream.name}": entry.detector.remember
        for entry in _watching(*moments)
        if entry.detector.remember is not nothing
    }
    bits = " | ".join(["ZERO", *(f"{name}(state, sight)" for name in calls)])
    return written(signature, [f"return {bits}"], ZERO=ZERO, **calls)


def _learning(signature: str, *moments: Moment) -> Jitted:
    return in_turn(signature, [entry.detector.learn for entry in _watching(*moments)])


def _restarting(signature: str, per_family: bool, latency_only: bool = False) -> Jitted:
    entries = [entry for entry in TABLE if entry.latency_only or not latency_only]
    restarts = [e.detector.restart for e in entries if e.detector.per_family == per_family]
    return in_turn(signature, restarts)


feed_context = _feeding(Moment.CONTEXT)
feed_outcome = _feeding(Moment.OUTCOME)
feed_adverse = _feeding(Moment.ADVERSE)
feed_cost = _feeding(Moment.COST)
feed_overlap = _feeding(Moment.OVERLAP)
remember_context = _remembering(Moment.CONTEXT)
remember_outcome = _remembering(Moment.OUTCOME, Moment.OVERLAP)
remember_adverse = _remembering(Moment.ADVERSE)
remember_cost = _remembering(Moment.COST)
learn_contexts = _learning("learn_contexts(state, family, payload, weights)", Moment.CONTEXT)
learn_outcomes = _learning(
    "learn_outcomes(state, family, payload, weights)",
    *(moment for moment in Moment if moment is not Moment.CONTEXT),
)
start_detectors = in_turn("start_detectors(state)", [entry.detector.start for entry in TABLE])
lighten_detectors = in_turn(
    "lighten_detectors(state, factor)", [entry.detector.lighten for entry in TABLE]
)
accept_detectors = in_turn(
    "accept_detectors(state, family, factor)", [entry.detector.accept for entry in TABLE]
)
restart_shared = _restarting("restart_shared(state)", per_family=False)
restart_own = _restarting("restart_own(state, family)", per_family=True)
restart_shared_latency = _restarting(
    "restart_shared_latency(state)", per_family=False, latency_only=True
)
restart_own_latency = _restarting(
    "restart_own_latency(state, family)", per_family=True, latency_only=True
)


@jitted
def _all_of_it(state, slot, cause):
    if cause >= GLOBAL_COUNT:
        return state.family_evidence[slot, cause - GLOBAL_COUNT] / WEIGHTS[cause]
    return state.evidence[cause] / WEIGHTS[cause]


def _by_cause(signature: str, column: str, otherwise: str) -> Jitted:
    """Call the function that the cause's stream has in a column, or else do as said."""
    arguments = signature.partition("(")[2].replace(", cause", "")
    functions, lines = {}, []
    for entry in TABLE:
        function = getattr(entry.detector, column)
        if function is not None:
            name = f"{column}_{entry.stream.name}"
            functions[name] = function
            lines += [f"if cause == {int(entry.stream)}:", f"\treturn {name}({arguments}"]
    return written(signature, [*lines, otherwise], _all_of_it=_all_of_it, **functions)


focus_of = _by_cause("focus_of(state, slot, cause)", "focus", "return 0")
focused_evidence = _by_cause(
    "focused_evidence(state, slot, cause, focus)",
    "focused",
    "return _all_of_it(state, slot, cause)",
)
