"""Real libraries behind their declarations: every program is a process of its own."""

import inspect
import re
import subprocess
import sys

import pytest

from tests.documents import ROOT, environment, run
from tests.membrane import library_programs

PROGRAMS = [
    name
    for name, function in vars(library_programs).items()
    if inspect.isfunction(function) and list(inspect.signature(function).parameters) == ["mode"]
    and name != "libc_of"
]  # fmt: skip
EXAMPLES = {
    "addresses_of_a_name": r"127\.0\.0\.1",
    "iconv_text": "Größe 0 bytes left",
    "lines_of_a_file": r"(?s)4 of \d+ bytes 1 allocated.*2001 of",
    "lzma_stream": r"4000 bytes, \d\d compressed",
    "message_digest": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    "png_image": "16 x 16 pixels .*, equal: True",
    "regular_expression": "4096",
    "scattered_read": "head payload!",
    "sorting": r"\[1 3 5 9\]",
    "sqlite3_statement": "KEPT UNTIL THEN",
    "zlib_stream": r"4000 bytes, \d\d compressed",
}
FOLDER = ROOT / "examples" / "guarded_libraries"
MOST_LINES = 15


@pytest.mark.parametrize("mode", ["strict", "hardened"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_library_used_and_misused(name, mode):
    finished = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", library_programs.__name__, name, mode],
        cwd=ROOT, env={**environment(ROOT), "GLIBC_RUST_MODE": mode}, capture_output=True,
        text=True, timeout=90,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr


def test_every_example_is_run():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name):
    status, output = run([sys.executable, str(FOLDER / f"{name}.py")], ROOT, shell=False)
    assert status == 0, output
    assert re.search(EXAMPLES[name], output), output


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short(name):
    """All lines count, imports too, but not the text above them and empty ones."""
    body = re.sub(r'(?s)^""".*?"""', "", (FOLDER / f"{name}.py").read_text())
    assert len([line for line in body.splitlines() if line]) <= MOST_LINES
