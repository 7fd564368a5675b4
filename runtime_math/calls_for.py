"""Which calls belong to an array of states? The one place where kinds of record are told apart."""

from typing import Any

import numpy as np

from runtime_math.calls import Calls
from runtime_math.faithful.calls import FAITHFUL


def calls_for(dtype: np.dtype[Any] | None) -> Calls:
    """Calls for states of a dtype.

    Parameters
    ----------
    dtype : numpy.dtype or None

    Returns
    -------
    runtime_math.calls.Calls

    Raises
    ------
    TypeError
        It is not the record of a kernel.

    Examples
    --------
    >>> from runtime_math import KERNEL_STATE
    >>> calls_for(KERNEL_STATE).name
    'faithful'
    """
    if dtype == FAITHFUL.dtype:
        return FAITHFUL
    if "policy" in (getattr(dtype, "names", None) or ()):
        # The calibrated kernel is loaded by those who use one.
        from runtime_math.calibrated.calls import FULL, LEAN

        for calls in (LEAN, FULL):
            if calls.dtype == dtype:
                return calls
    raise TypeError(f"states must be of dtype KERNEL_STATE or of calibrated kernels, got {dtype}")
