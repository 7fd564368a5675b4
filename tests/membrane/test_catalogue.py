"""Each mistake of the catalogue, under both rule sets, in both modes."""

from pathlib import Path

import pytest

from membrane import catalogue
from membrane.catalogue import MISTAKES, SETTINGS, Verdict

DOCUMENT = Path(__file__).parents[2] / "README.md"


def documented():
    """Verdicts of the documentation's table: {(cwe, title): [verdict, ...]}."""
    rows = [line.strip("|").split("|") for line in DOCUMENT.read_text().splitlines()]
    return {
        (int(cells[0]), cells[1].strip()): [Verdict(cell.strip()) for cell in cells[2:]]
        for cells in rows
        if len(cells) == 6 and cells[0].strip().isdigit()
    }


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.rules}-{s.mode}")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda row: row.name)
def test_mistake(mistake, setting):
    verdict = mistake.verdict(setting)
    if setting.rules == "repaired":
        assert verdict != Verdict.PASSES
    assert verdict == documented()[mistake.cwe, mistake.title][SETTINGS.index(setting)]


def test_the_catalogue_is_as_large_as_promised():
    assert len({row.name for row in MISTAKES}) == len(MISTAKES) >= 24
    assert len(documented()) == len(MISTAKES)


def test_a_strict_refusal_changes_no_byte():
    refused = 0
    for mistake in MISTAKES:
        world = catalogue.World(catalogue.Setting("repaired", 0), mistake.quarantine_bytes)
        calls = []
        for name in ("memcpy", "memset", "strcpy", "calloc"):
            calls.append(_watched(world, name))
        try:
            mistake.make(world)
        except catalogue.MembraneError:
            refused += sum(before is not None for before in (call() for call in calls))
        world.pipeline.close()
    assert refused > 15


def _watched(world, name):
    """Wrap a guarded call: where it raises, the whole region must be what it was."""
    original, seen = getattr(world.libc, name), []

    def call(*arguments):
        before = world.source.memory.copy()
        try:
            return original(*arguments)
        except catalogue.MembraneError:
            assert (world.source.memory == before).all()
            seen.append(name)
            raise

    setattr(world.libc, name, call)
    return lambda: seen[0] if seen else None
