"""How long does an alarm last, and does it come back sooner than it should?

One alarm slot. Raised, it holds for a number of ticks of its own clock; evidence of at least four
times the hold, gathered since, renews it (under the null that happens with probability at most
1/4, by Markov's inequality for an e-detector restarted at zero). When the hold runs out without
renewal the alarm ends: it lasts as long as there is evidence, and one hold more. An alarm that
returns soon after the last one doubles its hold, up to a limit set by its cause.

References
----------
.. [1] J. Shin, A. Ramdas, A. Rinaldo, "E-detectors: a nonparametric framework for sequential
       change detection", New England J. Statist. Data Sci. 2(2), 2023.
.. [2] R. M. Metcalfe, D. R. Boggs, "Ethernet: distributed packet switching for local computer
       networks", Comm. ACM 19(7), 1976 (exponential back-off).
"""

from typing import NamedTuple

import numpy as np

from runtime_math.monitors.base import Monitor, integer, operation, reading
from runtime_math.numerics.compilation import jitted

RENEWAL_FACTOR = 4.0
RETURN_WINDOW_HOLDS = 8
NEVER = -1

STATE = np.dtype(
    [
        ("clock", np.int64),
        ("base_hold", np.int64),
        ("hold", np.int64),
        ("remaining", np.int64),
        ("ended_clock", np.int64),
        ("raised_clock", np.int64),
        ("raised_call", np.int64),
        ("onset_call", np.int64),
        ("count", np.int64),
        ("renewals", np.int64),
        ("level", np.int64),
        ("cause", np.int64),
        ("focus", np.int64),
        ("active", np.bool_),
    ],
    align=True,
)


class AlarmSummary(NamedTuple):
    """State of one slot."""

    active: bool
    cause: int
    held: int
    remaining: int
    hold: int
    raised_call: int
    onset_call: int
    renewals: int
    count: int  # type: ignore[assignment] # hides tuple.count


@jitted
def init(state, base_hold):
    """Start quiet, with the shortest hold."""
    state.clock = 0
    state.base_hold = base_hold
    state.hold = base_hold
    state.remaining = 0
    state.ended_clock = NEVER
    state.raised_clock = NEVER
    state.raised_call = NEVER
    state.onset_call = NEVER
    state.count = 0
    state.renewals = 0
    state.level = 0
    state.cause = NEVER
    state.focus = 0
    state.active = False


@jitted
def raise_alarm(state, cause, focus, call, onset_call, highest_level):
    """Start an alarm; `highest_level` limits the doublings of its hold."""
    soon = state.ended_clock != NEVER and (
        state.clock - state.ended_clock < RETURN_WINDOW_HOLDS * state.hold
    )
    state.level = min(state.level + 1, highest_level) if soon else 0
    state.hold = state.base_hold << state.level
    state.remaining = state.hold
    state.raised_clock = state.clock
    state.raised_call = call
    state.onset_call = onset_call
    state.renewals = 0
    state.count += 1
    state.cause = cause
    state.focus = focus
    state.active = True


@jitted
def end(state):
    """Return to quiet."""
    state.active = False
    state.remaining = 0
    state.ended_clock = state.clock


@jitted
def renew(state, cause, focus):
    """Hold on for another full hold, for a cause that may have changed."""
    state.remaining = state.hold
    state.renewals += 1
    state.cause = cause
    state.focus = focus


@jitted
def tick(state):
    """Let the slot's clock run; returns whether an alarm has just run out."""
    state.clock += 1
    if not state.active:
        return False
    state.remaining -= 1
    return state.remaining <= 0


@jitted
def renewal_evidence(state):
    """Return the evidence that renews an alarm."""
    return RENEWAL_FACTOR * state.hold


@jitted
def summary(state):
    """Return the slot's state; `held` is the number of ticks since the alarm was raised."""
    return AlarmSummary(
        state.active,
        state.cause,
        state.clock - state.raised_clock if state.active else 0,
        state.remaining,
        state.hold,
        state.raised_call,
        state.onset_call,
        state.renewals,
        state.count,
    )


_count = integer(-1, 2**62)


class AlarmSlot(Monitor):
    """One alarm with hold, renewal and back-off.

    Parameters
    ----------
    base_hold : int, default 128
        Shortest duration in ticks.

    Examples
    --------
    >>> slot = AlarmSlot(base_hold=8)
    >>> slot.raise_alarm(cause=0, focus=0, call=100, onset_call=90, highest_level=3)
    >>> [slot.tick() for _ in range(8)][-2:]
    [False, True]
    >>> slot.end()
    >>> slot.raise_alarm(cause=0, focus=0, call=120, onset_call=118, highest_level=3)
    >>> slot.summary().hold
    16
    """

    STATE = STATE
    PARAMETERS = {"base_hold": (integer(1, 2**20), 128)}
    initialise = init
    raise_alarm = operation(
        raise_alarm,
        cause=integer(0, 255),
        focus=integer(0, 255),
        call=_count,
        onset_call=_count,
        highest_level=integer(0, 16),
    )
    end = operation(end)
    renew = operation(renew, cause=integer(0, 255), focus=integer(0, 255))
    tick = operation(tick)
    renewal_evidence = reading(renewal_evidence)
    summary = operation(summary, lambda values: values._replace(active=bool(values.active)))
