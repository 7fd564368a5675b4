"""The one record that holds a whole kernel, composed from the monitors' records.

Copying, saving, sharing and replaying a kernel is copying, saving, sharing and replaying these
bytes: nothing else remembers anything.
"""

import functools
from typing import Any

import numpy as np

from runtime_math import monitors
from runtime_math.faithful.signals import SIGNAL_COUNT
from runtime_math.monitors import KERNEL_MONITOR_NAMES, eprocess, operator_norm, risk
from runtime_math.numerics.compilation import interpreted
from runtime_math.records import Records
from runtime_math.types import FAMILY_COUNT, PROBE_COUNT, SafetyLevel

NEUTRAL_BIAS = 1

# The obstruction detector tracks the deviation that the operator norm needs too.
_RECORDS = {"operator_norm": operator_norm.GROWTH}
_INITIALISERS = {"operator_norm": operator_norm.init_growth}

KERNEL_STATE = np.dtype(
    [
        # Set while a batch runs without the interpreter lock; single calls wait for it.
        ("busy", np.int64),
        ("mode", np.int64),
        ("decisions", np.int64),
        ("codes", np.uint8, (SIGNAL_COUNT,)),
        ("oracle_bias", np.uint8, (FAMILY_COUNT,)),
        ("anytime_codes", np.uint8, (FAMILY_COUNT,)),
        ("cvar_codes", np.uint8, (FAMILY_COUNT,)),
        ("large_deviations_codes", np.uint8, (FAMILY_COUNT,)),
        ("grobner_input", np.uint8, (16,)),
        ("monitor_bonus_ppm", np.int64),
        ("sampled_bonus_ppm", np.int64),
        ("probe_mask", np.int64),
        ("design_identifiability_ppm", np.int64),
        ("design_selected_count", np.int64),
        *(
            (name, _RECORDS.get(name, getattr(monitors, name).STATE))
            for name in KERNEL_MONITOR_NAMES
        ),
    ],
    align=True,
)


_INIT_ARGUMENTS = {
    "risk": (risk.DEFAULT_PRIOR_PPM, risk.DEFAULT_Z_SCORE),
    "eprocess": (
        eprocess.DEFAULT_NULL_RATE,
        eprocess.DEFAULT_ALTERNATIVE_RATE,
        np.uint64(eprocess.DEFAULT_WARMUP_CALLS),
        eprocess.DEFAULT_WARNING_E,
        eprocess.DEFAULT_ALARM_E,
    ),
}


def copied(states: Records) -> Records:
    """Copy of an array of states, padding included: NumPy's own copy leaves that to chance."""
    return states.view(np.uint8).copy().view(states.dtype)


class _Fields:
    """Attribute access to a record's fields, as jitted code has it, whatever their names."""

    def __init__(self, record: np.void) -> None:
        object.__setattr__(self, "_record", record)

    def __getattr__(self, name: str) -> Any:
        value = self._record[name]
        return _Fields(value) if value.dtype.names else value

    def __setattr__(self, name: str, value: Any) -> None:
        self._record[name] = value


def new_state(mode: SafetyLevel | int, count: int = 1) -> Records:
    """States of new kernels.

    Parameters
    ----------
    mode : SafetyLevel or int
        Configured mode of the kernels.
    count : int, default 1
        How many.

    Returns
    -------
    numpy.ndarray of shape (count,) and dtype `KERNEL_STATE`
        Every element is an independent kernel; jitted functions take elements (``states[0]``).

    Examples
    --------
    >>> from runtime_math.types import SafetyLevel
    >>> new_state(SafetyLevel.HARDENED, 3)["mode"].tolist()
    [1, 1, 1]
    """
    return np.tile(_newborn(int(mode)), count).view(KERNEL_STATE)


@functools.cache
def _newborn(mode: int) -> Records:
    """Bytes of a new kernel, to be copied."""
    newborn = np.zeros(1, KERNEL_STATE)
    newborn["mode"] = mode
    newborn["oracle_bias"] = NEUTRAL_BIAS
    newborn["probe_mask"] = (1 << PROBE_COUNT) - 1
    newborn["design_selected_count"] = PROBE_COUNT
    for name in KERNEL_MONITOR_NAMES:
        # This runs once, and compiling 46 initialisers would cost seconds.
        initialise = interpreted(_INITIALISERS.get(name, getattr(monitors, name).init))
        initialise(_Fields(newborn[name][0]), *_INIT_ARGUMENTS.get(name, ()))
    newborn.setflags(write=False)
    return newborn.view(np.uint8)
