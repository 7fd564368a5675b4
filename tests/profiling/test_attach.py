"""Attaching to programs that know nothing of the profiler."""

import os
import signal
import subprocess
import sys
import time

import pytest

from profiling import recording
from profiling.faults import ExitStatus
from profiling.loaded_code import LoadedCode
from tests.profiling.recording_command import PROGRAMS, ROOT, needs_py_spy, profiling


@pytest.fixture
def running(tmp_path):
    """Function that starts the program and gives the process."""
    started = []

    def start(*arguments):
        command = [sys.executable, PROGRAMS / "unprepared.py", *arguments]
        process = subprocess.Popen(
            [*map(str, command)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "running\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def state(pid):
    with open(f"/proc/{pid}/stat") as stream:
        return stream.read().rpartition(")")[2].split()[0]


def names(recorded):
    return {frames[-1].name for (phase, frames) in recorded.folded if phase == "run"}


@needs_py_spy
def test_a_running_program_is_named_twice_in_a_row(running, tmp_path):
    process = running(60)
    for place in ("a", "b"):
        finished = profiling("attach", process.pid, "--seconds", 2, "--out", tmp_path / place)
        assert finished.returncode == ExitStatus.DONE, finished.stderr
        recorded = recording.load(tmp_path / place)
        assert recorded.meta["jitted"]["named_share"] >= 0.99
        assert {"inner", "root [ufunc loop]"} <= names(recorded)
        assert any(
            frames[-1].file.endswith("unprepared.py") and frames[-1].name == "inner"
            for _, frames in recorded.folded
        )
        assert process.poll() is None and state(process.pid) != "T"


@needs_py_spy
def test_children_are_named_too(running, tmp_path):
    process = running(60, "child")
    finished = profiling("attach", process.pid, "--seconds", 3, "--out", tmp_path / "r")
    assert finished.returncode == ExitStatus.DONE, finished.stderr
    recorded = recording.load(tmp_path / "r")
    assert len(recorded.meta["processes"]) == 2
    assert recorded.meta["jitted"]["named_share"] >= 0.99


@needs_py_spy
def test_py_spy_has_the_callers_where_it_can_read_the_stacks(tmp_path):
    script = PROGRAMS / "parallel_loop.py"
    process = subprocess.Popen([sys.executable, script, "20"])
    try:
        code = LoadedCode(process.pid)
        assert wait_for(lambda: code.poll() or len(code.objects) > 5)
        time.sleep(1.0)
        finished = profiling(
            "attach", process.pid, "--seconds", 3, "--backend", "py-spy", "--out", tmp_path / "r"
        )
        assert finished.returncode == ExitStatus.DONE, finished.stderr
        recorded = recording.load(tmp_path / "r")
        inner = [frames for _, frames in recorded.folded if frames[-1].name.startswith("total [")]
        assert any("parallel_loop.py" in frames[-2].file or frames[:-1] for frames in inner)
        assert inner and finished.stdout.splitlines()[-1].startswith("the program was not prepared")
    finally:
        process.kill()
        process.wait()


@needs_py_spy
def test_a_target_that_ends_leaves_its_samples(running, tmp_path):
    process = running(8)
    finished = profiling("attach", process.pid, "--out", tmp_path / "r")
    assert finished.returncode == ExitStatus.DONE, finished.stderr
    assert process.wait(20) == 0
    assert "inner" in names(recording.load(tmp_path / "r"))


def recorder_of(process, out):
    command = [sys.executable, "-m", "profiling", "attach", str(process.pid), "--out", str(out)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def samplers_of(process):
    pattern = rf"(py-spy|perf) record .*--pid {process.pid} "
    return subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True).stdout.split()


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


@needs_py_spy
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_recorder_ends_the_target_goes_on(running, tmp_path, number):
    process = running(60)
    recorder = recorder_of(process, tmp_path / "r")
    assert wait_for(lambda: samplers_of(process))
    time.sleep(2.0)
    recorder.send_signal(number)
    recorder.communicate(timeout=60)
    if number != signal.SIGKILL:
        assert recorder.returncode == ExitStatus.DONE
        assert "inner" in names(recording.load(tmp_path / "r"))
    assert wait_for(lambda: not samplers_of(process))
    assert process.poll() is None
    assert wait_for(lambda: state(process.pid) in "RS")


@needs_py_spy
def test_what_can_not_be_attached_to_is_said_in_a_sentence(tmp_path):
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        for pid, said in ((sleeper.pid, "is no Python: sleep 60"), (2**22 - 1, "no process")):
            finished = profiling("attach", pid, "--seconds", 1, "--out", tmp_path / "r")
            assert finished.returncode == ExitStatus.USAGE and said in finished.stderr
            assert len(finished.stderr.strip().splitlines()) == 1
            assert not (tmp_path / "r").exists()
    finally:
        sleeper.kill()
        sleeper.wait()


@needs_py_spy
def test_a_python_program_without_numba(tmp_path):
    plain = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.5)
        finished = profiling("attach", plain.pid, "--seconds", 1, "--out", tmp_path / "r")
        assert finished.returncode == ExitStatus.NO_JITTED_CODE, finished.stderr
        assert "no sample lies in jitted code" in finished.stdout
    finally:
        plain.kill()
        plain.wait()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_process_of_somebody_else():
    program = (
        "import os, sys; os.setuid(65534)\n"
        "from profiling.loaded_code import LoadedCode\n"
        "LoadedCode(int(sys.argv[1]))\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, str(os.getpid())], cwd=ROOT, capture_output=True, text=True
    )
    if "ModuleNotFoundError" in finished.stderr or "PermissionError" in finished.stderr:
        pytest.skip("the checkout can not be read by others")
    assert "must not be read: run as root" in finished.stderr


def test_code_that_is_loaded_later_is_found():
    process = subprocess.Popen(
        [sys.executable, PROGRAMS / "faults.py", "waits"], stdout=subprocess.PIPE, text=True
    )
    try:
        code = LoadedCode(process.pid)
        code.poll()
        before = len(code.objects)
        assert process.stdout.readline() == "running\n"
        code.poll()
        assert len(code.objects) > before
        assert any("spin" in symbol for each in code.objects for _, _, symbol in each.functions)
        count = len(code.objects)
        code.poll()
        assert len(code.objects) == count
        code.close()
    finally:
        process.kill()
        process.wait()
