"""The entropies against SciPy, the batch rules, the worked example, and bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runtime_math.monitors.provenance_info import ProvenanceInfo, ProvenanceState


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 900)), min_size=1, max_size=20))
def test_one_estimation_agrees_with_scipy(runs):
    stream = np.repeat(*np.array(runs).T)
    stream = np.resize(stream, 1024 * math.ceil(len(stream) / 1024)).astype(np.uint8)
    monitor = ProvenanceInfo()
    monitor.observe_bytes(stream)
    shares = np.bincount(stream, minlength=256) / len(stream)
    shannon, renyi = stats.entropy(shares, base=2), -math.log2((shares**2).sum())
    summary = monitor.summary()
    assert summary.shannon_entropy == pytest.approx(7.96 + 0.005 * shannon, rel=1e-12)
    assert summary.renyi_h2 == pytest.approx(7.96 + 0.005 * renyi, rel=1e-12)
    assert summary.min_entropy == pytest.approx(-math.log2(shares.max()), abs=1e-12)
    # Renyi entropies decrease with their order: Shannon's is 1, the min-entropy's infinity.
    assert summary.min_entropy - 1e-9 <= renyi <= shannon + 1e-9
    assert summary.shannon_entropy >= summary.renyi_h2 - 1e-9
    assert summary.observations == len(stream)


@given(st.binary(min_size=0, max_size=1200), st.integers(0, 2**64 - 1))
def test_single_bytes_batches_and_tags_count_the_same_histogram(stream, tag):
    tag_bytes = list(tag.to_bytes(8, "little"))
    single, batch, tags = ProvenanceInfo(), ProvenanceInfo(), ProvenanceInfo()
    for byte in [*stream, *tag_bytes]:
        single.observe_byte(byte)
    batch.observe_bytes([*stream, *tag_bytes])
    tags.observe_bytes(list(stream))
    tags.observe_tag(tag)
    histograms = [monitor.record["histogram"].tolist() for monitor in (single, batch, tags)]
    assert histograms[0] == histograms[1] == histograms[2]
    assert sum(histograms[0]) == single.summary().observations == len(stream) + 8


def test_batches_that_step_over_the_period_skip_an_estimation_and_empty_ones_repeat_it():
    monitor = ProvenanceInfo()
    assert monitor.observe_bytes([]) is ProvenanceState.CALIBRATING
    monitor.observe_bytes([7] * 1000)
    assert monitor.observe_bytes([7] * 1000) is ProvenanceState.CALIBRATING
    assert monitor.summary().shannon_entropy == 8.0
    assert monitor.observe_bytes([7] * 48) is ProvenanceState.SECURE
    once = monitor.summary().shannon_entropy
    monitor.observe_bytes([])
    assert monitor.summary().shannon_entropy == 0.995 * once < once < 8.0


def test_a_constant_stream_drifts_then_risks_collision_and_the_entry_counts_once():
    monitor = ProvenanceInfo()
    states = [monitor.observe_bytes([0x42] * 1024) for _ in range(60)]
    assert states.index(ProvenanceState.ENTROPY_DRIFT) == 12
    assert states.index(ProvenanceState.COLLISION_RISK) == 41
    assert states == sorted(states)
    assert monitor.summary().collision_risk_count == 1


def test_leaving_and_entering_the_risk_again_counts_again():
    monitor = ProvenanceInfo()
    for entropy, count in ((1.0, 1), (8.0, 1), (1.0, 2)):
        monitor.record["renyi_h2"] = entropy
        monitor.observe_bytes(list(range(256)) * 4)
        assert monitor.summary().collision_risk_count == count


def test_a_new_monitor_reports_ideal_entropies():
    summary = ProvenanceInfo().summary()
    assert summary == (8.0, 8.0, 8.0, -129.0, ProvenanceState.CALIBRATING, 0, 0)


@pytest.mark.parametrize(
    ("operation", "argument", "error", "message"),
    [
        ("observe_byte", 256, ValueError, "byte must be an integer from 0 to 255"),
        ("observe_byte", b"a", TypeError, "byte must be an integer"),
        ("observe_bytes", [-1], ValueError, r"byte_values\[0\] must be from 0 to 255"),
        ("observe_bytes", [0.5], TypeError, "byte_values must hold uint8 values"),
        ("observe_tag", 2**64, ValueError, "tag must be an integer"),
        ("observe_tag", 1.0, TypeError, "tag must be an integer"),
    ],
)
def test_bad_input_is_refused(operation, argument, error, message):
    monitor = ProvenanceInfo()
    before = monitor.record.tobytes()
    with pytest.raises(error, match=message):
        getattr(monitor, operation)(argument)
    assert monitor.record.tobytes() == before
