"""A loop of one's own, compiled by Numba, that asks a kernel before every access.

Run it with ``python examples/jitted_loop.py``. The kernel's state is an array of one record; the
loop decides, works, and reports the outcome, all without the interpreter. This is the calibrated
policy; `runtime_math.jit` offers the same functions for the faithful one.
"""

import numpy as np
from numba import njit

from runtime_math import ApiFamily, MembraneAction, SafetyLevel
from runtime_math.calibrated import jit

FAMILY = int(ApiFamily.STRING_MEMORY)
MODE = int(SafetyLevel.STRICT)
REFUSED = int(MembraneAction.DENY)
ELEMENT_BYTES = 8
UNCHECKED_NS, CHECKED_NS = 5, 40


@njit
def checked_sum(state, values, places):
    """Sum the values at some places; return the sum, and how many places were wrong or checked."""
    total, wrong, checked = 0.0, 0, 0
    for place in places:
        address = np.uint64(place * ELEMENT_BYTES)
        decision = jit.decide(state, MODE, FAMILY, address, ELEMENT_BYTES, False, 0, False)
        if decision.action == REFUSED:
            continue
        inside = 0 <= place < len(values)
        cost_ns = CHECKED_NS if decision.profile else UNCHECKED_NS
        jit.observe_validation_result(state, FAMILY, decision.profile, cost_ns, not inside)
        checked += decision.profile
        wrong += not inside
        if inside:
            total += values[place]
    return total, wrong, checked


def main():
    """Sum with right places, then with one wrong place in twenty."""
    state = jit.new_state(SafetyLevel.STRICT, monitors="none")[0]
    random = np.random.default_rng(1)
    values = np.ones(1000)
    for name, limit in (("right places", 1000), ("one in twenty wrong", 1050)):
        places = random.integers(0, limit, 2000)
        total, wrong, checked = checked_sum(state, values, places)
        print(f"{name}: sum {total:.0f}, {wrong} wrong, {checked} of {len(places)} fully validated")


if __name__ == "__main__":
    main()
