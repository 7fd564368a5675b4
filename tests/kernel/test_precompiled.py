"""After ``python -m runtime_math compile`` no process compiles anything of this project."""

import subprocess
import sys

import pytest

LISTENER = """
import sys
import numpy as np
from numba.core import event

compiled = []

class Listener(event.Listener):
    def on_start(self, compile_event):
        function = compile_event.data["dispatcher"].py_func
        compiled.append(f"{function.__module__}.{function.__qualname__}")

    def on_end(self, compile_event):
        pass

event.register("numba:compile", Listener())
shells = (".jit.", ".arguments.", ".decision.")
"""
KERNEL = """
from runtime_math import *

def use(kernel):
    context = RuntimeContext.pointer_validation(64)
    kernel.decide(0, context)
    kernel.observe_validation_result(0, 0, 5, False)
    kernel.check_ordering(0, True, True)
    kernel.note_check_order_outcome(0, True, True, range(7), None)
    kernel.note_overlap(1, 2, 3)
    kernel.explain(0, context)
    kernel.decide_many(0, np.zeros(2, CONTEXT))
    kernel.observe_many(np.zeros(2, OUTCOME))
    kernel.replay(np.zeros(2, EVENT))
    replay_ensemble(np.concatenate([kernel.states] * 2), np.zeros(2, EVENT))
"""
USES = {
    "faithful": KERNEL + "kernel = RuntimeMathKernel(0); use(kernel); kernel.snapshot()",
    "calibrated, lean": KERNEL
    + """
kernel = RuntimeMathKernel(0, policy="calibrated", monitors="none")
use(kernel); kernel.acknowledge(); kernel.acknowledge(learn=False); kernel.status()
""",
    "calibrated imported first": """
import runtime_math.calibrated.kernel
"""
    + KERNEL
    + """
kernel = RuntimeMathKernel(0, policy="calibrated")
use(kernel); kernel.acknowledge(); kernel.snapshot(); use(RuntimeMathKernel(1))
""",
    "jit": """
from numba import njit
from runtime_math import jit

@njit
def serve(states, addresses):
    state = states[0]
    decision = jit.decide(state, 0, 0, addresses[0], 8, False, 0, False)
    jit.observe_validation_result(state, 0, decision.profile, addresses[0], False)
    order = jit.check_ordering(state, 0, True, True)
    jit.note_check_order_outcome(state, 0, True, True, order, -1)
    return jit.note_overlap(state, 1, 2, 3)

serve(jit.new_state(0), np.ones(1, np.int64))
# What users' code calls is a thin shell around functions that are compiled once for all.
compiled = [name for name in compiled if not any(shell in name for shell in shells)]
compiled.remove("__main__.serve")
""",
    "jit of the calibrated policy": """
from numba import njit
from runtime_math.calibrated import jit

@njit
def serve(states, addresses):
    state = states[0]
    decision = jit.decide(state, 0, 0, addresses[0], 8, False, 0, False)
    jit.observe_validation_result(state, 0, decision.profile, addresses[0], False)
    order = jit.check_ordering(state, 0, True, True)
    jit.note_check_order_outcome(state, 0, True, True, order, -1)
    jit.acknowledge(state, -1)
    jit.reset_alarms(state, 0)
    return jit.note_overlap(state, 1, 2, 3) and jit.in_alarm(state, 0)

for monitors in ("none", "all"):
    serve(jit.new_state(0, monitors=monitors), np.ones(1, np.int64))
compiled = [name for name in compiled if not any(shell in name for shell in shells)]
compiled = [name for name in compiled if name != "__main__.serve"]
""",
    "membrane": """
from membrane import ValidationPipeline
from membrane.libc import GuardedLibrary
for rules in ("repaired", "reference"):
    with ValidationPipeline(rules=rules) as pipeline:
        with pipeline.allocate(64) as block:
            pipeline.validate(block.address + 3)
            pipeline.locate(block.address)
            pipeline.foreign_span(5, 6)
            GuardedLibrary(pipeline).memcpy(block, b"abc", 3)
        pipeline.validate(b"abc")
        pipeline.register_allocation(5, 6)
        pipeline.deregister_allocation(5, 6)
        pipeline.statistics()
""",
    "command line": """
from click.testing import CliRunner
from runtime_math.command_line import cli
assert CliRunner().invoke(cli, ["explain", "--mode", "hardened"]).exit_code == 0
assert "linked" in CliRunner().invoke(cli, ["info"]).output
""",
    "benchmark": """
from bench import registry
for benchmark in registry.all_benchmarks().values():
    if benchmark.id.startswith(("runtime_math/", "validate_")):
        benchmark.prepare()(1)
""",
}


@pytest.fixture(scope="module", autouse=True)
def filled_cache():
    result = subprocess.run(
        [sys.executable, "-m", "runtime_math", "compile"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "functions ready" in result.stdout


@pytest.mark.parametrize("use", USES)
def test_nothing_is_compiled_again(use):
    script = LISTENER + USES[use] + "\nprint(compiled)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
