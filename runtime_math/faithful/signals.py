"""The monitors' codes as the kernel caches them, and the risk that each code adds.

Three of them have one code per family.
"""

import numpy as np

from runtime_math.monitors.table import TABLE, Codes, Signal
from runtime_math.numerics.compilation import jitted

SIGNAL_COUNT = len(Signal)
CODE_COUNT = 5

# Signals with one code per API family; their slot in the vectors holds the observed family's.
FAMILY_SIGNALS = (Signal.ANYTIME, Signal.CVAR, Signal.LARGE_DEVIATIONS)

BONUS_PPM = np.zeros((SIGNAL_COUNT, CODE_COUNT), np.int64)
for _part in TABLE.values():
    if isinstance(_part, Codes):
        BONUS_PPM[_part.signal, 1:] = _part.bonus_ppm


@jitted
def publish(state, signal, code):
    """Cache a monitor's code and keep the sum of all monitors' bonuses up to date."""
    previous = state.codes[signal]
    if code != previous:
        state.monitor_bonus_ppm += BONUS_PPM[signal, code] - BONUS_PPM[signal, previous]
        state.codes[signal] = code
