"""What the three command lines share: help, mistakes, and the one line of progress."""

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import bench.commands
import profiling.commands
import runtime_math.command_line
from runtime_math import invocation, progress
from runtime_math.progress import Progress

ROOT = Path(__file__).parents[1]
GROUPS = {
    "python -m runtime_math": runtime_math.command_line.cli,
    "python -m bench": bench.commands.cli,
    "python -m profiling": profiling.commands.cli,
}
COMMANDS = [
    pytest.param(group, name, words, id=" ".join([name, *words]))
    for name, group in GROUPS.items()
    for words in [[], *([command] for command in group.commands)]
]


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize(("group", "name", "words"), COMMANDS)
def test_help_fits_the_terminal(group, name, words, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert invocation.run(group, name, [*words, "--help"]) == 0
    # click never breaks the name of a program.
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert {line for line in lines if len(line) > columns} <= {" ".join(["Usage:", name, *words])}
    assert lines[0].startswith("Usage: ")


@pytest.mark.parametrize(("group", "name", "words"), COMMANDS)
def test_every_option_says_what_it_means(group, name, words):
    command = group.commands[words[0]] if words else group
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []
    assert command.help


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        ("runtime_math", ["frobnicate"], "No such command 'frobnicate'"),
        ("runtime_math", ["explain", "--mode", "harsh"], "'harsh' is not one of"),
        ("bench", ["--exact", "nothing"], "unknown benchmark 'nothing'"),
        ("bench", ["monitor/risk", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        ("bench", ["monitor/risk", "-p", "many"], "argument -p/--processes"),
        ("bench", ["reference", "--rounds", "0"], "0 is not in the range x>=1"),
        ("bench", ["compare", "old.json", "new.json"], "old.json does not exist; make it with"),
        ("bench", ["plot", "old.json", "-o", "a.gif"], "must end in .png or .svg"),
        ("profiling", ["record"], "say what to record"),
        ("profiling", ["record", "runtime_math/decid/strict"], "runtime_math/decide/strict"),
        ("profiling", ["record", "--rate", "0", "x"], "0 is not in the range"),
        ("profiling", ["top", "nowhere"], "nowhere is no recording"),
        ("profiling", ["top"], "Missing argument 'DIR'"),
    ],
)
def test_a_mistake_is_one_sentence(module, words, message):
    finished = subprocess.run(
        [sys.executable, "-m", module, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert finished.returncode == 2
    assert finished.stdout == ""
    (line,) = finished.stderr.splitlines()
    assert line.startswith("Error: ")
    assert message in line


def test_a_command_line_without_a_command_prints_help(capsys):
    assert invocation.run(GROUPS["python -m profiling"], "python -m profiling", []) == 0
    assert "Commands:" in capsys.readouterr().out


def test_interrupting_a_command_is_told_by_its_status():
    def interrupt():
        raise KeyboardInterrupt

    status = invocation.run(click.Command("wait", callback=interrupt), "wait", [])
    assert status == invocation.INTERRUPTED


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_progress_appears_once_it_takes_long_and_is_cleared(clock, monkeypatch):
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: os.terminal_size((40, 9)))
    stream = Terminal()
    with Progress(stream=stream) as line:
        clock[0] += 1.9
        line.step(1, 4, "soon")
        assert stream.getvalue() == ""
        clock[0] += 0.1
        line.step(1, 4, "a name " + 50 * "x")
        clock[0] += 0.05
        line.step(2, 4, "left out")
    shown, end = stream.getvalue().split("\r\033[K")[1:]
    assert shown == "1 of 4, about 6 s left: a name xxxxxxxx"
    assert end == ""


def test_progress_leaves_a_text_only_where_it_has_shown_something(clock):
    quick, slow = Terminal(), Terminal()
    for stream, seconds in ((quick, 1.0), (slow, 3.0)):
        line = Progress(stream=stream)
        clock[0] += seconds
        line.show("working")
        line.end("done")
    assert quick.getvalue() == ""
    assert slow.getvalue() == "\r\033[Kworking\r\033[Kdone\n"


def test_no_progress_without_a_terminal_or_for_the_silent(monkeypatch):
    stream = io.StringIO()
    Progress(after_seconds=0, stream=stream).step(0, 3)
    assert stream.getvalue() == ""
    monkeypatch.setattr(Progress, "silent", False)
    progress.silence()
    stream = Terminal()
    Progress(after_seconds=0, stream=stream).step(0, 3)
    assert stream.getvalue() == ""
