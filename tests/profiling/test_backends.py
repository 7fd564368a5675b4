"""Sampler output, and samplers that are missing, too old or forbidden."""

import pytest

from profiling import backends
from profiling.backends import PerfSampler, PySpySampler, RawFrame, parse_raw_line
from profiling.faults import ExitStatus, ProfilingError
from profiling.launch import Program


def install(monkeypatch, tmp_path, script):
    path = tmp_path / "tool"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(backends, "_find", lambda program, otherwise: str(path))


@pytest.mark.parametrize(
    ("sampler", "remedy"),
    [(PySpySampler, "pip install py-spy"), (PerfSampler, "apt-get install linux-perf")],
)
def test_missing_sampler(monkeypatch, tmp_path, sampler, remedy):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(backends.sysconfig, "get_path", lambda scheme: str(tmp_path))
    with pytest.raises(ProfilingError, match=remedy) as caught:
        sampler(tmp_path, 99)
    assert caught.value.exit_code == ExitStatus.TOOL_UNUSABLE


def test_old_py_spy(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, "echo py-spy 0.3.12")
    with pytest.raises(ProfilingError, match=r"py-spy 0\.3\.12 is too old.*py-spy>=0\.4\.0"):
        PySpySampler(tmp_path, 99)


@pytest.mark.parametrize(
    ("said", "explanation"),
    [
        ("Error: Permission denied (os error 13)", "--cap-add=SYS_PTRACE"),
        ("Error: Failed to find python version from target process", "could not attach: Error"),
    ],
)
def test_forbidden_tracing(monkeypatch, tmp_path, said, explanation):
    install(monkeypatch, tmp_path, f'[ "$1" = --version ] && echo py-spy 0.4.1 || echo "{said}"')
    sampler = PySpySampler(tmp_path, 99)
    program = Program(["sleep", "60"], tmp_path)
    with pytest.raises(ProfilingError, match=explanation) as caught:
        program.attach(sampler, 1)
    assert caught.value.exit_code == ExitStatus.TOOL_UNUSABLE
    assert program.exit_status is not None
    assert not (tmp_path / "go").exists()


def test_command_line_of_a_process_may_hold_anything():
    line = (
        'process 7:"python -c a;b (c) 1";process 8:"x";thread (0x7F): Main;f (a.py:3);g (b.so) 12'
    )
    sample = parse_raw_line(line)
    assert (sample.pid, sample.thread, sample.count) == (8, "0x7F", 12)
    assert sample.frames == (RawFrame(0, "f", "a.py:3"), RawFrame(0, "g", "b.so"))


@pytest.mark.parametrize("line", ["", "py-spy> Sampling", "f (a.py:3) 12", "thread (1);f (a) x"])
def test_lines_that_are_no_stacks(line):
    assert parse_raw_line(line) is None
