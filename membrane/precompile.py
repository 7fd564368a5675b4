"""What ``python -m runtime_math compile`` compiles of the membrane."""

from collections.abc import Callable

from membrane import jit
from membrane.calls.native.machine import native_call
from membrane.pipeline import compiled
from runtime_math.precompile import entry_points


def compilations() -> dict[str, Callable[[], object]]:
    """Every function that the Python face and users' jitted code enter, by name.

    Returns
    -------
    dict of {str: callable}
        Each compiles its function, or loads it from the cache.
    """
    return {
        **entry_points(compiled),
        **jit.compilations(),
        "native_call": lambda: native_call.c_address,
    }
