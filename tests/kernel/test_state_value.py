"""A kernel's state is a value: copies, pickles, files, shared memory, reset."""

import copy
import json
import pickle
import subprocess
import sys
from multiprocessing.shared_memory import SharedMemory

import numpy as np
import pytest

from runtime_math import KERNEL_STATE, RuntimeMathKernel, SafetyLevel, StateFileError, statefile
from tests.kernel.traffic import random_events, states_equal


@pytest.fixture
def kernel():
    kernel = RuntimeMathKernel(SafetyLevel.HARDENED)
    kernel.replay(random_events(700, seed=2))
    return kernel


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda kernel: kernel.copy(),
        copy.copy,
        copy.deepcopy,
        lambda kernel: pickle.loads(pickle.dumps(kernel)),
    ],
    ids=["copy method", "copy.copy", "copy.deepcopy", "pickle"],
)
def test_duplicates_are_equal_and_independent(kernel, duplicate):
    twin = duplicate(kernel)
    assert states_equal(kernel, twin)
    assert twin.mode is SafetyLevel.HARDENED
    events = random_events(300, seed=4)
    before = kernel.states.tobytes()
    ours = twin.replay(events)
    assert kernel.states.tobytes() == before
    assert (kernel.replay(events) == ours).all()
    assert states_equal(kernel, twin)


def test_save_and_load(kernel, tmp_path):
    path = tmp_path / "kernel.state"
    kernel.save(path)
    other = RuntimeMathKernel(SafetyLevel.STRICT)
    other.load(path)
    assert states_equal(kernel, other)
    assert [item.name for item in tmp_path.iterdir()] == ["kernel.state"]


def test_reset_is_birth(kernel):
    kernel.reset()
    assert states_equal(kernel, RuntimeMathKernel(SafetyLevel.HARDENED))


def _with_header(data, **changes):
    magic, header, payload = data.split(b"\n", 2)
    return b"\n".join([magic, json.dumps({**json.loads(header), **changes}).encode(), payload])


DAMAGES = {
    "empty": (lambda data: b"", "not a kernel state"),
    "other file": (lambda data: b"PK\x03\x04" + data, "not a kernel state"),
    "cut in the header": (lambda data: data[:40], "truncated"),
    "cut in the state": (lambda data: data[:-1], "bytes of state instead of"),
    "appended": (lambda data: data + b"x", "bytes of state instead of"),
    "flipped bit": (lambda data: data[:-9] + bytes([data[-9] ^ 4]) + data[-8:], "checksum"),
    "header of no sense": (
        lambda data: data.replace(b'"version"', b'"vers!on"'),
        "damaged header",
    ),
    "other version": (lambda data: _with_header(data, version=99), "format version 99"),
    "other layout": (lambda data: _with_header(data, layout="0" * 16), "another state layout"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused_and_change_nothing(kernel, tmp_path, damage):
    change, message = DAMAGES[damage]
    path = tmp_path / "kernel.state"
    path.write_bytes(change(statefile.encode(kernel.states)))
    other = RuntimeMathKernel(SafetyLevel.STRICT)
    before = other.states.tobytes()
    with pytest.raises(StateFileError, match=message):
        other.load(path)
    assert other.states.tobytes() == before


def test_missing_file_and_unwritable_folder(kernel, tmp_path):
    with pytest.raises(FileNotFoundError):
        kernel.load(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        kernel.save(tmp_path / "no folder" / "kernel.state")


def test_interrupted_save_keeps_the_old_file(kernel, tmp_path, monkeypatch):
    path = tmp_path / "kernel.state"
    kernel.save(path)
    old = path.read_bytes()
    kernel.note_overlap(1, 2, 3)

    def fail(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(statefile.os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        kernel.save(path)
    assert path.read_bytes() == old
    assert [item.name for item in tmp_path.iterdir()] == ["kernel.state"]


def test_two_processes_share_a_state(kernel):
    block = SharedMemory(create=True, size=KERNEL_STATE.itemsize)
    try:
        states = np.ndarray(1, KERNEL_STATE, block.buf)
        states[:] = kernel.states
        program = (
            "import sys, numpy as np\n"
            "from multiprocessing import resource_tracker\n"
            "from multiprocessing.shared_memory import SharedMemory\n"
            "from runtime_math import KERNEL_STATE, RuntimeMathKernel\n"
            "block = SharedMemory(sys.argv[1])\n"
            "resource_tracker.unregister(block._name, 'shared_memory')\n"
            "states = np.ndarray(1, KERNEL_STATE, block.buf)\n"
            "RuntimeMathKernel.from_states(states).note_overlap(1, 2, 3)\n"
            "del states\n"
        )
        before = kernel.snapshot().consistency_faults
        subprocess.run([sys.executable, "-c", program, block.name], check=True)
        shared = RuntimeMathKernel.from_states(states)
        assert shared.snapshot().consistency_faults == before + 1
        assert kernel.snapshot().consistency_faults == before
        del shared, states
    finally:
        block.close()
        block.unlink()


@pytest.mark.parametrize(
    ("states", "error"),
    [
        (np.zeros(2, KERNEL_STATE), ValueError),
        (np.zeros(1), TypeError),
        (b"", TypeError),
    ],
)
def test_from_states_refuses(states, error):
    with pytest.raises(error, match="states"):
        RuntimeMathKernel.from_states(states)


def test_from_states_refuses_read_only_memory():
    states = np.zeros(1, KERNEL_STATE)
    states.flags.writeable = False
    with pytest.raises(ValueError, match="writable"):
        RuntimeMathKernel.from_states(states)


def test_kernel_fits_its_memory_budget():
    assert KERNEL_STATE.itemsize <= 64 * 1024
