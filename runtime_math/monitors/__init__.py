"""The online monitors: one controller per file, all of one shape (see `base`)."""

import importlib

from runtime_math.monitors.table import TABLE, Alone

MONITOR_NAMES = tuple(TABLE)
KERNEL_MONITOR_NAMES = tuple(name for name in TABLE if TABLE[name] != Alone())


def __getattr__(name):
    if name in MONITOR_NAMES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
