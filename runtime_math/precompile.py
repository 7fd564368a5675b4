"""What ``compile`` and ``info`` need: the list of entry points, the cache's place, the versions."""

import platform

import llvmlite
import numba
import numpy as np

from runtime_math import __version__, batch, entry, snapshot
from runtime_math.calibrated import points
from runtime_math.config import configured_mode
from runtime_math.records import CONTEXT, DECISION, EVENT, OUTCOME, RESULT
from runtime_math.state import KERNEL_STATE, new_state


def _batch_steps():
    states = new_state(0)
    contexts, decisions = np.zeros(0, CONTEXT), np.zeros(0, DECISION)
    events, results = np.zeros(0, EVENT), np.zeros(0, RESULT)
    table = np.zeros((1, 0), RESULT)
    return [
        ("snapshot", lambda: snapshot.take_snapshot(states, 0)),
        ("decide_many", lambda: batch.decide_rows(states, 0, contexts, decisions)),
        ("observe_many", lambda: batch.observe_rows(states, np.zeros(0, OUTCOME))),
        ("replay", lambda: batch.replay_rows(states, events, results)),
        (
            "replay_ensemble",
            lambda: batch.replay_ensemble_rows(states, 0, 1, events, table),
        ),
    ]


def steps():
    """Names of everything the Python face compiles, each with a function that compiles it."""
    compiled = [
        (name, lambda point=point: point.address_call)
        for module in (entry, points)
        for name, point in vars(module).items()
        if isinstance(point, entry.EntryPoint)
    ]
    return compiled + _batch_steps()


def folder():
    """Folder of the compile cache, or a remark that there is none."""
    path = entry.decide_entry.dispatcher._cache.cache_path
    return path or "no folder that can be written to (set NUMBA_CACHE_DIR)"


def environment():
    """Versions, processor, mode and cache location, by name."""
    return {
        "runtime-math": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "Numba": numba.__version__,
        "LLVM": ".".join(map(str, llvmlite.binding.llvm_version_info)),
        "libc": " ".join(platform.libc_ver()),
        "processor": numba.core.config.CPU_NAME or llvmlite.binding.get_host_cpu_name(),
        "mode": configured_mode().name.lower(),
        "bytes of a kernel": KERNEL_STATE.itemsize,
        "compile cache": folder(),
    }
