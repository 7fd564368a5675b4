"""Every component of the membrane, and the whole pipeline, reproduce their recorded vectors."""

import importlib

from tests.golden_vectors import replay


def test_golden_membrane(membrane_file):
    component = membrane_file.name.split(".")[0]
    if membrane_file.name == "ptr_validator.order.jsonl.gz":
        component = "stage_order"
    adapter = importlib.import_module(f"tests.replay_membrane.{component}")
    assert replay(membrane_file, adapter.Replay) > 0
