"""All that a pipeline knows, in one record."""

import numpy as np

from membrane.blocks import arena, foreign, slots
from membrane.stages import heal, kernel_link, metrics
from membrane.tables import bloom, page_oracle
from runtime_math.numerics.compilation import jitted

# The latest validation: what it has found, and what the kernel was asked and told.
TRACE = np.dtype(
    [
        ("slot", np.uint64),
        ("bloom_negative", np.bool_),
        ("ordering", np.int64),
        ("safe_ordering", np.int64),
        ("exit_position", np.int64),
        ("decisions", np.int64, (2,)),
        ("decision_negative", np.uint8, (2,)),
        ("decision_count", np.int64),
        ("profile", np.int64),
        ("cost_ns", np.uint64),
        ("adverse", np.bool_),
        ("aligned", np.bool_),
        ("recent_page", np.bool_),
        ("asked", np.bool_),
    ],
    align=True,
)
STATE = np.dtype(
    [
        ("mode", np.int64),
        ("link", kernel_link.LINK),
        ("trace", TRACE),
        ("order_seen", np.int64),
        ("order_safe", np.int64),
        ("foreign", foreign.STATE),
        ("metrics", metrics.STATE),
        ("healing", heal.STATE),
        ("pages", page_oracle.STATE),
        ("bloom", bloom.STATE),
        ("arena", slots.STATE),
        ("call_pins", np.uint64),  # held by guarded calls that are running
        ("leases", np.uint64),  # blocks that there are arrays over
        ("departed", np.uint64),  # the first lease whose arrays are gone, see `leases`
        ("closing", np.uint64),  # whether the release of all memory waits for pins and leases
        ("released", np.uint64),  # whether it has been done
        ("is_direct", np.bool_),  # whether memory is of the C library, and the rules repaired
        # Objects of Python, which live as long: who is told the address of a block that is lost
        # without a free; the class of handles, what it is after a free, what that attribute is
        # called, and what a free returns.
        ("on_lost", np.uint64),
        ("handle_type", np.uint64),
        ("stale_type", np.uint64),
        ("class_name", np.uint64),
        ("freed_result", np.uint64),
    ],
    align=True,
)
NO_ORDER = -1


@jitted
def init(state, mode, page_size):
    """Start the parts that are not started on their own: pages and the memory of orders."""
    state.mode = mode
    state.order_seen = NO_ORDER
    foreign.init(state.foreign, page_size)
    page_oracle.init(state.pages, not state.arena.repaired)


@jitted
def release(state):
    """Give all memory back: blocks in use or in quarantine, and all tables."""
    arena.release(state.arena)
    bloom.release(state.bloom)
    page_oracle.release(state.pages)
