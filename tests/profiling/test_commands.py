"""The commands that read recordings, on recordings made up for the purpose."""

import json
from html.parser import HTMLParser

import pytest

from bench.targets import TARGETS
from profiling import aggregate, history, recording
from profiling.commands import main
from profiling.faults import ExitStatus
from profiling.resolve import INLINED, JITTED, PYTHON, Frame, Stack


def make(path, counts, date="2024-05-01T10:00:00+00:00", lines=True):
    """Write a recording in which each symbol has so many samples."""
    outer = Frame("main", "main.py", 4, PYTHON)
    folded = aggregate.fold(
        [
            Stack("run", 1, "1", (outer, Frame(name, f"{name}.py", 7, kind)), count)
            for (name, kind), count in counts.items()
        ]
        + [Stack("compile", 1, "1", (outer,), 40)]
    )
    total = sum(counts.values())
    meta = {
        "id": "runtime_math/decide/strict", "command": ["python"], "date": date, "lines": lines,
        "backend": "py-spy", "rate": 199, "seconds": 10.0,
        "samples": {"run": total, "compile": 40, "import": 0},
        "jitted": {"samples": total, "named": total, "named_share": 1.0},
        "machine": {"git_revision": "abc", "cpu": "some CPU"},
    }  # fmt: skip
    with recording.new_folder(path) as partial:
        (partial / recording.META).write_text(json.dumps(meta))
        (partial / recording.FOLDED).write_text(aggregate.format_folded(folded))
    return path


@pytest.fixture
def old(tmp_path):
    counts = {("logdet", INLINED): 500, ("fusion", JITTED): 300, ("loop", PYTHON): 200}
    return make(tmp_path / "old", counts)


@pytest.fixture
def new(tmp_path):
    counts = {("logdet", INLINED): 200, ("fusion", JITTED): 500, ("loop", PYTHON): 300}
    return make(tmp_path / "new", counts, date="2024-05-02T10:00:00+00:00")


def test_top_ranks_and_filters(old, capsys):
    assert main(["top", str(old), "-n", "2"]) == ExitStatus.DONE
    lines = capsys.readouterr().out.split("---\n")[-1].splitlines()
    rows = [line.split() for line in lines if line]
    assert [(row[0], row[1], row[6]) for row in rows] == [
        ("1", "50.0", "logdet"), ("2", "30.0", "fusion"),
    ]  # fmt: skip
    main(["top", str(old), "--jitted", "--by", "line"])
    output = capsys.readouterr().out
    assert "fusion.py:7" in output
    assert "loop" not in output
    main(["top", str(old), "--phase", "compile"])
    assert "main" in capsys.readouterr().out
    assert main(["top", str(old), "--phase", "exit"]) == ExitStatus.NO_SAMPLES


def test_compare_fails_on_change_only_when_asked(old, new, capsys):
    assert main(["compare", str(old), str(new)]) == ExitStatus.DONE
    assert "moved, real" in capsys.readouterr().out
    assert main(["compare", str(old), str(new), "--fail-on-change"]) == ExitStatus.CHANGED
    assert main(["compare", str(old), str(old), "--fail-on-change"]) == ExitStatus.DONE


def test_log_appends_once_and_shows_what_changed(old, new, tmp_path, capsys):
    log = tmp_path / "sub" / "log.jsonl"
    assert main(["log", "--file", str(log)]) == ExitStatus.USAGE
    for _ in range(2):
        assert main(["log", str(old), str(new), "--file", str(log)]) == ExitStatus.DONE
    assert len(log.read_text().splitlines()) == 2
    entries = history.read(log)
    assert [row["symbol"] for row in entries[0]["top"]] == ["logdet", "fusion"]
    output = capsys.readouterr().out
    assert "first" in output
    assert "same set" in output


class _Parts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [
            value for name, value in attrs if name in ("src", "href") and value is not None
        ]


def test_report_is_self_contained(old, new, tmp_path):
    page = tmp_path / "page.html"
    for recordings, flamegraphs in (((old,), 1), ((old, new), 3)):
        assert main(["report", *map(str, recordings), "-o", str(page)]) == ExitStatus.DONE
        parts = _Parts()
        parts.feed(page.read_text())
        assert parts.tags.count("svg") == flamegraphs
        assert not parts.links
        assert "some CPU" in page.read_text()


def test_unknown_id_names_the_nearest(capsys):
    assert main(["record", "runtime_math/decide/stric"]) == ExitStatus.USAGE
    assert "runtime_math/decide/strict" in capsys.readouterr().err


def test_all_targets_are_benchmarks():
    from bench import registry

    assert len(set(TARGETS)) == 8
    assert set(TARGETS) <= set(registry.identifiers())
