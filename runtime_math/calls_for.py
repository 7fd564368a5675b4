"""Which calls belong to an array of states? The one place where kinds of record are told apart."""

from runtime_math.faithful.calls import FAITHFUL


def calls_for(dtype):
    """Calls for states of a dtype.

    Parameters
    ----------
    dtype : numpy.dtype or None

    Returns
    -------
    runtime_math.calls.Calls or None
        None when it is not the record of a kernel.

    Examples
    --------
    >>> from runtime_math import KERNEL_STATE
    >>> calls_for(KERNEL_STATE).name, calls_for(None)
    ('faithful', None)
    """
    if dtype == FAITHFUL.dtype:
        return FAITHFUL
    if "policy" in (getattr(dtype, "names", None) or ()):
        # The calibrated kernel is loaded by those who use one.
        from runtime_math.calibrated.calls import FULL, LEAN

        return next((calls for calls in (LEAN, FULL) if calls.dtype == dtype), None)
    return None
