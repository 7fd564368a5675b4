"""What documents show is what happens: their code runs, and their commands exist."""

import re
import shlex
import sys

import pytest

from tests.documents import ROOT, fences, run, run_programs, run_session

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# Recorded output and diagrams are "text"; what a reader is to run says in what.
LANGUAGES = {"python", "console", "sh", "c", "diff", "text", "toml", "yaml"}
NOT_RUN = "not run here"


def by_name(path):
    return path.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_every_block_says_its_language(document):
    for fence in fences(document):
        assert fence.language in LANGUAGES, f"{document.name}:{fence.line}"


@pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if any(fence.language == "python" for fence in fences(path))],
    ids=by_name,
)
def test_python_runs(document):
    programs = [
        fence.text
        for fence in fences(document)
        if fence.language == "python" and fence.remark != NOT_RUN and not fence.file
    ]
    if programs:
        run_programs(programs, ROOT)


@pytest.mark.parametrize(
    "fence",
    [fence for fence in fences(ROOT / "README.md") if fence.language == "console"],
    ids=lambda fence: fence.text.split("\n")[0],
)
def test_console_output_of_the_readme(fence):
    run_session(fence.text, ROOT)


def commands():
    """Every command line of this project's programs in a shell block, by program."""
    for document in DOCUMENTS:
        for fence in fences(document):
            if fence.language == "sh":
                for line in fence.text.splitlines():
                    for found in re.findall(
                        r"python -m ((?:runtime_math|bench|profiling) [^#&;]+)", line
                    ):
                        yield pytest.param(found, id=f"{document.name}: {found.strip()}")


@pytest.mark.parametrize("command", list(commands()))
def test_options_of_commands_exist(command):
    module, *arguments = shlex.split(command.partition(" -- ")[0])
    subcommand = [each for each in arguments[:1] if re.fullmatch(r"[a-z]+", each)]
    status, text = run(f"{sys.executable} -m {module} {' '.join(subcommand)} --help", ROOT)
    if module == "bench" and not subcommand:
        text += run(f"{sys.executable} -m bench run --help", ROOT)[1]
    assert status == 0, text
    for option in arguments:
        if option.startswith("-"):
            assert re.search(rf"(?<![\w-]){re.escape(option)}\b", text), f"{option}: {text}"
