"""A stream of yes-or-no events: its rate detector beside the rate that is learnt for it."""

from typing import Any

import numpy as np

from runtime_math.calibrated import learnt_rate, rate_detector
from runtime_math.calibrated.assembly import nothing, written
from runtime_math.calibrated.detector import Detector, lightening, restarting
from runtime_math.calibrated.sights import ZERO, Moment
from runtime_math.numerics.compilation import jitted

# Standard errors between a learnt rate and the null it gives, and the range of that.
MARGIN = 2.0
LOWEST_RATE = 5e-4
HIGHEST_RATE = 0.6

STATE = np.dtype(
    [
        ("learnt", learnt_rate.STATE),
        ("ratios", rate_detector.RATIOS),
        ("evidence", rate_detector.EVIDENCE),
    ],
    align=True,
)


@jitted
def start(stream, prior_rate, prior_trials, kind):
    """Know only the prior."""
    learnt_rate.init(stream.learnt, prior_rate, prior_trials, MARGIN, LOWEST_RATE, HIGHEST_RATE)
    rate_detector.set_ratios(stream.ratios, stream.learnt.bound, kind)


@jitted
def learn(stream, hit, weight, kind):
    """Learn one event and move the null when it is due."""
    if learnt_rate.learn(stream.learnt, hit, weight):
        rate_detector.set_ratios(stream.ratios, stream.learnt.bound, kind)


def common_parts(field: str, prior: tuple[float, float], kind: int) -> dict[str, Any]:
    """Those parts of a stream's `Detector` that do not depend on what it watches."""
    known = f"{prior[0]!r}, {prior[1]!r}, {kind}"
    return {
        "fields": ((field, STATE),),
        "start": written(f"start_{field}(state)", [f"start(state.{field}, {known})"], start=start),
        "restart": restarting(f"{field}.evidence", rate_detector.restart),
        "lighten": lightening(f"{field}.learnt"),
        "accept": nothing,
    }


def context_detector(
    field: str,
    event: str,
    *,
    reads: int,
    bits: int,
    prior: tuple[float, float],
    kind: rate_detector.Kind,
) -> Detector:
    """Detector of an event that a call's context shows.

    Parameters
    ----------
    field : str
        Name of its part of the policy's record.
    event : str
        Field of the `ContextSight` that tells whether the call is such an event.
    reads, bits : int
        Bits that are all set in the queue if the call was such an event, and those among them
        that this stream sets.
    prior : tuple of float
        Rate expected before anything is learnt, and how many calls that is worth.
    kind : Kind
        Alternatives to test against.
    """
    step = f"step(stream.evidence, stream.ratios, sight.{event}, {int(kind)})"
    learning = f"learn(state.{field}, (payload & READS) == READS, weights.rate, {int(kind)})"
    remembering = written(
        f"remember_{field}(state, sight)",
        [f"return BITS if sight.{event} else ZERO"],
        BITS=np.uint64(bits),
        ZERO=ZERO,
    )
    return Detector(
        moment=Moment.CONTEXT,
        step=written(
            f"step_{field}(state, sight)",
            [f"stream = state.{field}", f"return {step}"],
            step=rate_detector.step,
        ),
        remember=remembering if bits else nothing,
        bits=bits,
        learn=written(
            f"learn_{field}(state, family, payload, weights)",
            ["if weights.rate > 0.0:", f"\t{learning}"],
            learn=learn,
            READS=np.uint64(reads),
        ),
        **common_parts(field, prior, int(kind)),
    )
