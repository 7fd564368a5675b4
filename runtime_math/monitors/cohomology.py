"""Do overlapping metadata shards agree?

Each of 64 shards holds one hash, its local section. Where two shards overlap, the caller supplies
a witness of their difference, and the monitor checks the condition of a Cech 1-coboundary over
GF(2), witness = left section XOR right section. It counts the overlaps that failed.

References
----------
.. [1] R. Bott, L. W. Tu, "Differential Forms in Algebraic Topology", Springer, 1982, ch. II.
.. [2] M. Robinson, "Sheaves are the canonical data structure for sensor integration", Inf. Fusion
       36, 2017.
"""

import numpy as np

from runtime_math.monitors.base import Monitor, operation, reading, uint64
from runtime_math.numerics.compilation import jitted

SHARD_COUNT = 64
SHARD_BITS = np.uint64(SHARD_COUNT - 1)

STATE = np.dtype([("section", np.uint64, (SHARD_COUNT,)), ("faults", np.int64)], align=True)


@jitted
def init(state):
    """Start with all sections zero and no faults."""
    for shard in range(SHARD_COUNT):
        state.section[shard] = 0
    state.faults = 0


@jitted
def set_section_hash(state, shard, section_hash):
    """Set the section of a shard (modulo 64)."""
    state.section[shard & SHARD_BITS] = section_hash


@jitted
def note_overlap(state, left_shard, right_shard, witness_hash):
    """Return whether an overlap is consistent; count it as a fault if not."""
    left = state.section[left_shard & SHARD_BITS]
    right = state.section[right_shard & SHARD_BITS]
    consistent = left ^ right == witness_hash
    if not consistent:
        state.faults += 1
    return consistent


@jitted
def fault_count(state):
    """Return how many overlaps were inconsistent."""
    return state.faults


class Cohomology(Monitor):
    """Counter of overlap checks that break the cocycle condition.

    Examples
    --------
    >>> monitor = Cohomology()
    >>> monitor.set_section_hash(1, 0xAA)
    >>> monitor.set_section_hash(2, 0x0F)
    >>> monitor.note_overlap(1, 2, 0xA5)
    True
    >>> monitor.note_overlap(1, 2, 0)
    False
    >>> monitor.fault_count
    1
    """

    STATE = STATE
    initialise = init
    set_section_hash = operation(set_section_hash, shard=uint64, section_hash=uint64)
    note_overlap = operation(
        note_overlap, bool, left_shard=uint64, right_shard=uint64, witness_hash=uint64
    )
    fault_count = reading(fault_count)
