"""After ``python -m runtime_math compile`` no process compiles anything of this project."""

import subprocess
import sys

import pytest

from tests.compile_listener import LISTENER

PRELUDE = LISTENER + "import sys\nimport numpy as np\n"
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
JIT = """
from numba import njit
from {package} import jit

@njit
def serve(states, addresses):
    state = states[0]
    decision = jit.decide(state, 0, 0, addresses[0], 8, False, 0, False)
    jit.observe_validation_result(state, 0, decision.profile, addresses[0], False)
    order = jit.check_ordering(state, 0, True, True)
    jit.note_check_order_outcome(state, 0, True, True, order, -1)
    {more}
    return jit.note_overlap(state, 1, 2, 3)

for settings in {settings}:
    serve(jit.new_state(0, **settings), np.ones(1, np.int64))
assert compiled.count("__main__.serve") == len({settings})
# What users' code calls is a thin shell around functions that are compiled once for all.
shells = ("__main__.serve", ".jit.", ".arguments.", ".decision.")
compiled = [name for name in compiled if not any(shell in name for shell in shells)]
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
    "jit": JIT.format(package="runtime_math", more="pass", settings=[{}]),
    "jit of the calibrated policy": JIT.format(
        package="runtime_math.calibrated",
        more="jit.acknowledge(state, -1); jit.reset_alarms(state, 0); jit.in_alarm(state, 0)",
        settings=[{"monitors": "none"}, {"monitors": "all"}],
    ),
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
    script = PRELUDE + USES[use] + "\nprint(compiled)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"
