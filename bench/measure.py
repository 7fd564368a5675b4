"""Measuring with pyperf: worker processes, options, metadata, one line per id for machines."""

import os
import time

import numpy as np
import pyperf

from bench import environment, registry
from bench.errors import UsageError

_PROCESSES, _VALUES = 10, 6
_INHERITED = (
    "GLIBC_RUST_MODE", "GLIBC_RUST_BENCH_PIN", "NUMBA_CACHE_DIR", "NUMBA_DEBUGINFO",
    "NUMBA_NUM_THREADS", "XDG_CACHE_HOME",
)  # fmt: skip
_SLICE_LOOPS = 1000


def _add_worker_arguments(command, options):
    command.extend(["--exact", *options.ids])


def _refuse(message):
    raise UsageError(message)


def _runner():
    runner = pyperf.Runner(
        values=_VALUES,
        processes=_PROCESSES,
        program_args=("-m", "bench"),
        add_cmdline_args=_add_worker_arguments,
    )
    parser = runner.argparser
    parser.prog = "python -m bench run"
    parser.error = _refuse
    parser.add_argument("ids", nargs="*", metavar="ID", help="parts of ids; default all")
    return runner


class _Lazy:
    """Prepares a benchmark at its first timing: only the process that measures it pays."""

    def __init__(self, benchmark):
        self._benchmark = benchmark
        self._timing = None

    def __call__(self, loops):
        if self._timing is None:
            self._timing = self._benchmark.prepare()
        return self._timing(loops)


def _pin(options):
    if os.environ.get("GLIBC_RUST_BENCH_PIN") == "1" and not options.affinity:
        options.affinity = "0"


def _inherit(options):
    extra = [name for name in _INHERITED if name in os.environ]
    options.inherit_environ = [*(options.inherit_environ or []), *extra]


def _measure(runner, benchmark):
    """Run one benchmark; returns pyperf's result in the managing process, None in a worker."""
    options = runner.args
    usual = options.processes, options.values, options.loops, options.warmups
    if not options.worker and benchmark.processes:
        options.processes, options.values = benchmark.processes, benchmark.values
        options.loops, options.warmups = benchmark.loops, 0
    try:
        return runner.bench_time_func(
            benchmark.id,
            _Lazy(benchmark),
            metadata={"unit": benchmark.unit, "mode": benchmark.mode or environment.mode()},
        )
    finally:
        options.processes, options.values, options.loops, options.warmups = usual


def result_line(identifier, mode, values, unit="second"):
    """Format the line for machines.

    Examples
    --------
    >>> result_line("memory/kernel", "strict", [65536.0], "byte")
    'RUNTIME_MATH_BENCH mode=strict bench=memory/kernel samples=1 bytes=65536'
    """
    head = f"RUNTIME_MATH_BENCH mode={mode} bench={identifier} samples={len(values)}"
    if unit == "byte":
        return f"{head} bytes={values[0]:.0f}"
    nanoseconds = np.array(values) * 1e9
    p50, p95, p99 = np.percentile(nanoseconds, [50, 95, 99])
    mean = nanoseconds.mean()
    return (
        f"{head} p50_ns_op={p50:.3f} p95_ns_op={p95:.3f} p99_ns_op={p99:.3f} "
        f"mean_ns_op={mean:.3f} throughput_ops_s={1e9 / mean:.3f}"
    )


def _wait_for_profiler():
    """Let a recorder that started this process attach its sampler now."""
    try:
        import jitted_code_table
    except ImportError:
        return
    jitted_code_table.wait_for_sampler()


def require_profilable(benchmarks):
    """Refuse anything but one benchmark that a profiler of this process can see."""
    if len(benchmarks) != 1 or not benchmarks[0].profilable:
        raise UsageError(
            "--profile-time needs exactly one id whose body runs in this process; "
            f"selected: {', '.join(benchmark.id for benchmark in benchmarks)}"
        )


def profile_time(benchmark, seconds):
    """Run a body for a time, calling it in short slices."""
    timing = benchmark.prepare()
    _wait_for_profiler()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        timing(_SLICE_LOOPS)


def run(arguments, exact=False, listed=False, seconds=None):
    """Measure benchmarks.

    Parameters
    ----------
    arguments : sequence of str
        Ids, and options of pyperf.
    exact : bool
        Ids are whole, not parts of ids.
    listed : bool
        Print the ids of the benchmarks instead.
    seconds : float, optional
        Run the only benchmark for that long instead, for a profiler.
    """
    runner = _runner()
    options = runner.argparser.parse_args(arguments)
    benchmarks = registry.select(options.ids, exact)
    if listed:
        print("\n".join(benchmark.id for benchmark in benchmarks))
        return
    environment.check_mode(benchmarks)
    if seconds is not None:
        require_profilable(benchmarks)
        profile_time(benchmarks[0], seconds)
        return
    options.ids = [benchmark.id for benchmark in benchmarks]
    _pin(options)
    _inherit(options)
    runner._set_args(options)
    runner.metadata.update(environment.versions())
    if not options.worker:
        for key, value in environment.metadata().items():
            print(f"RUNTIME_MATH_BENCH_META {key}={value}", flush=True)
    for benchmark in benchmarks:
        result = _measure(runner, benchmark)
        if result is not None and not options.worker:
            mode = benchmark.mode or environment.mode()
            line = result_line(benchmark.id, mode, result.get_values(), benchmark.unit)
            print(line, flush=True)
