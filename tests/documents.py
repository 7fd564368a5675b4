"""Code in documents: the fences of a Markdown file, and running them as a reader would."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
_FILE = re.compile(r"`([\w./-]+\.\w+)`:\s*\Z")
_PRINTED = re.compile(r"^(?P<code>.*\bprint\(.*\))\s*# -> (?P<text>.+)$")
_COMPARISON = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Fence(NamedTuple):
    """A block of code: its language, further words of the first line, the file it is said to be."""

    language: str
    remark: str
    text: str
    line: int
    file: str


def fences(path):
    """All blocks of a document, in their order."""
    source = path.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(source):
        indent, first, text = match.groups()
        language, _, remark = first.partition(" ")
        before = source[: match.start()].rstrip()
        named = _FILE.search(before.rpartition("\n\n")[2])
        lines = [line.removeprefix(indent) for line in text.splitlines(keepends=True)]
        line = source.count("\n", 0, match.start()) + 1
        found.append(Fence(language, remark, "".join(lines), line, named[1] if named else ""))
    return found


def environment(folder):
    """The environment of a reader who has this Python and stands in `folder`."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": programs, "PYTHONPATH": str(folder), "COLUMNS": "80"}


def run(command, folder, shell=True):
    """Run a command in a folder; returns its status and all that it said."""
    finished = subprocess.run(
        command, shell=shell, cwd=folder, env=environment(folder), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return finished.returncode, finished.stdout


def run_programs(texts, folder):
    """Run the Python blocks of a document as one program, and hold its output to the comments.

    A line that ends in ``print(...)  # -> text`` prints that text.
    """
    source = "\n".join(texts)
    expected = [match["text"] for line in source.splitlines() if (match := _PRINTED.match(line))]
    status, output = run([sys.executable, "-c", source], folder, shell=False)
    assert status == 0, output
    said = output.splitlines()
    for text in expected:
        assert text in said, f"{text!r} is not printed: {output}"


def run_session(text, folder):
    """Run the ``$`` commands of a console block; ``...`` stands for any output."""
    checker = doctest.OutputChecker()
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        _, output = run(command, folder)
        assert checker.check_output(expected, output, _COMPARISON), (
            f"$ {command}\n{output}\nis not\n{expected}"
        )
