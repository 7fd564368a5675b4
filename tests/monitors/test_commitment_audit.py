"""The audit against Python's own SipHash and a plain list of fingerprints, and bad input."""

import os
import subprocess
import sys
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.commitment_audit import BUCKET_MULTIPLIER, AuditState, CommitmentAudit

WORD = 2**64
words = st.integers(0, WORD - 1)


def same_bucket(number):
    """Fingerprints that all fall into one bucket of the index."""
    return number * pow(int(BUCKET_MULTIPLIER), -1, WORD) % WORD


@pytest.mark.skipif(sys.hash_info.algorithm != "siphash13", reason="Python hashes by another rule")
def test_commitment_is_siphash_1_3_under_the_zero_key():
    # Without hash randomisation Python hashes bytes by this very function, key zero.
    rng = np.random.default_rng(3)
    messages = [rng.bytes(24) for _ in range(50)] + [bytes(24), b"\xff" * 24]
    run = [sys.executable, "-c", f"print(*(hash(message) for message in {messages!r}))"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    output = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    digests = map(int, output.stdout.split())
    for message, digest in zip(messages, digests, strict=True):
        fields = (message[:8], message[8:12], message[12:16], message[16:])
        numbers = (int.from_bytes(field, "little") for field in fields)
        assert CommitmentAudit.commitment_hash(*numbers) == digest % WORD


class Model:
    """Score and replays from a list of the last fingerprints."""

    def __init__(self):
        self.ring = deque(maxlen=128)
        self.score, self.replays, self.invalid, self.count = 0.0, 0, 0, 0

    def observe(self, before, after, fingerprint):
        replay = fingerprint in self.ring
        invalid = before == after and fingerprint == 0
        self.ring.append(fingerprint)
        self.replays += replay
        self.invalid += invalid
        self.count += 1
        penalty = 10.0 if replay else 2.0 if invalid else 0.0
        self.score = max((self.score + penalty) - 0.05, 0.0)
        if self.count < 16:
            return AuditState.CALIBRATING
        return AuditState(3 if self.score >= 20.0 else 2 if self.score >= 5.0 else 1)


def agree(stream):
    audit, model = CommitmentAudit(), Model()
    for before, after, fingerprint in stream:
        expected = model.observe(before, after, fingerprint)
        assert audit.observe_transition(before, after, fingerprint) == expected
        assert (audit.replay_count, audit.martingale_value) == (model.replays, model.score)
    assert audit.summary()[3:] == (model.replays, model.invalid, model.count)


@given(st.integers(1, 400), st.booleans(), st.integers(0, 2**32))
def test_replays_are_matches_among_the_last_128(kinds, crowded, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, kinds, 500).tolist()
    spread = [same_bucket(number) if crowded else number * 2**57 % WORD for number in numbers]
    agree((number % 3, 1, fingerprint) for number, fingerprint in zip(numbers, spread, strict=True))


@pytest.mark.parametrize("crowded", [False, True])
@pytest.mark.parametrize(("period", "replays"), [(127, 373), (128, 372), (129, 0)])
def test_a_fingerprint_is_forgotten_after_128_others(period, replays, crowded):
    audit = CommitmentAudit()
    for number in range(500):
        fingerprint = number % period
        audit.observe_transition(0, 1, same_bucket(fingerprint) if crowded else fingerprint)
    assert audit.replay_count == replays


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)), max_size=60))
def test_invalid_transitions_and_thresholds(stream):
    agree(stream)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), words), min_size=2, max_size=6), words)
def test_any_change_of_the_history_changes_the_chain(history, other):
    def head(transitions):
        audit = CommitmentAudit()
        for state, fingerprint in transitions:
            audit.observe_transition(state, 0, fingerprint)
        return audit.commitment

    changed = [(history[0][0], other), *history[1:]]
    assert (head(changed) == head(history)) == (changed == history)
    assert (head(history[::-1]) == head(history)) == (history[::-1] == history)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((2**32, 0, 0), ValueError, "from_state must be an integer from 0"),
        ((0, -1, 0), ValueError, "to_state must be an integer from 0"),
        ((0, 0, WORD), ValueError, "transition_hash must be an integer from 0"),
        ((0, 0, 1.0), TypeError, "transition_hash must be an integer"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    audit = CommitmentAudit()
    before = audit.record.tobytes()
    with pytest.raises(error, match=message):
        audit.observe_transition(*arguments)
    assert audit.record.tobytes() == before
