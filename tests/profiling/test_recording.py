"""What becomes of programs that fail, fork, run threads, or never call jitted code."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from profiling import recording
from profiling.faults import ExitStatus, ProfilingError
from profiling.symbols import load_tables
from tests.profiling.recording_command import PROGRAMS, ROOT, needs_py_spy, profiling

FAULTS = PROGRAMS / "faults.py"
FILES = {
    "flamegraph.svg", "profile.speedscope.json", "stacks.folded", "symbols.json", "top.json",
    "top.txt", "meta.json",
}  # fmt: skip


def record(out, *command):
    return profiling("record", "--rate", 99, "--out", out, "--", *command)


def jitted_samples(folded, predicate=lambda frames: True):
    return sum(
        count
        for (_, frames), count in folded.items()
        if frames[-1].name == "spin" and predicate(frames)
    )


@needs_py_spy
def test_failing_program_keeps_its_samples(tmp_path):
    finished = record(tmp_path / "r", "python", FAULTS, "fails")
    assert finished.returncode == ExitStatus.PROGRAM_FAILED
    assert "status 3" in finished.stdout
    recorded = recording.load(tmp_path / "r")
    assert recorded.meta["exit_status"] == 3
    assert {path.name for path in (tmp_path / "r").iterdir()} == FILES
    assert jitted_samples(recorded.folded) > 10
    for name in ("profile.speedscope.json", "symbols.json", "top.json"):
        json.loads((tmp_path / "r" / name).read_text())


@needs_py_spy
def test_forked_worker_is_resolved_with_its_parents_code(tmp_path):
    finished = record(tmp_path / "r", "python", FAULTS, "forks")
    assert finished.returncode == 0, finished.stderr
    recorded = recording.load(tmp_path / "r")
    parent, child = recorded.meta["processes"]
    for process in (parent, child):
        name = f"process {process}"
        assert jitted_samples(recorded.folded, lambda frames, n=name: frames[0].name == n)
    assert recorded.meta["jitted"]["named_share"] >= 0.99


@needs_py_spy
def test_threads_are_all_sampled(tmp_path):
    finished = record(tmp_path / "r", "python", FAULTS, "threads")
    assert finished.returncode == 0, finished.stderr
    recorded = recording.load(tmp_path / "r")
    assert recorded.meta["threads"] == 3
    assert jitted_samples(recorded.folded) > 50


@needs_py_spy
def test_interrupt_keeps_what_was_sampled(tmp_path):
    command = [sys.executable, "-m", "profiling", "record", "--out", tmp_path / "r", "--"]
    recorder = subprocess.Popen(
        [*map(str, command), "python", str(FAULTS), "waits"], cwd=ROOT,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert recorder.stdout.readline() == "running\n"
    recorder.send_signal(signal.SIGINT)
    output, _ = recorder.communicate(timeout=60)
    assert recorder.returncode == ExitStatus.INTERRUPTED
    assert "interrupted" in output
    assert recording.load(tmp_path / "r").meta["outcome"] == "interrupted"


@needs_py_spy
def test_a_program_that_is_ended_by_the_limit_is_told_about(tmp_path):
    finished = profiling(
        "record", "--seconds", 12, "--out", tmp_path / "r", "--", "python", FAULTS, "waits"
    )
    assert finished.returncode == 0, finished.stderr
    assert "the program was ended after 12." in finished.stdout


@needs_py_spy
def test_an_interrupted_program_ends_in_its_own_time(tmp_path):
    saved = tmp_path / "saved"
    command = [sys.executable, "-m", "profiling", "record", "--out", tmp_path / "r", "--"]
    recorder = subprocess.Popen(
        [*map(str, command), "python", str(FAULTS), "saves", str(saved)], cwd=ROOT,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert recorder.stdout.readline() == "running\n"
    recorder.send_signal(signal.SIGINT)
    output, _ = recorder.communicate(timeout=60)
    assert recorder.returncode == ExitStatus.INTERRUPTED, output
    assert saved.read_text() == "saved"


@needs_py_spy
def test_a_command_ends_when_it_does_and_not_with_its_first_python(tmp_path):
    python, made = f"{sys.executable} {FAULTS}", tmp_path / "made"
    script = f"{python} forks; {python} forks; sleep 1; touch {made}; exit 7"
    finished = record(tmp_path / "r", "bash", "-c", script)
    assert finished.returncode == ExitStatus.PROGRAM_FAILED
    assert "status 7" in finished.stdout and made.exists()


@needs_py_spy
def test_what_numba_makes_of_parts_of_functions_is_named_after_them(tmp_path):
    finished = record(tmp_path / "r", "python", PROGRAMS / "generated_code.py")
    assert finished.returncode == 0, finished.stderr
    recorded = recording.load(tmp_path / "r")
    assert recorded.meta["jitted"]["named_share"] >= 0.99
    counts = {}
    for (phase, frames), count in recorded.folded.items():
        if phase == "run" and frames[-1].kind == "jitted":
            counts[frames[-1].name] = counts.get(frames[-1].name, 0) + count
    assert not [name for name in counts if "0x" in name]
    loops = ["two_loops [parallel loop 1]", "two_loops [parallel loop 2]"]
    for name in ("blur [stencil]", "smooth [ufunc loop]", *loops):
        assert counts.get(name, 0) > 10, counts


SLOW_TO_COMPILE = """
import time
from numba import njit
branches = "".join(f"    x = x * {n} + 1 if x > {n} else x - {n}\\n" for n in range(150))
exec("def large(x):\\n" + branches + "    return x")
inner = njit(large)
@njit
def outer(n):
    total = 0
    for i in range(n):
        total += inner(i)
    return total
outer(3)
end = time.monotonic() + 1
while time.monotonic() < end:
    outer(10_000)
"""


@needs_py_spy
@pytest.mark.parametrize("options", [(), ("--compiling",)])
def test_what_compiling_takes_is_told_by_function(tmp_path, options):
    (tmp_path / "program.py").write_text(SLOW_TO_COMPILE)
    finished = profiling(
        "record", *options, "--out", tmp_path / "r", "--", "python", tmp_path / "program.py"
    )
    assert finished.returncode == 0, finished.stderr
    assert "2 functions were compiled in" in finished.stdout
    meta = recording.load(tmp_path / "r").meta
    spent = {row["function"]: row["seconds"] for row in meta["compiled"]["most"]}
    assert set(spent) == {"large", "outer"}
    assert sum(spent.values()) == pytest.approx(meta["compiled"]["seconds"], abs=0.01)
    if not options:
        assert meta["samples"]["pauses_while_compiling"] >= 1


@needs_py_spy
def test_threads_that_are_not_seen_are_told_about_first(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_THREADING_LAYER", "workqueue")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    finished = record(tmp_path / "r", "python", PROGRAMS / "parallel_loop.py")
    assert finished.returncode == 0, finished.stderr
    assert "threads that Python does not know" in finished.stdout.splitlines()[0]
    assert "threads that Python does not know" in (tmp_path / "r" / "top.txt").read_text()
    seen = record(tmp_path / "s", "python", FAULTS, "threads")
    assert "threads that Python does not know" not in seen.stdout


def test_the_table_is_given_up_when_its_folder_has_gone(tmp_path):
    """A child that compiles after the end of the recording goes on as if there had been none."""
    program = f"""
import os, shutil, sys
from numba import njit
shutil.rmtree({str(tmp_path / "table")!r})
@njit
def double(number): return 2 * number
assert double(21) == 42
if os.fork() == 0:
    @njit
    def triple(number): return 3 * number
    assert triple(14) == 42
    os._exit(0)
assert os.wait()[1] == 0
"""
    (tmp_path / "table").mkdir()
    variables = {"JITTED_CODE_TABLE": str(tmp_path / "table"), "JITTED_CODE_UNWIND": "1"}
    variables |= {"PYTHONPATH": str(ROOT / "profiling" / "bootstrap")}
    finished = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **variables}, cwd=tmp_path,
        capture_output=True, text=True,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr


def test_a_program_that_execs_keeps_its_objects(tmp_path):
    program = """
import os, sys
from numba import njit
@njit
def double(number): return 2 * number
double(3)
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
"""
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "table").mkdir()
    variables = {"JITTED_CODE_TABLE": str(tmp_path / "table")}
    variables |= {"PYTHONPATH": str(ROOT / "profiling" / "bootstrap")}
    subprocess.run(
        [sys.executable, "program.py"], env={**os.environ, **variables}, cwd=tmp_path, check=True
    )
    (table,) = load_tables(tmp_path / "table").values()
    doubled = [each for each in table.symbols() if each.function == "double"]
    assert len({each.address for each in doubled}) == 2


@needs_py_spy
def test_program_without_jitted_code(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text("import time\nend = time.time() + 1\nwhile time.time() < end: pass\n")
    finished = record(tmp_path / "r", "python", script)
    assert finished.returncode == ExitStatus.NO_JITTED_CODE
    assert "no sample lies in jitted code" in finished.stdout
    assert recording.load(tmp_path / "r").meta["jitted"]["samples"] == 0


@needs_py_spy
@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        (["python", "-I", "-c", "pass"], ExitStatus.NO_SAMPLES, "PYTHONPATH"),
        (["false"], ExitStatus.PROGRAM_FAILED, "status 1"),
        (["no-such-program"], ExitStatus.USAGE, "cannot run no-such-program"),
    ],
)
def test_nothing_to_record_leaves_no_folder(tmp_path, command, status, message):
    finished = record(tmp_path / "r", *command)
    assert finished.returncode == status
    assert message in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_folder_appears_only_when_complete(tmp_path):
    with pytest.raises(KeyboardInterrupt), recording.new_folder(tmp_path / "r") as partial:
        (partial / "meta.json").write_text("{}")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_folder_of_something_else_is_never_replaced(tmp_path):
    precious = tmp_path / "r" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("kept")
    with (
        pytest.raises(ProfilingError, match="is no recording"),
        recording.new_folder(tmp_path / "r"),
    ):
        pass
    assert precious.read_text() == "kept"


def test_damaged_recording_is_named(tmp_path):
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(ProfilingError, match="no recording"):
        recording.load(tmp_path)
    (tmp_path / "stacks.folded").write_text("[run];f (a.py:1)_[j] many\n")
    with pytest.raises(ProfilingError, match="not a line of folded stacks"):
        recording.load(tmp_path)
    (tmp_path / "stacks.folded").write_text("[run];f (a.py:1)_[j] 3\n")
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(ProfilingError, match=r"meta\.json is damaged"):
        recording.load(tmp_path)


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "r").mkdir()
    with recording.new_folder(tmp_path / "r") as partial:
        (partial / "meta.json").write_text("{}")
    assert (tmp_path / "r" / "meta.json").exists()


@needs_py_spy
def test_what_became_of_the_program_and_of_the_old_recording_is_said(tmp_path):
    text = "#" * 5000 + "\nwhile True: pass"
    for sentence in ("-> profiles/python\n", "profiles/python, which had a recording before"):
        finished = profiling("record", "--seconds", 1, "--", "python", "-c", text, cwd=tmp_path)
        assert sentence in finished.stdout, finished.stderr


@pytest.mark.parametrize("words", [("python", "program.py"), ("README.md",)])
def test_a_missing_dash_is_named(words):
    finished = profiling("record", *words)
    assert finished.returncode == ExitStatus.USAGE
    assert f"put -- before a program: record -- {' '.join(words)}" in finished.stderr


def test_one_recording_is_asked_for():
    finished = profiling("record")
    assert finished.returncode == ExitStatus.USAGE
    assert "an id, --all, or --" in finished.stderr


@pytest.mark.skipif(shutil.which("perf") is None, reason="perf is not installed")
def test_perf_backend_names_jitted_functions(tmp_path):
    finished = profiling(
        "record", "--backend", "perf", "--out", tmp_path / "r", "--", "python", FAULTS, "threads"
    )
    if finished.returncode == ExitStatus.TOOL_UNUSABLE:
        pytest.skip(finished.stderr)
    assert finished.returncode == 0, finished.stderr
    recorded = recording.load(tmp_path / "r")
    assert recorded.meta["jitted"]["named_share"] >= 0.99
    assert jitted_samples(recorded.folded) > 50
    (table,) = (tmp_path / "r").glob("perf-*.map")
    entries = [line.split(maxsplit=2) for line in table.read_text().splitlines()]
    assert {"__main__.spin"} <= {name for _, _, name in entries}
    assert all(int(size, 16) > 0 for _, size, _ in entries)
