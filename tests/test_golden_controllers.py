"""Every controller reproduces its recorded vectors."""

import importlib

from tests.golden_vectors import replay


def test_golden_controllers(controller_file):
    name = controller_file.name.removesuffix(".jsonl.gz")
    adapter = importlib.import_module(f"tests.replay.{name}")
    assert replay(controller_file, adapter.Replay) > 0
