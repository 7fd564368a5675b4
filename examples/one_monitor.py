"""One of the monitors alone: has the rate of failures of a service changed, and when?

Run it with ``python examples/one_monitor.py``. Each of the 46 monitors is a class by itself, and a
set of jitted functions over one record for loops of one's own.
"""

import numpy as np
from numba import njit

from runtime_math.monitors import changepoint
from runtime_math.monitors.changepoint import Changepoint, ChangepointState


@njit
def first_alarm(state, failures, alarm):
    """Feed outcomes until the monitor's code is an alarm; return the call that raised it."""
    for place in range(len(failures)):
        if changepoint.observe(state, failures[place]) >= alarm:
            return place
    return -1


def main():
    """A service fails once in a hundred calls, from call 500 on once in three."""
    random = np.random.default_rng(7)
    failures = random.random(1000) < np.where(np.arange(1000) < 500, 0.01, 0.33)
    monitor = Changepoint()
    state = monitor.state
    for call, failed in enumerate(failures):
        if monitor.observe(bool(failed)) is not state:
            state = monitor.state
            print(f"call {call}: {state.name.lower()}")
    found = first_alarm(Changepoint().record, failures, int(ChangepointState.CHANGE_POINT))
    print("in jitted code:", f"changed at call {found}" if found >= 0 else "no change found")


if __name__ == "__main__":
    main()
