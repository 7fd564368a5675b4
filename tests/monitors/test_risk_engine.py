"""The risk engine against sorted windows, its bounds, the alarm's latch, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_math.monitors.risk_engine import (
    CallFamily,
    RiskEngine,
    RiskVerdict,
    RiskVerdictCounter,
)

words = st.integers(0, 2**64 - 1)


@given(words | st.sampled_from([0, 1, 0xFF, 2**64 - 1]), words | st.integers(0, 2**20 + 1))
def test_score_is_the_sum_of_its_three_parts(address, size):
    trailing = (address & -address).bit_length() - 1 if address else 64
    misaligned = 33 * (6 - min(trailing, 6))
    if size == 0:
        bulk = 200
    elif size > 2**20:
        bulk = 250
    else:
        bulk = 150 if size > 2**16 else 64 - size.bit_length()
    density = 0 if 8 <= bin(address).count("1") <= 56 else 200
    assert RiskEngine().score(address, size) == misaligned + bulk + density
    assert 47 <= misaligned + bulk + density <= 648


class Model:
    """One family, with a list of scores that is sorted whenever quantiles are due."""

    def __init__(self):
        self.scores, self.fast, self.full, self.evidence, self.alarm = [], 100, 800, 0.0, False

    def verdict(self, score):
        if self.alarm:
            return RiskVerdict.ALARM_MODE
        if len(self.scores) < 32:
            return RiskVerdict.NORMAL_CHECK
        if score <= self.fast:
            return RiskVerdict.FAST_PATH
        return RiskVerdict.FULL_CHECK if score >= self.full else RiskVerdict.NORMAL_CHECK

    def record(self, score):
        self.scores.append(score)
        window = sorted(self.scores[-256:])
        count = len(window)
        if len(self.scores) % 64 == 0:
            self.fast = window[math.floor(count * 0.01)]
            self.full = window[min(math.ceil(count * (1.0 - 0.01)), count - 1)]
            if self.fast >= self.full:
                self.fast = self.full // 2
        if count >= 32:
            quiet = math.log((1.0 - 1.0 / count) / (1.0 - 0.01))
            evidence = self.evidence + (math.log(100.0) if score > self.full else quiet)
            self.alarm = self.alarm or evidence > 10.0
            self.evidence = evidence * 0.999
            if self.evidence < 0.0:
                self.evidence, self.alarm = 0.0, False


@pytest.mark.parametrize("spread", [1, 3, 40, 600])
def test_verdicts_and_thresholds_follow_the_sorted_window(spread):
    rng = np.random.default_rng(spread)
    engine, model = RiskEngine(), Model()
    verdicts = set()
    for score in rng.integers(47, 47 + spread, 1_500).tolist():
        verdict = engine.decide(CallFamily.OTHER, score)
        verdicts.add(verdict)
        assert verdict == model.verdict(score)
        engine.record_score(CallFamily.OTHER, score)
        model.record(score)
        thresholds = [engine.record[name][7] for name in ("fast_threshold", "full_threshold")]
        assert thresholds == [model.fast, model.full]
    assert engine.record["log_evidence"][7] == pytest.approx(model.evidence, rel=1e-12)
    assert engine.is_alarmed(CallFamily.OTHER) == model.alarm
    assert spread == 1 or len(verdicts) >= 3


def test_alarm_latches_until_reset_and_stays_in_its_family():
    engine = RiskEngine()
    for call in range(128):
        engine.evaluate(CallFamily.STDIO, 0x7F00FF000000 + call % 4 * 16, 200)
    for _ in range(3):
        engine.evaluate(CallFamily.STDIO, 1, 0)
    for _ in range(1_000):
        verdict = engine.evaluate(CallFamily.STDIO, 0x7F00FF000000, 200)
        assert verdict is RiskVerdict.ALARM_MODE
    assert not engine.is_alarmed(CallFamily.SOCKET)
    assert engine.alarm_rate == pytest.approx(1_000 / 1_131)
    assert engine.summary() == (1_131, engine.fast_path_rate, engine.alarm_rate)
    engine.reset_alarm(CallFamily.STDIO)
    # By now the window is constant, and every score of a constant stream is on its upper threshold.
    assert engine.evaluate(CallFamily.STDIO, 0x7F00FF000000, 200) is RiskVerdict.FULL_CHECK


def test_verdict_counter_counts_each_verdict():
    counter = RiskVerdictCounter()
    for verdict in (0, 1, 1, 3, 3, 3):
        counter.record_verdict(verdict)
    assert counter.summary() == (1, 2, 0, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((8, 1, 1), ValueError, "family must be a member of CallFamily"),
        ((0, -1, 1), ValueError, "address must be an integer from 0"),
        ((0, 1, 2**64), ValueError, "size must be an integer from 0"),
        ((0, 1, 16.0), TypeError, "size must be an integer"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(arguments, error, message):
    engine = RiskEngine()
    before = engine.record.tobytes()
    with pytest.raises(error, match=message):
        engine.evaluate(*arguments)
    assert engine.record.tobytes() == before
