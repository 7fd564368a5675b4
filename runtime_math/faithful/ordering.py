"""Stage orderings and overlap checks: the kernel's smaller calls, jitted.

An ordering is packed into one integer, four bits a stage, the first stage lowest.
"""

from runtime_math.monitors import check_oracle, cohomology
from runtime_math.monitors.check_oracle import (  # noqa: F401 - offered here too
    STAGE_COUNT,
    pack_ordering,
    unpack_ordering,
)
from runtime_math.numerics.compilation import jitted


@jitted
def check_ordering(state, family, aligned, recent_page):
    """Present stage ordering for a context, packed; changes nothing."""
    return check_oracle.get_ordering(state.check_oracle, family, aligned, recent_page)


@jitted
def note_check_order_outcome(state, family, aligned, recent_page, ordering, exit_stage):
    """Report at which position (0-6, -1 for none) of an ordering a validation ended."""
    check_oracle.report_outcome(
        state.check_oracle, family, aligned, recent_page, ordering, exit_stage
    )
    refreshed = check_oracle.get_ordering(state.check_oracle, family, aligned, recent_page)
    state.oracle_bias[family] = check_oracle.ordering_bias(refreshed, state.mode)


@jitted
def note_overlap(state, left_shard, right_shard, witness):
    """Whether two shards' sections agree with a witness; a disagreement counts as a fault."""
    return cohomology.note_overlap(state.cohomology, left_shard, right_shard, witness)
