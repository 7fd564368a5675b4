"""The evidence streams of the calibrated policy: what they watch, what their evidence weighs.

The weights add to one over the streams that a call can step (a call steps the detectors of one
family only), so the weighted sum of all e-detectors is an e-detector again, whatever their
dependence: the weights are a price list, halving one costs ln 2 nats of evidence.
"""

from enum import IntEnum

import numpy as np


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


STREAM_COUNT = len(Stream)
GLOBAL_COUNT = 13

_WEIGHTS = {
    Stream.ADVERSE: 0.2,
    Stream.BLOOM: 0.04,
    Stream.NOVEL_PAGE: 0.015,
    Stream.STRAY_ADDRESS: 0.03,
    Stream.HUGE_REQUEST: 0.09,
    Stream.FAULT: 0.02,
    Stream.COST: 0.006,
    Stream.COST_TAIL: 0.02,
    Stream.CONTENTION: 0.19,
    Stream.BYTES: 0.015,
    Stream.FAMILY_ORDER: 0.003,
    Stream.COST_ORDER: 0.015,
    Stream.ADVERSE_GAP: 0.015,
    Stream.FAMILY_ADVERSE: 0.335,
    Stream.FAMILY_COST: 0.006,
}
WEIGHTS = np.array([_WEIGHTS[stream] for stream in Stream])

# Streams that tell of slowness only: full validation makes a storm worse, so it is given to a
# share of the calls.
LATENCY_ONLY = np.zeros(STREAM_COUNT, np.bool_)
LATENCY_ONLY[[Stream.COST, Stream.COST_TAIL, Stream.CONTENTION, Stream.FAMILY_COST]] = True

# Doublings of the hold that a returning alarm may reach.
HIGHEST_LEVEL = np.ones(STREAM_COUNT, np.int64)
HIGHEST_LEVEL[[Stream.ADVERSE, Stream.FAMILY_ADVERSE, Stream.FAULT, Stream.HUGE_REQUEST]] = 3

DESCRIPTIONS = {
    Stream.ADVERSE: "adverse outcomes over all families",
    Stream.BLOOM: "addresses the Bloom filter does not know",
    Stream.NOVEL_PAGE: "pages not seen lately",
    Stream.STRAY_ADDRESS: "addresses the Bloom filter does not know, on new pages",
    Stream.HUGE_REQUEST: "requests of at least half the byte limit",
    Stream.FAULT: "inconsistent overlaps",
    Stream.COST: "costs above the usual, over all families",
    Stream.COST_TAIL: "costs many times the usual",
    Stream.CONTENTION: "contention above the usual",
    Stream.BYTES: "requests larger than the family's usual",
    Stream.FAMILY_ORDER: "order of the families",
    Stream.COST_ORDER: "order of high and low costs",
    Stream.ADVERSE_GAP: "spacing of the adverse outcomes",
    Stream.FAMILY_ADVERSE: "adverse outcomes of one family",
    Stream.FAMILY_COST: "costs of one family above its usual",
}
