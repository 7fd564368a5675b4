"""Benchmarks: ids, selection, inputs, output for machines, reports."""

import importlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from bench import benchmark, commands, environment, inputs, measure, reference, registry, report
from bench.errors import UsageError
from bench.groups import jitted_loops, monitors, python_calls
from bench.used import used
from runtime_math import RuntimeMathKernel, SafetyLevel, ValidationProfile
from runtime_math.monitors import MONITOR_NAMES

ROOT = Path(__file__).parents[2]
MODES = ("strict", "hardened")
ORIGINALS = [
    f"runtime_math/{name}/{mode}"
    for name in ("decide", "observe_fast", "decide_observe")
    for mode in MODES
]


def bench(*arguments, **variables):
    environment = {key: value for key, value in os.environ.items() if key != "GLIBC_RUST_MODE"}
    return subprocess.run(
        [sys.executable, "-m", "bench", *map(str, arguments)], cwd=ROOT, capture_output=True,
        text=True, check=False, timeout=120, env=environment | variables,
    )  # fmt: skip


def test_ids_are_those_of_the_original_and_their_relatives():
    ids = set(registry.identifiers())
    assert set(ORIGINALS) <= ids
    assert {f"jit/{each}" for each in ORIGINALS} <= ids
    for kind in ("null", "foreign", "known"):
        for place in ("", "jit/"):
            assert {f"{place}validate_{kind}{mode}" for mode in ("", "/strict", "/hardened")} <= ids
    for place in ("base", "interior"):
        assert {f"lookup/{place}/{rules}" for rules in ("reference", "repaired")} <= ids
    assert {f"monitor/{name}" for name in MONITOR_NAMES} <= ids
    copies = [f"memcpy_{kind}/64" for kind in ("address", "bytes", "array", "ctypes")]
    sizes = (
        "memcpy/64",
        "memcpy/4096",
        "memcpy/1MiB",
        *copies,
        "memset_address/64",
        "compress2/100",
    )
    assert {f"guard/{name}" for name in sizes} | {"allocate_free/64"} <= ids
    assert {"startup/cold", "startup/warm", "startup/import_numba", "memory/kernel"} <= ids
    assert set(reference.RATIOS) <= ids


def test_every_module_of_the_groups_has_its_ids_and_no_other_has_them():
    ids = []
    for path in sorted((ROOT / "bench" / "groups").glob("*.py")):
        if path.stem != "__init__":
            module = importlib.import_module(f"bench.groups.{path.stem}")
            ids += [each.id for each in module.benchmarks()]
    assert len(ids) == len(set(ids)) > 100
    assert registry.identifiers() == ids


def test_a_loop_uses_all_that_a_call_returns():
    results = (None, True, np.uint8(2), 0.5, jitted_loops.jit.Decision(1, 2, 3, 4, 5), ((6,), 7))
    summed = numba.njit(lambda result: used(result))
    assert [summed(result) for result in results] == [0, 1, 2, 0.5, 15, 13]
    with pytest.raises(numba.core.errors.TypingError):
        summed(np.zeros(3))
    with pytest.raises(TypeError, match="jitted code"):
        used(3)


def test_selection_is_by_substring_unless_exact():
    chosen = {each.id for each in registry.select(["runtime_math/decide/strict"])}
    assert chosen == {"runtime_math/decide/strict", "jit/runtime_math/decide/strict"}
    (exact,) = registry.select(["runtime_math/decide/strict"], exact=True)
    assert exact.id == "runtime_math/decide/strict"
    with pytest.raises(UsageError, match="unknown benchmark 'decide/strict'"):
        registry.select(["decide/strict"], exact=True)
    assert len(registry.select([])) == len(registry.identifiers())


def test_unknown_id_names_the_closest():
    finished = bench("runtime_math/decid/strict")
    assert finished.returncode == UsageError.exit_code
    assert "runtime_math/decide/strict" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


def test_other_mode_in_the_environment_is_an_error():
    (chosen,) = registry.select(["runtime_math/decide/strict"], exact=True)
    for value in ("hardened", "TSM"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GLIBC_RUST_MODE", value)
            with pytest.raises(UsageError, match=f"GLIBC_RUST_MODE={value} asks"):
                environment.check_mode([chosen])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLIBC_RUST_MODE", "abi")
        environment.check_mode([chosen])


def test_traffic_is_what_it_says_and_repeats():
    contexts, costs, adverse = inputs.traffic()
    again = inputs.traffic()
    assert contexts.tobytes() == again[0].tobytes()
    assert set(contexts["family"]) == set(range(9))
    assert contexts["requested_bytes"].max() < 8192
    assert contexts["contention_hint"].max() < 32
    assert contexts["is_write"].mean() == pytest.approx(0.4, abs=0.03)
    assert contexts["bloom_negative"].mean() == pytest.approx(0.15, abs=0.02)
    assert adverse.mean() == pytest.approx(0.005, abs=0.004)
    fast, full = costs[:, ValidationProfile.FAST], costs[:, ValidationProfile.FULL]
    assert (fast.min(), fast.max(), full.min(), full.max()) == (6, 19, 60, 179)
    calls = inputs.traffic_calls()
    assert [call[0].addr_hint for call in calls] == contexts["addr_hint"].tolist()


@pytest.mark.parametrize("prefix", ["", "jit/"])
def test_bodies_make_the_calls_they_claim(monkeypatch, prefix):
    made = []

    def spy(mode):
        kernel = RuntimeMathKernel(mode)
        made.append(kernel.states)
        return kernel

    monkeypatch.setattr(python_calls, "RuntimeMathKernel", spy)
    new_state = jitted_loops.jit.new_state
    monkeypatch.setattr(
        jitted_loops.jit, "new_state", lambda mode: made.append(new_state(mode)) or made[-1]
    )
    timing = registry.all_benchmarks()[f"{prefix}runtime_math/decide/hardened"].prepare()
    (states,) = made
    before = int(states["decisions"][0])
    assert before >= benchmark.WARMUP_CALLS
    assert timing(137) > 0
    assert int(states["decisions"][0]) == before + 137
    assert states["mode"][0] == SafetyLevel.HARDENED


def test_every_monitor_has_arguments_for_every_parameter():
    for name in MONITOR_NAMES:
        for parameter in monitors.parameters(name):
            assert parameter in monitors.GENERATORS, (name, parameter)


def test_line_for_machines():
    values = [1e-9 * value for value in range(1, 101)]
    line = measure.result_line("x/strict", "strict", values)
    assert line.startswith("RUNTIME_MATH_BENCH mode=strict bench=x/strict samples=100 ")
    fields = dict(each.split("=") for each in line.split()[1:])
    quantiles = statistics.quantiles(range(1, 101), n=100, method="inclusive")
    for name, place in (("p50_ns_op", 49), ("p95_ns_op", 94), ("p99_ns_op", 98)):
        assert float(fields[name]) == pytest.approx(quantiles[place], abs=1e-3)
    assert float(fields["mean_ns_op"]) == pytest.approx(50.5)
    assert float(fields["throughput_ops_s"]) == pytest.approx(1e9 / 50.5, rel=1e-6)


def test_percentile_of_single_calls():
    durations = iter([1e-6] * 9_970 + [50e-6] * 30)
    found = reference.single_call_percentile(lambda loops: next(durations), calls=10_000)
    assert found == pytest.approx(50_000, rel=0.02)


def test_reference_table_divides_ours_by_the_originals():
    figures = [reference.Figure("a", 200.0, 50.0, 300.0, 900.0)]
    text = reference.as_text(figures)
    assert "50 (0.25x)" in text
    assert "300 (1.50x)" in text
    assert json.loads(reference.as_json(figures))[0]["original_ns"] == 200.0


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of a real run in worker processes."""
    path = tmp_path_factory.mktemp("bench") / "results.json"
    finished = bench(
        "--exact", "monitor/risk", "memory/kernel", "-p", 2, "-n", 2, "-w", 0, "-l", 1000,
        "-o", path, "--bench",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return path, finished.stdout


def test_run_writes_results_and_lines(results):
    path, output = results
    lines = [line for line in output.splitlines() if line.startswith("RUNTIME_MATH_BENCH ")]
    assert [line.split()[2] for line in lines] == ["bench=monitor/risk", "bench=memory/kernel"]
    meta = [line for line in output.splitlines() if line.startswith("RUNTIME_MATH_BENCH_META ")]
    keys = {line.split()[1].partition("=")[0] for line in meta}
    assert {
        "cpu_model", "python_version", "numpy_version", "numba_version", "llvm_version",
        "libm_version", "mode", "git_revision",
    } <= keys  # fmt: skip
    loaded = report.load(path)
    assert len(loaded["monitor/risk"][0]) == 4
    assert loaded["memory/kernel"][1] == "byte"
    first = json.loads(path.read_text())
    assert "numba_version" in first["metadata"] | first["benchmarks"][0].get("metadata", {})


def test_reports_read_the_results(results, tmp_path):
    path, _ = results
    table = report.markdown_table(report.load(path))
    assert table.count("\n") == 3
    assert "| `monitor/risk` |" in table
    for name in ("plot.png", "plot.svg"):
        report.plot(report.load(path), tmp_path / name)
        assert (tmp_path / name).stat().st_size > 3000
    compared = bench("compare", path, path)
    assert compared.returncode == 0, compared.stderr
    assert "monitor/risk" in compared.stdout


def test_reports_on_missing_or_wrong_files(results, tmp_path):
    path, _ = results
    with pytest.raises(UsageError, match="does not exist"):
        commands._existing(tmp_path / "none.json")
    (tmp_path / "wrong.json").write_text("{}")
    with pytest.raises(UsageError, match="no pyperf results"):
        report.load(tmp_path / "wrong.json")
    assert commands.main(["plot", str(path), "-o", "plot.gif"]) == UsageError.exit_code
    assert np.isfinite(report.load(path)["monitor/risk"][0]).all()


def test_profile_time_needs_one_body_in_this_process():
    with pytest.raises(UsageError, match="exactly one id"):
        measure.require_profilable(registry.select(["decide/strict"]))
    with pytest.raises(UsageError, match="startup/warm"):
        measure.require_profilable(registry.select(["startup/warm"]))
    finished = bench("--exact", "monitor/risk", "--profile-time", 0.2)
    assert (finished.returncode, finished.stdout) == (0, "")
